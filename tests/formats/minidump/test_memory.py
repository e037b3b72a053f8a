"""The dumped memory: both lists, stacks that are only among it, overlaps and lies."""

from __future__ import annotations

import struct
import tracemalloc

import pytest

from chalicelib.formats.minidump.directory import Kind
from chalicelib.formats.minidump.dump import Memory, MemoryMapping, MemoryRange
from chalicelib.formats.minidump.limits import MAX_MEMORY_RANGES
from chalicelib.formats.minidump.memory import without_overlaps
from chalicelib.formats.minidump.reader import read
from tests.formats.minidump.builder import (
    MinidumpBuilder,
    directory_entry,
    overwritten,
    stream_offset,
)


def integer(memory: Memory, address: int, size: int) -> int | None:
    """The little-endian integer of `size` bytes there; None where none was dumped."""
    found = memory.range_at(address)
    if found is None or address + size > found.end:
        return None
    offset = address - found.start
    return int.from_bytes(found.data[offset : offset + size], "little")


def test_memory_of_both_lists_is_found_by_address() -> None:
    builder = MinidumpBuilder().thread(1, {}).memory(0x1000, b"abcd").memory64(0x9000, b"efgh")
    memory = read(builder.memory64(0xF000, b"ijkl").build()).memory
    assert integer(memory, 0x1000, 4) == int.from_bytes(b"abcd", "little")
    assert integer(memory, 0x9002, 2) == int.from_bytes(b"gh", "little")
    assert integer(memory, 0xF000, 4) == int.from_bytes(b"ijkl", "little")
    assert integer(memory, 0x1002, 4) is None
    assert memory.range_at(0x8FFF) is None


def test_a_stack_that_only_the_thread_lists_is_memory_too() -> None:
    builder = MinidumpBuilder().thread(
        1, {"rsp": 0x8000}, stack=struct.pack("<Q", 77), in_memory_list=False
    )
    dump = read(builder.build())
    assert integer(dump.memory, 0x8000, 8) == 77
    assert (dump.threads[0].stack_start, dump.threads[0].stack_size) == (0x8000, 8)


def test_the_stack_of_a_full_dump_is_found_among_its_memory() -> None:
    builder = MinidumpBuilder("windows").thread(1, {"rsp": 0x8010}, stack_start=0x8000)
    thread = read(builder.memory64(0x7000, bytes(0x2000)).build()).threads[0]
    assert (thread.stack_start, thread.stack_size) == (0x7000, 0x2000)


def test_memory_that_lies_across_the_beginning_of_a_stack_takes_nothing_from_it() -> None:
    """As Windows writes a crash in code that runs on the stack: 128 bytes before and behind the
    instruction pointer are in the memory list too."""
    stack = struct.pack("<32Q", *range(32))
    around_ip = bytes(0x80) + stack[:0x80]
    builder = MinidumpBuilder("windows").thread(1, {"rsp": 0x8000, "rip": 0x8000}, stack=stack)
    dump = read(builder.memory(0x7F80, around_ip).memory(0x80F0, stack[-16:] + b"beyond  ").build())
    thread = dump.threads[0]
    found = dump.memory.range_at(thread.stack_start)
    assert found == MemoryRange(0x8000, memoryview(stack))
    assert thread.stack_size == len(stack)
    assert dump.memory.range_at(0x7FFF) == MemoryRange(0x7F80, memoryview(bytes(0x80)))
    assert dump.memory.range_at(0x8100) == MemoryRange(0x8100, memoryview(b"beyond  "))


def test_a_stack_without_a_start_is_found_by_the_stack_pointer() -> None:
    builder = MinidumpBuilder().thread(1, {"rsp": 0x8010}, stack_start=0)
    thread = read(builder.memory(0x8000, bytes(64)).build()).threads[0]
    assert (thread.stack_start, thread.stack_size) == (0x8000, 64)


def test_a_stack_that_the_dump_ends_within_is_read_up_to_there() -> None:
    raw = (
        MinidumpBuilder().thread(7, {"rsp": 0x8000}, stack=b"x" * 64, in_memory_list=False).build()
    )
    at = stream_offset(raw, Kind.THREAD_LIST) + 4 + 32
    begin = len(raw) - 16
    dump = read(overwritten(raw, at, "<2I", 64, begin))
    assert dump.threads[0].stack_size == 16
    assert dump.unread == ("stack of thread 7: 16 of its 64 bytes are in the dump",)


def test_a_stack_beyond_the_end_leaves_the_thread_without_one() -> None:
    raw = (
        MinidumpBuilder().thread(7, {"rsp": 0x8000}, stack=b"x" * 64, in_memory_list=False).build()
    )
    at = stream_offset(raw, Kind.THREAD_LIST) + 4 + 32
    dump = read(overwritten(raw, at, "<2I", 0xFFFF_FFFF, 0xFFFF_FFFF))
    assert dump.threads[0].stack_size == 0
    assert dump.threads[0].context is not None
    assert dump.unread == ("stack of thread 7: 0 of its 4294967295 bytes are in the dump",)


def test_ranges_of_a_full_dump_beyond_its_end_are_cut_off() -> None:
    raw = MinidumpBuilder().thread(1, {}).memory64(0x1000, b"abcd").memory64(0x2000, b"ef").build()
    at = stream_offset(raw, Kind.MEMORY_64_LIST) + 16 + 8
    dump = read(overwritten(raw, at, "<Q", 1 << 62))
    assert integer(dump.memory, 0x1000, 4) == int.from_bytes(b"abcd", "little")
    assert len(dump.memory) == 1
    assert dump.unread == (
        "memory 64 list: ranges reach beyond the end of the dump or of the address space",
    )


def test_ranges_end_with_the_address_space() -> None:
    builder = MinidumpBuilder().thread(1, {}).memory((1 << 64) - 2, b"abcd")
    found = read(builder.build()).memory.range_at((1 << 64) - 1)
    assert found is not None
    assert found.end == 1 << 64


@pytest.mark.parametrize(
    ("ranges", "kept"),
    [
        ([(0, b"aaaa"), (0, b"bb")], [(0, b"aaaa")]),
        ([(0, b"aa"), (0, b"bbbb")], [(0, b"bbbb")]),
        ([(2, b"bbbb"), (0, b"aaaa")], [(0, b"aaaa"), (4, b"bb")]),
        ([(0, b"aaaaaaaa"), (2, b"bb"), (6, b"cccc")], [(0, b"aaaaaaaa"), (8, b"cc")]),
        ([(0, b"aa"), (2, b"bb")], [(0, b"aa"), (2, b"bb")]),
    ],
)
def test_of_overlapping_ranges_the_first_keeps_the_bytes(
    ranges: list[tuple[int, bytes]], kept: list[tuple[int, bytes]]
) -> None:
    found = without_overlaps(MemoryRange(start, memoryview(data)) for start, data in ranges)
    assert [(entry.start, bytes(entry.data)) for entry in found] == kept


def test_more_ranges_than_are_read_are_named() -> None:
    count = MAX_MEMORY_RANGES + 5
    rows = b"".join(struct.pack("<Q2I", 0x1000 * place, 8, 32) for place in range(count))
    stream = struct.pack("<I", count) + rows
    dump = read(MinidumpBuilder().thread(1, {}).stream(Kind.MEMORY_LIST, stream).build())
    assert len(dump.memory) == MAX_MEMORY_RANGES
    assert dump.unread == (f"memory list: {count} entries claimed, {MAX_MEMORY_RANGES} read",)


def test_what_windows_pages_permit_is_a_mapping() -> None:
    builder = MinidumpBuilder("windows").thread(1, {})
    builder.memory_info(0x1000, 0x2000, protection=0x20).memory_info(0x8000, 0x1000, protection=4)
    builder.memory_info(0xA000, 0x1000, protection=0x104).memory_info(0xF000, 0x1000, state=0x10000)
    assert read(builder.build()).mappings == (
        MemoryMapping(0x1000, 0x3000, "r-x"),
        MemoryMapping(0x8000, 0x9000, "rw-"),
        MemoryMapping(0xA000, 0xB000, "rw-"),
    )


def test_a_memory_info_list_with_short_entries_is_named() -> None:
    raw = MinidumpBuilder("windows").thread(1, {}).memory_info(0x1000, 0x1000).build()
    at = stream_offset(raw, Kind.MEMORY_INFO_LIST)
    dump = read(overwritten(raw, at, "<2I", 16, 12))
    assert dump.mappings == ()
    assert dump.unread[0].startswith("memory info list: its header says it has 16 bytes")


def test_entries_that_are_longer_than_known_are_read() -> None:
    raw = MinidumpBuilder("windows").thread(1, {}).memory_info(0x1000, 0x1000).build()
    at = stream_offset(raw, Kind.MEMORY_INFO_LIST)
    builder = MinidumpBuilder("windows").thread(1, {})
    longer = struct.pack("<IIQ", 16, 64, 1) + raw[at + 16 : at + 64] + bytes(16)
    dump = read(builder.stream(Kind.MEMORY_INFO_LIST, longer).build())
    assert dump.mappings == (MemoryMapping(0x1000, 0x2000, "rw-"),)


@pytest.mark.parametrize("megabytes", [20, 100])
def test_a_large_dump_is_read_without_copying_its_memory(megabytes: int) -> None:
    size = megabytes * 1024 * 1024
    builder = MinidumpBuilder("windows").thread(1, {"rsp": 0x10_0000}, stack_start=0x10_0000)
    raw = builder.memory64(0x10_0000, bytes(size)).build()
    tracemalloc.start()
    try:
        dump = read(raw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert dump.threads[0].stack_size == size
    assert peak < 1_000_000


def test_a_memory_list_of_the_directory_that_lies_about_its_size_is_read_within_the_dump() -> None:
    raw = MinidumpBuilder().thread(1, {}).memory(0x1000, b"abcd").build()
    entry = directory_entry(raw, Kind.MEMORY_LIST)
    dump = read(overwritten(raw, entry + 4, "<I", 0xFFFF_FFFF))
    assert integer(dump.memory, 0x1000, 4) == int.from_bytes(b"abcd", "little")
