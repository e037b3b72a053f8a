"""What identifies the build of a module, and so its symbols.

Format: the CodeView records PDB 7.0 (`RSDS`) and PDB 2.0 (`NB10`), Breakpad's and Crashpad's ELF
record (`BpEL`), IMAGE_DEBUG_MISC. Ids are in Breakpad's form (`minidump.cc`, debug_identifier
and code_identifier): 32 upper-case hex digits and the age in lower-case hex.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from uuid import UUID

from chalicelib.formats.minidump.dump import OsName
from chalicelib.formats.minidump.dump_bytes import decode_utf8, decode_utf16
from chalicelib.formats.minidump.limits import MAX_NAME_CHARS

_PDB70 = Struct("<4s16sI")
_PDB20 = Struct("<4s3I")
_MISC = Struct("<2IB3x")
_MAX_RECORD_BYTES = 24 + MAX_NAME_CHARS
_MAX_BUILD_ID_BYTES = 64  # a SHA-1 has 20; ld allows any, nobody uses more than a SHA-512


@dataclass(frozen=True, slots=True)
class BuildId:
    """`debug_file` and `debug_id` name the symbols; `build_id` is an ELF note's, in hex."""

    debug_file: str = ""
    debug_id: str = ""
    build_id: str = ""


def from_code_view(record: memoryview, code_file: str) -> BuildId | None:
    """What a CodeView record says; None when it is of a kind that names no build."""
    return _from_code_view(bytes(record[:_MAX_RECORD_BYTES]), code_file)


@lru_cache(maxsize=4096)  # the dumps of an app have the same modules again and again
def _from_code_view(record: bytes, code_file: str) -> BuildId | None:
    signature = record[:4]
    if signature == b"RSDS" and len(record) > _PDB70.size:
        _, guid, age = _PDB70.unpack_from(record)
        return BuildId(_path(record[_PDB70.size :]), _debug_id(guid, age))
    if signature == b"NB10" and len(record) > _PDB20.size:
        _, _, stamp, age = _PDB20.unpack_from(record)
        return BuildId(_path(record[_PDB20.size :]), f"{stamp:08X}{age:x}")
    if signature == b"LEpB" and len(record) > 4:
        build_id = bytes(record[4 : 4 + _MAX_BUILD_ID_BYTES])
        return BuildId(code_file, _debug_id(build_id[:16].ljust(16, b"\0"), 0), build_id.hex())
    return None


def file_from_misc_record(record: memoryview) -> str:
    """The path of a .DBG file, all that such a record says; empty when it says none."""
    if len(record) <= _MISC.size:
        return ""
    _, _, is_unicode = _MISC.unpack_from(record)
    text = record[_MISC.size : _MISC.size + 2 * MAX_NAME_CHARS]
    return decode_utf16(text[: len(text) & ~1]) if is_unicode else decode_utf8(text)


def code_id(os: OsName, time_stamp: int, size: int, build: BuildId | None) -> str:
    """What names the binary itself: on Windows its time stamp and size, elsewhere its build id
    or, without one, the UUID of its symbols; empty when nothing does."""
    if os == "windows":
        return f"{time_stamp:08X}{size:x}"
    if build is None:
        return ""
    return build.build_id or build.debug_id[:32].lower()


def _debug_id(guid: bytes, age: int) -> str:
    if not any(guid):
        return ""  # what writers put where a module has no id: it would match every such module
    return f"{UUID(bytes_le=guid).hex.upper()}{age:x}"


def _path(text: bytes) -> str:
    return decode_utf8(text[:MAX_NAME_CHARS])
