"""What an app told Crashpad, for the process and for each module, and what is damaged of it."""

from __future__ import annotations

import struct
from uuid import UUID

from chalicelib.formats.minidump.directory import Kind
from chalicelib.formats.minidump.limits import MAX_ANNOTATION_BYTES, MAX_ANNOTATIONS
from chalicelib.formats.minidump.reader import read
from tests.formats.minidump.builder import (
    MinidumpBuilder,
    ModuleAnnotations,
    directory_entry,
    overwritten,
    stream_offset,
)

REPORT_ID = UUID("83e6ce16-f67b-456c-ad43-22cb77180419")


def builder() -> MinidumpBuilder:
    return MinidumpBuilder().thread(1, {})


def test_ids_and_annotations_of_the_process_are_read() -> None:
    dump = read(builder().crashpad_info({"prod": "App", "ver": "1.2"}, report_id=REPORT_ID).build())
    assert dump.crashpad_report_id == REPORT_ID
    assert dump.crashpad_client_id == UUID(int=0x5678)
    assert dump.annotations == (("prod", "App"), ("ver", "1.2"))
    assert dump.unread == ()


def test_ids_that_are_not_set_are_none() -> None:
    dump = read(builder().crashpad_info(report_id=UUID(int=0), client_id=UUID(int=0)).build())
    assert (dump.crashpad_report_id, dump.crashpad_client_id) == (None, None)


def test_annotations_of_a_module_are_with_it() -> None:
    said = ModuleAnnotations(
        simple={"channel": "beta"},
        messages=["dyld: Library not loaded"],
        objects=[("url-chunk", 1, "https://ä".encode()), ("state", 0x8001, b"\0\1\2")],
    )
    two = builder().module("/a", 0x1000, 0x100).module("/b", 0x2000, 0x100)
    first, second = read(two.crashpad_info({}, {1: said}).build()).modules
    assert first.annotations == ()
    assert second.annotations == (
        ("channel", "beta"),
        ("url-chunk", "https://ä"),
        ("state", "3 bytes of type 0x8001"),
        ("message", "dyld: Library not loaded"),
    )


def test_places_count_modules_that_are_left_out_too() -> None:
    said = {1: ModuleAnnotations(simple={"k": "v"}), 77: ModuleAnnotations(simple={"k": "lost"})}
    two = builder().module("/bad", 0x1000, 0).module("/good", 0x2000, 0x100)
    (module,) = read(two.crashpad_info({}, said).build()).modules
    assert module.annotations == (("k", "v"),)


def test_a_long_value_is_cut_off() -> None:
    dump = read(builder().crashpad_info({"log": "x" * 50_000}).build())
    assert dump.annotations == (("log", "x" * MAX_ANNOTATION_BYTES),)


def test_a_count_beyond_the_list_is_named_and_what_is_there_is_read() -> None:
    raw = builder().crashpad_info({"a": "1", "b": "2"}).build()
    size, at = struct.unpack_from("<2I", raw, stream_offset(raw, Kind.CRASHPAD_INFO) + 36)
    assert size == 20
    dump = read(overwritten(raw, at, "<I", 0xFFFF_FFFF))
    assert dump.annotations == (("a", "1"), ("b", "2"))
    assert dump.unread == ("crashpad annotations: 4294967295 entries claimed, 2 read",)


def test_a_value_beyond_the_end_ends_the_list_there() -> None:
    raw = builder().crashpad_info({"a": "1", "b": "2"}).build()
    _, at = struct.unpack_from("<2I", raw, stream_offset(raw, Kind.CRASHPAD_INFO) + 36)
    dump = read(overwritten(raw, at + 16, "<I", len(raw)))
    assert dump.annotations == (("a", "1"),)
    assert dump.unread[0].startswith("crashpad annotations: its 4 bytes at byte")


def test_a_module_list_that_points_at_itself_ends() -> None:
    raw = builder().module("/a", 1, 2).crashpad_info({}, {0: ModuleAnnotations({"k": "v"})}).build()
    _, links_at = struct.unpack_from("<2I", raw, stream_offset(raw, Kind.CRASHPAD_INFO) + 44)
    dump = read(overwritten(raw, links_at + 12, "<I", links_at))
    assert dump.modules[0].code_file == "/a"


def test_many_annotations_that_name_one_long_text_are_bounded() -> None:
    dump = builder()
    text_at = dump.put(struct.pack("<I", 20_000) + b"x" * 20_000)
    count = 4 * MAX_ANNOTATIONS
    entries = struct.pack("<I", count) + struct.pack("<2I", text_at, text_at) * count
    places = struct.pack("<4I", len(entries), dump.put(entries), 0, 0)
    dump.stream(Kind.CRASHPAD_INFO, struct.pack("<I", 1) + bytes(32) + places)
    found = read(dump.build())
    assert found.annotations == (("x" * 256, "x" * 20_000),)
    assert found.unread == ("crashpad annotations: there are too many, or too long ones",)


def test_a_stream_that_the_dump_ends_within_is_named() -> None:
    raw = builder().crashpad_info({"a": "1"}).build()
    entry = directory_entry(raw, Kind.CRASHPAD_INFO)
    dump = read(overwritten(raw, entry + 8, "<I", len(raw) - 8))
    assert dump.unread[0].startswith("crashpad info: its 52 bytes at byte")
    assert dump.annotations == ()
