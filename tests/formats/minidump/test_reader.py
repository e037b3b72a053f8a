"""A dump as a whole: what is refused and why, and what damage costs."""

from __future__ import annotations

import struct
from time import process_time

import pytest

from chalicelib.errors import FormatError
from chalicelib.formats.minidump.directory import Kind
from chalicelib.formats.minidump.limits import MAX_NOTES_OF_A_KIND, MAX_STREAMS, MAX_THREADS
from chalicelib.formats.minidump.reader import read
from tests.formats.minidump.builder import (
    WRITTEN_AT,
    MinidumpBuilder,
    ModuleAnnotations,
    directory_entry,
    overwritten,
    stream_offset,
)


def whole() -> MinidumpBuilder:
    """A dump with every stream that is read."""
    return (
        MinidumpBuilder(build_text="Linux 5.10")
        .module("/app", 0x40_0000, 0x1000, debug_file="app", debug_id="AB" * 16 + "1")
        .module("/lib.so", 0x50_0000, 0x1000, build_id=bytes(range(20)))
        .unloaded_module("/old.so", 0x60_0000, 0x1000)
        .thread(1, {"rip": 0x40_0010, "rsp": 0x8000}, stack=bytes(64), name="main")
        .thread(2, {"rip": 0x50_0010, "rsp": 0x9000}, stack=bytes(64), name="worker")
        .exception(1, code=11, flags=1, address=0x45, registers={"rip": 0x40_0014, "rsp": 0x8000})
        .memory(0xA000, b"heap")
        .memory64(0xB000, b"more")
        .memory_info(0x8000, 0x1000)
        .misc_info(77, 1_700_000_000)
        .breakpad_info(requesting_thread=1)
        .assertion(1, "x > 0")
        .crashpad_info({"a": "1"}, {0: ModuleAnnotations({"b": "2"}, ["c"], [("d", 1, b"e")])})
        .stream(Kind.LINUX_MAPS, b"00400000-00401000 r-xp 00000000 08:01 1 /app\n")
        .stream(Kind.LINUX_CPU_INFO, b"model name: Some CPU\n")
        .stream(Kind.LINUX_PROC_STATUS, b"Pid: 77\n")
        .stream(Kind.LINUX_LSB_RELEASE, b"ID=debian\n")
        .stream(Kind.LINUX_COMMAND_LINE, b"/app\0")
        .stream(Kind.LINUX_AUXV, struct.pack("<2Q", 9, 0x40_0000))
        .stream(Kind.COMMENT_A, b"a comment")
    )


@pytest.mark.parametrize(
    ("raw", "problem", "where"),
    [
        (b"", "the minidump is empty", "byte 0"),
        (b"MDMP", "ends within its header: 4 of 32 bytes", "byte 4"),
        (b"MDMP\x93\xa7" + bytes(25), "ends within its header: 31 of 32 bytes", "byte 31"),
        (
            b"PMDM\0\0\xa7\x93" + bytes(99),
            "a big-endian minidump (PowerPC, SPARC) is not",
            "byte 0",
        ),
        (b"hello, world", "begins with b'hell', not with b'MDMP'", "byte 0"),
        (b"\x1f\x8b\x08\0", "this is gzip data, not a minidump", "byte 0"),
        (b"PK\3\4", "this is a zip archive, not a minidump", "byte 0"),
        (b"\x7fELF", "this is an ELF file (a core dump?), not a minidump", "byte 0"),
        (b"PAGEDU64", "this is a Windows kernel dump, not a minidump", "byte 0"),
        (b'{"a": 1}', "this is JSON, not a minidump", "byte 0"),
        (b"<html>", "this is XML or HTML, not a minidump", "byte 0"),
        (
            b"MDMP\x94\xa7" + bytes(26),
            "it has version 0xa794; the only known one is 0xa793",
            "byte 4",
        ),
        (b"MDMP\x93\xa7" + bytes(26), "the minidump has no streams", "byte 0"),
    ],
)
def test_what_cannot_be_a_minidump_is_refused_saying_why(
    raw: bytes, problem: str, where: str
) -> None:
    with pytest.raises(FormatError) as caught:
        read(raw)
    assert problem in caught.value.problem
    assert caught.value.where == where


def test_a_directory_beyond_the_end_is_refused() -> None:
    raw = overwritten(whole().build(), 12, "<I", 0xFFFF_0000)
    with pytest.raises(
        FormatError, match=r"the stream directory \(20 entries\) lies beyond the end"
    ):
        read(raw)


def test_a_directory_that_the_dump_ends_within_gives_the_entries_there_are() -> None:
    raw = MinidumpBuilder().exception(1, code=11).thread(1, {}).build()
    dump = read(raw[:-6])
    assert dump.exception is not None
    assert dump.threads == ()
    assert dump.unread == ("stream directory: 3 entries claimed, 2 read",)


def test_a_directory_of_endless_entries_is_bounded() -> None:
    raw = MinidumpBuilder().thread(1, {}).build()
    directory = struct.unpack_from("<I", raw, 12)[0]
    longer = overwritten(raw + bytes(12 * 5000), 8, "<I", 0xFFFF_FFFF)
    assert longer[directory : directory + 4] == struct.pack("<I", Kind.SYSTEM_INFO)
    dump = read(longer)
    assert len(dump.threads) == 1
    assert dump.unread == (f"stream directory: 4294967295 entries claimed, {MAX_STREAMS} read",)


@pytest.mark.parametrize(
    "streams", [{}, {Kind.SYSTEM_INFO: b""}, {Kind.MODULE_LIST: bytes(4)}, {0x1234: b"x"}]
)
def test_a_dump_with_neither_thread_nor_exception_is_refused(streams: dict[int, bytes]) -> None:
    builder = MinidumpBuilder()
    for kind, data in streams.items():
        builder.stream(kind, data)
    with pytest.raises(FormatError, match="neither a thread nor an exception can be read: "):
        read(builder.build())


def test_a_refusal_says_what_is_wrong_with_the_streams() -> None:
    raw = MinidumpBuilder().thread(1, {}).build()
    damaged = overwritten(raw, directory_entry(raw, Kind.THREAD_LIST) + 8, "<I", len(raw))
    with pytest.raises(
        FormatError, match=f"thread list: its 4 bytes at byte {len(raw)} reach beyond"
    ):
        read(damaged)


def test_an_exception_without_threads_is_read() -> None:
    dump = read(MinidumpBuilder().exception(5, code=11, registers={"rip": 0x1234}).build())
    assert dump.exception is not None
    assert dump.exception.context is not None
    assert dump.exception.context.registers["rip"] == 0x1234
    assert [thread.context for thread in dump.threads] == [dump.exception.context]
    assert dump.crash_thread == 0
    assert dump.crashed_at == WRITTEN_AT


def test_a_whole_dump_leaves_nothing_unread() -> None:
    dump = read(whole().build())
    assert dump.unread == ()
    assert [thread.name for thread in dump.threads] == ["main", "worker"]
    assert dump.crash_thread == 0
    assert dump.modules[0].annotations == (("b", "2"), ("d", "e"), ("message", "c"))
    assert dump.annotations == (("a", "1"), ("comment", "a comment"))
    assert dump.process_id == 77
    assert dump.mappings[0].path == "/app"


# What `whole` has, without what is only read where something better is missing.
READ_KINDS = sorted(
    set(Kind) - {Kind.COMMENT_W, Kind.MAC_CRASH_INFO, Kind.MEMORY_INFO_LIST, Kind.LINUX_PROC_STATUS}
)


@pytest.mark.parametrize("kind", READ_KINDS)
def test_a_stream_beyond_the_end_is_named_and_the_others_are_read(kind: Kind) -> None:
    raw = whole().build()
    dump = read(overwritten(raw, directory_entry(raw, kind) + 8, "<I", 0xFFFF_FFF0))
    assert any(note.startswith(f"{kind.title}: ") for note in dump.unread)
    good = read(raw)
    same = {
        Kind.THREAD_LIST: dump.threads == good.threads,
        Kind.EXCEPTION: dump.exception == good.exception,
        Kind.MODULE_LIST: dump.modules == good.modules,
        Kind.SYSTEM_INFO: dump.system == good.system,
        Kind.CRASHPAD_INFO: dump.annotations == good.annotations,
        Kind.LINUX_MAPS: dump.mappings == good.mappings,
    }
    lost = {kind} | {
        Kind.CRASHPAD_INFO: {Kind.MODULE_LIST},  # it has the modules' annotations
        Kind.LINUX_CPU_INFO: {Kind.SYSTEM_INFO},  # it has the processor's name
        Kind.THREAD_NAME_LIST: {Kind.THREAD_LIST},
        Kind.COMMENT_A: {Kind.CRASHPAD_INFO},  # an annotation
    }.get(kind, set())
    assert same == {other: other not in lost for other in same}


@pytest.mark.parametrize("kind", READ_KINDS)
@pytest.mark.parametrize("size", [0, 1, 3, 0xFFFF_FFFF])
def test_a_stream_whose_size_lies_stops_nothing_else(kind: Kind, size: int) -> None:
    raw = whole().build()
    dump = read(overwritten(raw, directory_entry(raw, kind) + 4, "<I", size))
    assert dump.threads or kind == Kind.THREAD_LIST
    assert dump.exception is not None


@pytest.mark.parametrize(
    "kind",
    [
        Kind.THREAD_LIST,
        Kind.MODULE_LIST,
        Kind.MEMORY_LIST,
        Kind.THREAD_NAME_LIST,
    ],
)
@pytest.mark.parametrize("count", [3, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_count_that_lies_is_named_and_what_is_there_is_read(kind: Kind, count: int) -> None:
    raw = whole().build()
    actual = struct.unpack_from("<I", raw, stream_offset(raw, kind))[0]
    count += actual if count == 3 else 0
    good = read(raw)
    dump = read(overwritten(raw, stream_offset(raw, kind), "<I", count))
    assert dump.threads == good.threads
    assert dump.modules == good.modules
    assert len(dump.memory) == len(good.memory)
    assert dump.unread == (f"{kind.title}: {count} entries claimed, {actual} read",)


def test_a_list_that_is_padded_to_eight_bytes_is_read() -> None:
    raw = MinidumpBuilder().thread(3, {"rip": 0x77}, name="a").build()
    at = stream_offset(raw, Kind.THREAD_LIST)
    padded = MinidumpBuilder().exception(1, code=11)
    padded.stream(Kind.THREAD_LIST, struct.pack("<II", 1, 0) + raw[at + 4 : at + 36] + bytes(16))
    assert [thread.thread_id for thread in read(padded.build()).threads] == [3]


def test_a_second_stream_of_a_kind_is_named_and_the_first_is_read() -> None:
    comments = MinidumpBuilder().thread(1, {}).stream(Kind.COMMENT_A, b"first")
    dump = read(comments.stream(Kind.COMMENT_A, b"second").build())
    assert dump.annotations == (("comment", "first"),)
    assert dump.unread == ("comment a: the dump has more than one; one is read",)


def test_of_two_streams_of_a_kind_the_one_within_the_dump_is_read() -> None:
    comments = MinidumpBuilder().thread(1, {}).stream(Kind.COMMENT_A, b"first")
    raw = comments.stream(Kind.COMMENT_A, b"second").build()
    entry = directory_entry(raw, Kind.COMMENT_A)
    assert read(overwritten(raw, entry + 8, "<I", 1 << 31)).annotations == (("comment", "second"),)


def test_a_second_thread_with_one_id_is_named_and_left_out() -> None:
    dump = read(MinidumpBuilder().thread(7, {"rip": 1}).thread(7, {"rip": 2}).build())
    (thread,) = dump.threads
    assert thread.context is not None
    assert thread.context.registers["rip"] == 1
    assert dump.unread == ("thread list: a second thread has the id 7",)


def test_streams_that_lie_on_the_header_and_on_each_other_are_read_as_they_are() -> None:
    raw = whole().build()
    for kind in READ_KINDS:
        raw = overwritten(raw, directory_entry(raw, kind) + 4, "<2I", 0x1000, 0)
    with pytest.raises(FormatError) as caught:
        read(overwritten(raw, 32, "<I", 0xFFFF_FFFF)[:512])
    assert "byte" in str(caught.value)


def test_a_dump_whose_every_offset_points_at_itself_ends() -> None:
    raw = bytearray(whole().build())
    for at in range(32, len(raw) - 4, 4):
        (value,) = struct.unpack_from("<I", raw, at)
        if 32 <= value < len(raw):
            struct.pack_into("<I", raw, at, at)
    begin = process_time()
    assert reads_or_says_why(bytes(raw))
    assert process_time() - begin < 0.5


def reads_or_says_why(raw: bytes) -> str:
    """What is said of the damage."""
    try:
        return "; ".join(read(raw).unread)
    except FormatError as error:
        return str(error)


def test_every_truncation_says_what_is_missing() -> None:
    raw = whole().build()
    for size in range(len(raw)):
        assert reads_or_says_why(raw[:size])


def test_every_truncation_of_the_data_behind_the_directory_is_read() -> None:
    raw = whole().build()
    directory = struct.unpack_from("<I", raw, 12)[0]
    size = len(raw) - directory
    # The same dump with its directory behind the header, as real writers have it.
    moved = bytearray(raw[:32] + raw[directory:] + raw[32:directory])
    struct.pack_into("<I", moved, 12, 32)
    for at in range(32, 32 + size, 12):
        (offset,) = struct.unpack_from("<I", moved, at + 8)
        struct.pack_into("<I", moved, at + 8, offset + size)
    lengths = range(32 + size, len(moved), 3)
    texts = [reads_or_says_why(bytes(moved[:length])) for length in lengths]
    assert all(texts)
    assert any("neither a thread nor an exception" not in text for text in texts)


def test_as_many_threads_as_a_list_may_have_are_read_in_time() -> None:
    count = 2 * MAX_THREADS
    builder = MinidumpBuilder()
    for thread_id in range(count):
        builder.thread(thread_id)
    raw = builder.build()
    begin = process_time()
    dump = read(raw)
    assert process_time() - begin < 1
    assert len(dump.threads) == MAX_THREADS
    assert dump.unread == (f"thread list: {count} entries claimed, {MAX_THREADS} read",)


def test_of_damages_of_one_kind_the_first_are_told_and_the_others_counted() -> None:
    builder = MinidumpBuilder().stream(Kind.MODULE_LIST, b"")
    for thread_id in range(100):
        builder.thread(thread_id, {"pc": 1}, cpu="arm")
    dump = read(builder.build())
    assert len(dump.threads) == 100
    assert len(dump.unread) == MAX_NOTES_OF_A_KIND + 2
    assert dump.unread[0].startswith("registers of thread 0: ")
    assert dump.unread[-2].startswith("module list: ")
    assert dump.unread[-1] == "registers of thread: 95 more that are not told"
