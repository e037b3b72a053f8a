"""The lists in a stream: a count (and sizes), then records of one size.

Old lists (threads, modules, memory) begin with a 32-bit count, which some 64-bit
writers pad to eight bytes; newer ones say the size of their header and entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from chalicelib.formats.minidump.directory import Stream
from chalicelib.formats.minidump.dump_bytes import Damaged, DumpBytes

_HEADER_32 = Struct("<III")
_HEADER_64 = Struct("<IIQ")


@dataclass(frozen=True, slots=True)
class Records:
    """The records that are there; `shortfall` says what is missing, or is empty."""

    rows: Iterator[tuple[int, ...]]
    shortfall: str = ""


def counted(dump: DumpBytes, stream: Stream, layout: Struct, limit: int) -> Records:
    """The records of an old list. Raises `Damaged` when none of those it claims is there."""
    count = dump.uint32(stream.offset)
    padding = 4 if stream.size == 8 + count * layout.size else 0
    return records_at(dump, stream, 4 + padding, count, layout.size, layout, limit)


def described(
    dump: DumpBytes, stream: Stream, layout: Struct, limit: int, *, long_count: bool
) -> Records:
    """The records of a list that says the sizes of its header and entries.

    Entries may be longer than `layout`: what follows in each is not read. Raises `Damaged`
    when they are shorter, or none of those it claims is there.
    """
    header = _HEADER_64 if long_count else _HEADER_32
    header_size, entry_size, count = dump.fields(header, stream.offset)
    if header_size < header.size or entry_size < layout.size:
        raise Damaged(
            f"its header says it has {header_size} bytes and its entries {entry_size}; "
            f"at least {header.size} and {layout.size} are needed"
        )
    return records_at(dump, stream, header_size, count, entry_size, layout, limit)


def records_at(
    dump: DumpBytes,
    stream: Stream,
    begin: int,
    count: int,
    step: int,
    layout: Struct,
    limit: int,
) -> Records:
    """Up to `limit` of `count` records, `step` bytes apart, from `begin` bytes into a stream on.

    Neither the end of the stream nor that of the dump is read beyond.
    """
    room = max(stream.size - begin, 0)
    there_is = dump.part_there_is(stream.offset + begin, min(room, min(count, limit) * step))
    whole = len(there_is) // step
    shortfall = f"{count} entries claimed, {whole} read" if whole < count else ""
    if count and not whole:
        raise Damaged(f"{count} entries claimed, and not one is there")
    if step == layout.size:
        return Records(layout.iter_unpack(there_is[: whole * step]), shortfall)
    rows = (layout.unpack_from(there_is, place * step) for place in range(whole))
    return Records(rows, shortfall)
