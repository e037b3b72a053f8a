"""Modules: what identifies a build, versions, overlaps, and records that are damaged."""

from __future__ import annotations

import struct

import pytest

from chalicelib.formats.minidump.directory import Kind
from chalicelib.formats.minidump.dump import DumpModule, OsName
from chalicelib.formats.minidump.limits import MAX_MODULES, MAX_NAME_CHARS
from chalicelib.formats.minidump.module_map import ModuleMap
from chalicelib.formats.minidump.reader import read
from tests.formats.minidump.builder import MinidumpBuilder, overwritten, stream_offset

BUILD_ID = bytes(range(0x10, 0x24))
PDB_ID = "5A9832E5287241C1838ED98914E9B7FF1"


def modules_of(builder: MinidumpBuilder) -> tuple[DumpModule, ...]:
    return read(builder.thread(1, {}).build()).modules


def module_of(builder: MinidumpBuilder) -> DumpModule:
    (module,) = modules_of(builder)
    return module


def test_a_pdb_7_record_gives_breakpads_id_with_the_age_in_lower_case_hex() -> None:
    module = module_of(
        MinidumpBuilder("windows").module(
            "C:\\app\\game.exe",
            0x40_0000,
            0x2D000,
            debug_file="c:\\build\\game.pdb",
            debug_id=PDB_ID[:32] + "1c",
            time_stamp=0x45D3_5F4E,
            version=(1, 22, 333, 4444),
        )
    )
    assert module.debug_file == "c:\\build\\game.pdb"
    assert module.debug_id == PDB_ID[:32] + "1c"
    assert module.code_id == "45D35F4E2d000"
    assert module.version == "1.22.333.4444"


def test_a_pdb_2_record_gives_its_time_stamp_and_age() -> None:
    record = b"NB10" + struct.pack("<3I", 0, 0x45D3_5F73, 10) + b"old.pdb\0"
    module = module_of(MinidumpBuilder("windows").module("old.dll", 1, 2, code_view=record))
    assert (module.debug_file, module.debug_id) == ("old.pdb", "45D35F73a")


def test_an_elf_build_id_gives_breakpads_id_of_its_first_16_bytes_and_itself_as_code_id() -> None:
    module = module_of(MinidumpBuilder("android").module("/lib/a.so", 1, 2, build_id=BUILD_ID))
    assert module.debug_file == "/lib/a.so"
    assert module.debug_id == "131211101514171618191A1B1C1D1E1F0"
    assert module.code_id == BUILD_ID.hex()


def test_a_short_elf_build_id_is_filled_with_zeros() -> None:
    module = module_of(MinidumpBuilder().module("/lib/a.so", 1, 2, build_id=b"\x01\x02\x03\x04"))
    assert module.debug_id == "040302010000000000000000000000000"


def test_an_id_of_zeros_identifies_nothing() -> None:
    module = module_of(
        MinidumpBuilder().module("/lib/a.so", 1, 2, debug_file="a.so", debug_id="0" * 33)
    )
    assert (module.debug_file, module.debug_id, module.code_id) == ("a.so", "", "")


@pytest.mark.parametrize(
    ("record", "path"),
    [
        (struct.pack("<2IB3x", 1, 20, 0) + b"app.dbg\0", "app.dbg"),
        (struct.pack("<2IB3x", 1, 28, 1) + "app.dbg\0".encode("utf-16-le"), "app.dbg"),
        (b"\1\2\3", ""),
    ],
)
def test_a_misc_record_names_the_debug_file_where_nothing_else_does(
    record: bytes, path: str
) -> None:
    module = module_of(MinidumpBuilder("windows").module("app.exe", 1, 2, misc=record))
    assert (module.debug_file, module.debug_id) == (path, "")


@pytest.mark.parametrize(
    "record", [b"NB11" + bytes(40), b"RSDS", b"LEpB", b"x", b"RSDS" + bytes(20)]
)
def test_a_code_view_record_that_names_no_build_leaves_the_module(record: bytes) -> None:
    module = module_of(MinidumpBuilder().module("/lib/a.so", 0x1000, 0x2000, code_view=record))
    assert (module.code_file, module.start, module.end) == ("/lib/a.so", 0x1000, 0x3000)
    assert module.debug_id == ""


def test_a_record_beyond_the_end_costs_the_build_id_only() -> None:
    raw = MinidumpBuilder().thread(1, {}).module("/lib/a.so", 1, 2, build_id=BUILD_ID).build()
    record_at = stream_offset(raw, Kind.MODULE_LIST) + 4 + 76
    dump = read(overwritten(raw, record_at, "<2I", 24, 0xFFFF_FF00))
    assert dump.modules[0].code_file == "/lib/a.so"
    assert dump.modules[0].debug_id == ""
    assert dump.unread[0].startswith("build id of module 1: its 24 bytes at byte 4294967040")


@pytest.mark.parametrize(("start", "size"), [(0x1000, 0), (0xFFFF_FFFF_FFFF_F000, 0x2000)])
def test_a_module_without_a_possible_range_is_left_out_and_named(start: int, size: int) -> None:
    builder = MinidumpBuilder().module("bad", start, size).module("good", 0x5000, 0x1000)
    dump = read(builder.thread(1, {}).build())
    assert [module.code_file for module in dump.modules] == ["good"]
    assert dump.unread == (f"module 1: it says it has {size} bytes at 0x{start:x}",)


def test_a_module_listed_twice_counts_once() -> None:
    builder = MinidumpBuilder("windows")
    for _ in range(2):
        builder.module("a.dll", 0x1000, 0x1000, debug_file="a.pdb", debug_id=PDB_ID)
    assert len(modules_of(builder)) == 1


def test_names_are_cut_off_and_text_that_is_no_utf16_is_marked() -> None:
    long = module_of(MinidumpBuilder().module("n" * 5000, 1, 2))
    assert long.code_file == "n" * MAX_NAME_CHARS
    raw = MinidumpBuilder().module("a\ufffeb", 1, 2).thread(1, {}).build()
    at = raw.index("a\ufffeb".encode("utf-16-le"))
    assert read(overwritten(raw, at + 2, "<H", 0xD800)).modules[0].code_file == "a\ufffdb"


def test_more_modules_than_are_read_are_named() -> None:
    count = MAX_MODULES + 1
    raw = MinidumpBuilder().module("a", 1, 1).thread(1, {}).build()
    at = stream_offset(raw, Kind.MODULE_LIST) + 4
    rows = b"".join(
        struct.pack("<Q", 0x1000 * place) + raw[at + 8 : at + 108] for place in range(1, count + 1)
    )
    builder = MinidumpBuilder().thread(1, {})
    dump = read(builder.stream(Kind.MODULE_LIST, struct.pack("<I", count) + rows).build())
    assert len(dump.modules) == MAX_MODULES
    assert f"module list: {count} entries claimed, {MAX_MODULES} read" in dump.unread


def test_unloaded_modules_are_read_with_what_identifies_them() -> None:
    builder = MinidumpBuilder("windows").unloaded_module("old.dll", 0x9000, 0x1000, 0x5EAD)
    (module,) = read(builder.thread(1, {}).build()).unloaded_modules
    assert (module.code_file, module.start, module.size) == ("old.dll", 0x9000, 0x1000)
    assert module.code_id == "00005EAD1000"


def module(name: str, start: int, size: int) -> DumpModule:
    return DumpModule(start, size, name)


@pytest.mark.parametrize(
    ("os", "at_0x1800"),
    [("linux", "upper"), ("android", "upper"), ("windows", "lower"), ("macos", "lower")],
)
def test_where_modules_overlap_linux_cuts_the_lower_one(os: OsName, at_0x1800: str) -> None:
    listed = [module("upper", 0x1400, 0x1000), module("lower", 0x1000, 0x1000)]
    found = ModuleMap(listed, os).at(0x1800)
    assert found is not None
    assert found.code_file == at_0x1800


def test_of_modules_with_one_start_the_first_of_the_list_counts() -> None:
    listed = [module("first", 0x1000, 0x100), module("second", 0x1000, 0x1000)]
    modules = ModuleMap(listed, "linux")
    assert [entry.code_file for entry in modules] == ["first"]
    assert modules.at(0x1800) is None


def test_addresses_between_and_beyond_modules_are_nobodys() -> None:
    modules = ModuleMap([module("b", 0x3000, 0x1000), module("a", 0x1000, 0x1000)], "windows")
    found = [modules.at(address) for address in (0xFFF, 0x1000, 0x1FFF, 0x2000, 0x3FFF, 0x4000)]
    assert [entry and entry.code_file for entry in found] == [None, "a", "a", None, "b", None]
