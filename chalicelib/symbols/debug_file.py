"""A debug file: what it is, and the caches made of it, from its bytes.

`symbolic` knows the formats: ELF, Mach-O (also several architectures in one
file), PDB, PE, portable PDB and Breakpad's `.sym`. It is native code and these
bytes are a stranger's: callers with untrusted ones go through `isolation`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from chalicelib.errors import FormatError
from chalicelib.symbols import breakpad_repair, breakpad_sym, mapping_index, unwind_records
from chalicelib.symbols.proguard import is_mapping, mapping_id, r8_id

if TYPE_CHECKING:
    from symbolic.debuginfo import Object

Feature = Literal["symbols", "debug", "unwind", "mapping"]
"""`symbols`: function names; `debug`: files, lines and inlined functions too; `unwind`: call frame
information or `STACK WIN`; `mapping`: the original names of an obfuscated Java program."""

PROGUARD = "proguard"
MAX_OBJECTS = 16  # architectures in one Mach-O file; Apple knows seven
MAX_NAME_CHARS = 255
_FEATURES: dict[str, Feature] = {"symtab": "symbols", "debug": "debug", "unwind": "unwind"}
_MAX_PDB_PATH = 1024


@dataclass(frozen=True, slots=True)
class DebugFile:
    """One object of a debug file, with its caches (see `module_symbols.Caches`).

    `kind` is the format (`breakpad`, `elf`, `macho`, `pdb`, `pe`,
    `portablepdb`, `proguard`), `debug_id` in Breakpad's form (32 hex digits of
    the UUID and the age in hex), `code_id` names the program (of a mapping:
    R8's own id). `symbols` is a SymCache, of a mapping its index.
    """

    kind: str
    arch: str
    debug_id: str
    debug_file: str
    code_id: str | None
    features: tuple[Feature, ...]
    symbols: bytes | None = None
    unwind: bytes | None = None

    def has(self, feature: str) -> bool:
        return feature in self.features


def read(raw: bytes, filename: str) -> list[DebugFile]:
    """The objects in a debug file, each with its caches.

    `filename` names the module where the file itself does not. Raises
    `FormatError` for what is no debug file, or one that nothing can be found by.
    """
    name = base_name(filename)
    if is_mapping(raw):
        index = mapping_index.build(raw)
        return [DebugFile(PROGUARD, "any", mapping_id(raw), name, r8_id(raw), ("mapping",), index)]
    is_breakpad = breakpad_sym.is_symbol_file(raw)
    if is_breakpad:
        raw = breakpad_sym.prepared(raw)
        if breakpad_repair.hides_functions(raw):
            raw = breakpad_repair.repaired(raw)
    try:
        files = list(_objects(raw, name, is_breakpad))
    except FormatError:
        if not is_breakpad:
            raise
        files = list(_objects(breakpad_repair.repaired(raw), name, is_breakpad))
    if not files:
        raise FormatError("the debug file names no build: it has no debug id")
    return files


def _objects(raw: bytes, name: str, is_breakpad: bool) -> Iterator[DebugFile]:
    from symbolic.debuginfo import Archive  # noqa: PLC0415 - see docs/dependencies.md
    from symbolic.exceptions import SymbolicError  # noqa: PLC0415

    try:
        archive = Archive.from_bytes(raw)
        if archive.object_count > MAX_OBJECTS:
            raise FormatError(f"the debug file has more than {MAX_OBJECTS} objects")
        for entry in archive.iter_objects():
            debug_id = breakpad_id(entry.debug_id)
            if debug_id.strip("0"):
                yield _debug_file(entry, raw, name, debug_id, is_breakpad)
    except SymbolicError as error:
        told = " ".join(error.message.split())
        raise FormatError(f"is no debug file that can be read: {told}") from error


def _debug_file(
    entry: Object, raw: bytes, name: str, debug_id: str, is_breakpad: bool
) -> DebugFile:
    known = entry.features
    symbols = unwind = None
    if known & {"symtab", "debug"}:
        symbols = entry.make_symcache().open_stream().read()
    if is_breakpad:
        unwind = unwind_records.build(raw, parameter_sizes=entry.arch == "x86")
    elif "unwind" in known:
        unwind = unwind_records.build(entry.make_cficache().open_stream().read())
    if is_breakpad:
        name = base_name(breakpad_sym.module_name(raw))
    elif entry.file_format == "pe":
        name = _pdb_name(raw, debug_id) or name
    features = tuple(feature for key, feature in _FEATURES.items() if key in known)
    return DebugFile(
        kind=entry.file_format,
        arch=entry.arch,
        debug_id=debug_id,
        debug_file=name,
        code_id=entry.code_id,
        features=features,
        symbols=symbols,
        unwind=unwind or None,
    )


def breakpad_id(debug_id: str) -> str:
    """`symbolic`'s form of a debug id (`uuid[-age]`) in Breakpad's, which always has the age."""
    head, age = debug_id[:36], debug_id[37:]
    if len(debug_id) < 36:  # PDB 2.0: a time of 8 digits instead of the UUID
        head, _, age = debug_id.partition("-")
    return head.replace("-", "").upper() + (age.lower().lstrip("0") or "0")


def canonical_id(debug_id: str) -> str:
    """A debug id as it is stored: the UUID in upper case, the age in lower case."""
    return debug_id[:32].upper() + debug_id[32:].lower()


def debug_id_of_build(build_id: str) -> str:
    """The debug id that Breakpad makes of an ELF build id in hex: its first 16 bytes as a GUID."""
    try:
        first = bytes.fromhex(build_id)[:16].ljust(16, b"\0")
    except ValueError:
        return ""
    return f"{UUID(bytes_le=first).hex.upper()}0"


def base_name(path: str) -> str:
    """The last part of a path of either kind, without what a client's line end left on it."""
    cleaned = path.rstrip("\r\n").strip()
    name = PurePosixPath(PureWindowsPath(cleaned).as_posix()).name if cleaned else ""
    return name[:MAX_NAME_CHARS]


def _pdb_name(raw: bytes, debug_id: str) -> str | None:
    """The PDB that a PE file names in its CodeView record (`RSDS`, UUID, age, path)."""
    place = raw.find(b"RSDS" + UUID(debug_id[:32]).bytes_le)
    if place < 0:
        return None
    path = raw[place + 24 : place + 24 + _MAX_PDB_PATH].partition(b"\0")[0]
    return base_name(path.decode("utf-8", "replace")) or None
