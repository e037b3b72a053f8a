"""The memory that a dump holds, and what the process had mapped.

Format: MINIDUMP_MEMORY_LIST, MINIDUMP_MEMORY64_LIST, MINIDUMP_MEMORY_INFO_LIST.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from struct import Struct

from chalicelib.formats.minidump.directory import Stream
from chalicelib.formats.minidump.dump import MemoryMapping, MemoryRange
from chalicelib.formats.minidump.dump_bytes import DumpBytes, Notes
from chalicelib.formats.minidump.limits import MAX_MAPPINGS, MAX_MEMORY_RANGES
from chalicelib.formats.minidump.records import counted, described, records_at

_RANGE = Struct("<Q2I")
_RANGE_64 = Struct("<2Q")
_HEADER_64 = Struct("<2Q")
_INFO = Struct("<2QIIQ4I")
_ADDRESS_LIMIT = 1 << 64

_COMMITTED = 0x1000  # MEM_COMMIT
# PAGE_* of winnt.h; guard, no-cache and write-combine bits are above the low byte.
_PERMISSIONS = {
    0x01: "---",
    0x02: "r--",
    0x04: "rw-",
    0x08: "rw-",
    0x10: "--x",
    0x20: "r-x",
    0x40: "rwx",
    0x80: "rwx",
}


def read_memory_list(dump: DumpBytes, stream: Stream, notes: Notes) -> list[MemoryRange]:
    """The ranges of the 32-bit list, each cut off where the dump ends."""
    records = counted(dump, stream, _RANGE, MAX_MEMORY_RANGES)
    if records.shortfall:
        notes.add("memory list", records.shortfall)
    ranges: list[MemoryRange] = []
    for start, size, offset in records.rows:
        _add(ranges, dump, start, size, offset, "memory list", notes)
    return ranges


def read_memory_64_list(dump: DumpBytes, stream: Stream, notes: Notes) -> list[MemoryRange]:
    """The ranges of a full dump: their bytes follow each other from one offset on."""
    count, offset = dump.fields(_HEADER_64, stream.offset)
    begin = _HEADER_64.size
    records = records_at(dump, stream, begin, count, _RANGE_64.size, _RANGE_64, MAX_MEMORY_RANGES)
    if records.shortfall:
        notes.add("memory 64 list", records.shortfall)
    ranges: list[MemoryRange] = []
    for start, size in records.rows:
        _add(ranges, dump, start, size, offset, "memory 64 list", notes)
        offset += size
        if offset > len(dump):
            break  # what follows lies further beyond
    return ranges


def _add(
    ranges: list[MemoryRange],
    dump: DumpBytes,
    start: int,
    size: int,
    offset: int,
    part: str,
    notes: Notes,
) -> None:
    data = dump.part_there_is(offset, min(size, _ADDRESS_LIMIT - start))
    if len(data) < size:
        notes.add(part, "ranges reach beyond the end of the dump or of the address space")
    if data:
        ranges.append(MemoryRange(start, data))


def without_overlaps(ranges: Iterable[MemoryRange]) -> list[MemoryRange]:
    """The ranges by address; where two overlap, the one that begins first (and is longer) keeps
    the bytes, and the other is cut or dropped."""
    ordered = sorted(ranges, key=lambda entry: (entry.start, -len(entry.data)))
    kept: list[MemoryRange] = []
    end = 0
    for entry in ordered:
        beyond = entry.end
        if beyond > end:
            kept.append(entry if entry.start >= end else _part(entry, end, beyond))
            end = beyond
    return kept


def around(stacks: Iterable[MemoryRange], others: Iterable[MemoryRange]) -> list[MemoryRange]:
    """The stacks, and of the other ranges what lies around them.

    Windows lists a little memory about the instruction pointer too; where code runs on a stack,
    that lies across it, and must not take the stack's beginning away.
    """
    whole = without_overlaps(stacks)
    starts = [stack.start for stack in whole]
    ends = [stack.end for stack in whole]
    found = list(whole)
    for entry in without_overlaps(others):
        begin, end = entry.start, entry.end
        place = bisect_right(ends, begin)  # the first stack that ends behind it
        if place == len(whole) or starts[place] >= end:
            found.append(entry)
            continue
        while place < len(whole) and starts[place] < end:
            if begin < starts[place]:
                found.append(_part(entry, begin, starts[place]))
            begin = ends[place]
            place += 1
        if begin < end:
            found.append(_part(entry, begin, end))
    return found


def _part(entry: MemoryRange, begin: int, end: int) -> MemoryRange:
    return MemoryRange(begin, entry.data[begin - entry.start : end - entry.start])


def read_memory_info(dump: DumpBytes, stream: Stream, notes: Notes) -> tuple[MemoryMapping, ...]:
    """The committed regions of a Windows process, with what its pages permit (`rwx`)."""
    records = described(dump, stream, _INFO, MAX_MAPPINGS, long_count=True)
    if records.shortfall:
        notes.add("memory info list", records.shortfall)
    mappings: list[MemoryMapping] = []
    for start, _, _, _, size, state, protection, _, _ in records.rows:
        if state == _COMMITTED and size:
            permissions = _PERMISSIONS.get(protection & 0xFF, "---")
            mappings.append(MemoryMapping(start, start + size, permissions))
    return tuple(mappings)
