"""Who asked for a dump, when the process started, and what it said of itself."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest

from chalicelib.formats.minidump.directory import Kind
from chalicelib.formats.minidump.dump import Minidump
from chalicelib.formats.minidump.reader import read
from tests.formats.minidump.builder import WRITTEN_AT, MinidumpBuilder, overwritten, stream_offset


@pytest.mark.parametrize("size", [24, 44, 232, 832, 1364])
def test_every_version_of_the_misc_info_says_id_and_start(size: int) -> None:
    dump = read(MinidumpBuilder().thread(1, {}).misc_info(4711, 1_285_797_233, size).build())
    assert dump.process_id == 4711
    assert dump.process_started_at == datetime(2010, 9, 29, 21, 53, 53, tzinfo=UTC)
    assert dump.crashed_at == WRITTEN_AT


def test_fields_that_the_flags_do_not_name_are_not_read() -> None:
    raw = MinidumpBuilder().thread(1, {}).misc_info(4711, 1_285_797_233).build()
    dump = read(overwritten(raw, stream_offset(raw, Kind.MISC_INFO) + 4, "<I", 0))
    assert (dump.process_id, dump.process_started_at) == (None, None)


def test_the_thread_that_asked_is_the_crash_thread_where_there_is_no_exception() -> None:
    builder = MinidumpBuilder().thread(10, {}).thread(20, {}).thread(30, {})
    dump = read(builder.breakpad_info(dump_thread=10, requesting_thread=30).build())
    assert (dump.dump_thread_id, dump.requesting_thread_id, dump.crash_thread) == (10, 30, 2)


def test_the_exceptions_thread_goes_before_the_one_that_asked() -> None:
    builder = MinidumpBuilder().thread(10, {}).thread(20, {}).exception(20, code=11)
    assert read(builder.breakpad_info(requesting_thread=10).build()).crash_thread == 1


def test_threads_that_breakpad_does_not_vouch_for_are_none() -> None:
    dump = read(MinidumpBuilder().thread(10, {}).breakpad_info().build())
    assert (dump.dump_thread_id, dump.requesting_thread_id, dump.crash_thread) == (None, None, None)


def test_a_crash_thread_that_is_not_listed_has_what_its_exception_tells() -> None:
    builder = MinidumpBuilder().thread(10, {}).memory(0x8000, bytes(64))
    dump = read(builder.exception(77, code=11, registers={"rip": 5, "rsp": 0x8010}).build())
    assert [thread.thread_id for thread in dump.threads] == [10, 77]
    assert dump.crash_thread == 1
    crashed = dump.threads[1]
    assert crashed.context and crashed.context.registers["rip"] == 5
    assert (crashed.stack_start, crashed.stack_size) == (0x8000, 64)
    assert dump.unread == ("thread list: thread 77, which crashed, is not in it",)


def test_a_crash_thread_that_nothing_is_known_of_is_none() -> None:
    dump = read(MinidumpBuilder().thread(10, {}).exception(77, code=11).build())
    assert (dump.crash_thread, len(dump.threads)) == (None, 1)


@pytest.mark.parametrize(
    ("kind", "texts", "line", "said"),
    [
        (
            1,
            ("p", "f", "a.cc"),
            12,
            "Invalid parameter passed to library function p in function f, in file a.cc at line 12",
        ),
        (2, ("", "", ""), 0, "Pure virtual function called"),
        (7, ("x > 0", "", ""), 0, "Unknown assertion type 0x00000007 x > 0"),
    ],
)
def test_an_assertion_reads_as_breakpad_says_it(
    kind: int, texts: tuple[str, str, str], line: int, said: str
) -> None:
    assert (
        read(MinidumpBuilder().thread(1, {}).assertion(kind, *texts, line).build()).assertion
        == said
    )


def test_an_assertion_text_that_fills_its_field_ends_there() -> None:
    record = "x".encode("utf-16-le") * 384 + struct.pack("<2I", 0, 2)
    dump = read(MinidumpBuilder().thread(1, {}).stream(Kind.ASSERTION_INFO, record).build())
    x = "x" * 128
    assert dump.assertion == f"Pure virtual function called {x} in function {x}, in file {x}"


def test_comments_are_annotations() -> None:
    builder = MinidumpBuilder("windows").thread(1, {}).stream(Kind.COMMENT_A, b"low memory\0junk")
    dump = read(builder.stream(Kind.COMMENT_W, "ärger\0".encode("utf-16-le") + b"\1").build())
    assert dump.annotations == (("comment", "low memory"), ("comment", "ärger"))


def dump_with_mac_crash_info(*records: bytes, count: int | None = None) -> Minidump:
    builder = MinidumpBuilder("macos").thread(1, {})
    places = b"".join(struct.pack("<2I", len(record), builder.put(record)) for record in records)
    head = struct.pack("<3I", 0, len(records) if count is None else count, 40)
    return read(builder.stream(Kind.MAC_CRASH_INFO, head + places.ljust(160, b"\0")).build())


def mac_record(*texts: bytes, version: int = 5) -> bytes:
    return struct.pack("<5Q", 0, version, 0, 0, 0) + b"".join(text + b"\0" for text in texts)


def test_what_libraries_of_macos_say_of_a_crash_is_an_annotation() -> None:
    dump = dump_with_mac_crash_info(
        mac_record(b"/usr/lib/libsystem_c.dylib", b"abort() called", b"", b"", b"more"),
        mac_record(b"", b"", b"", b"", b""),
        mac_record(b"/x/old", b"not there before version 4", b"", b"", b"", version=1),
        mac_record(b"/usr/lib/dyld", b"Library not loaded", b"sig", b"", b""),
    )
    assert dump.annotations == (
        ("libsystem_c.dylib message", "abort() called"),
        ("libsystem_c.dylib message 2", "more"),
        ("dyld message", "Library not loaded"),
        ("dyld signature", "sig"),
    )
    assert dump.unread == ()


def test_a_damaged_record_of_macos_costs_its_own_texts_only() -> None:
    dump = dump_with_mac_crash_info(
        mac_record(b"/a", b"endless")[:-1],
        mac_record(b"/b", b"said", b"", b"", b""),
        count=0xFFFF_FFFF,
    )
    assert dump.annotations == (("b message", "said"),)
    assert "does not end" in dump.unread[0]
