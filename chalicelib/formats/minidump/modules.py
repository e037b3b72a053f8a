"""The modules of a process, and those it had unloaded.

Format: MINIDUMP_MODULE_LIST, MINIDUMP_UNLOADED_MODULE_LIST, VS_FIXEDFILEINFO.
"""

from __future__ import annotations

from struct import Struct

from chalicelib.formats.minidump.build_ids import (
    BuildId,
    code_id,
    file_from_misc_record,
    from_code_view,
)
from chalicelib.formats.minidump.directory import Stream
from chalicelib.formats.minidump.dump import DumpModule, OsName, UnloadedModule
from chalicelib.formats.minidump.dump_bytes import Damaged, DumpBytes, Notes
from chalicelib.formats.minidump.limits import MAX_MODULES
from chalicelib.formats.minidump.records import counted, described

_MODULE = Struct("<Q4I13I4I16x")
_UNLOADED = Struct("<Q4I")
_VERSION_SIGNATURE = 0xFEEF04BD
_VERSION_STRUCTURE = 0x0001_0000
_ADDRESS_LIMIT = 1 << 64


def read_modules(
    dump: DumpBytes, stream: Stream, os: OsName, notes: Notes
) -> tuple[DumpModule | None, ...]:
    """The module list, the main module first, None for one that cannot be read: so the places
    are those of the list, which Crashpad's annotations count by."""
    records = counted(dump, stream, _MODULE, MAX_MODULES)
    if records.shortfall:
        notes.add("module list", records.shortfall)
    return tuple(
        _module(dump, row, os, f"module {place + 1}", notes)
        for place, row in enumerate(records.rows)
    )


def _module(
    dump: DumpBytes, row: tuple[int, ...], os: OsName, part: str, notes: Notes
) -> DumpModule | None:
    start, size, _, time_stamp, name_at = row[:5]
    if not size or start + size > _ADDRESS_LIMIT:
        notes.add(part, f"it says it has {size} bytes at 0x{start:x}")
        return None
    code_file = ""
    try:
        code_file = dump.utf16(name_at)
    except Damaged as damage:
        notes.add(f"name of {part}", str(damage))
    build = _build(dump, row[18:], code_file, part, notes)
    return DumpModule(
        start=start,
        size=size,
        code_file=code_file,
        code_id=code_id(os, time_stamp, size, build),
        debug_file=build.debug_file if build else "",
        debug_id=build.debug_id if build else "",
        version=_version(row[5:9]),
    )


def _build(
    dump: DumpBytes, row: tuple[int, ...], code_file: str, part: str, notes: Notes
) -> BuildId | None:
    code_view_size, code_view_at, misc_size, misc_at = row
    build = None
    try:
        if code_view_size:
            build = from_code_view(dump.part(code_view_at, code_view_size), code_file)
        if misc_size and not (build and build.debug_file):
            debug_file = file_from_misc_record(dump.part(misc_at, misc_size))
            build = BuildId(debug_file, build.debug_id if build else "")
    except Damaged as damage:
        notes.add(f"build id of {part}", str(damage))
    return build


def _version(fields: tuple[int, ...]) -> str | None:
    signature, structure, high, low = fields
    if signature != _VERSION_SIGNATURE or not structure & _VERSION_STRUCTURE:
        return None
    return f"{high >> 16}.{high & 0xFFFF}.{low >> 16}.{low & 0xFFFF}"


def read_unloaded_modules(
    dump: DumpBytes, stream: Stream, notes: Notes
) -> tuple[UnloadedModule, ...]:
    """The modules that were unloaded before the crash, in the order of the list."""
    records = described(dump, stream, _UNLOADED, MAX_MODULES, long_count=False)
    if records.shortfall:
        notes.add("unloaded module list", records.shortfall)
    modules: list[UnloadedModule] = []
    for start, size, _, time_stamp, name_at in records.rows:
        if not size or start + size > _ADDRESS_LIMIT:
            continue
        try:
            name = dump.utf16(name_at)
        except Damaged as damage:
            notes.add("name of an unloaded module", str(damage))
            continue
        modules.append(UnloadedModule(start, size, name, f"{time_stamp:08X}{size:x}"))
    return tuple(modules)
