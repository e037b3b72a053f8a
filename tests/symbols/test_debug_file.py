"""Debug files of every format: what they are, and what their caches answer."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from chalicelib.errors import FormatError
from chalicelib.formats.minidump.symbol_source import Location, ModuleSymbols
from chalicelib.symbols import debug_file
from chalicelib.symbols.debug_file import DebugFile
from chalicelib.symbols.module_symbols import Caches, open_symbols
from tests.shared_data import shared_data
from tests.symbols.samples import (
    APP_ID,
    APP_SYM,
    LIB_ID,
    LIB_SYM,
    MAPPING,
    compiled,
    offset_of,
)  # fmt: skip

FILES = ("minidumps", "debug-files")


def only(raw: bytes, filename: str = "file") -> DebugFile:
    [found] = debug_file.read(raw, filename)
    return found


def opened(file: DebugFile) -> ModuleSymbols:
    return open_symbols(Caches(file.symbols, file.unwind))


def test_a_breakpad_symbol_file_names_its_module_itself() -> None:
    file = only(APP_SYM, "renamed.txt")
    assert (file.kind, file.arch, file.debug_id, file.debug_file, file.code_id) == (
        "breakpad", "x86", APP_ID, "app.pdb", "5ab380779000",
    )  # fmt: skip
    assert file.features == ("symbols", "debug", "unwind")


def test_line_ends_of_windows_leave_nothing_on_names() -> None:
    file = only(APP_SYM.replace(b"\n", b"\r\n"))
    assert file.debug_file == "app.pdb"
    assert opened(file).locate(0x1100) == (Location("start()", "c:\\src\\work.cpp", 40, 0x1100),)
    assert only(APP_SYM.replace(b"app.pdb\n", b"app.pdb\r\r\n")).debug_file == "app.pdb"


def test_an_age_is_in_hex_without_leading_zeros_and_in_lower_case() -> None:
    raw = APP_SYM.replace(APP_ID.encode(), APP_ID[:32].encode() + b"1A")
    assert only(raw).debug_id == APP_ID[:32] + "1a"
    assert debug_file.breakpad_id("3249d99d-0c40-4931-8610-f4e4fb0b6936-10") == (
        "3249D99D0C4049318610F4E4FB0B693610"
    )
    assert debug_file.breakpad_id("3249d99d-0c40-4931-8610-f4e4fb0b6936").endswith("69360")
    assert debug_file.breakpad_id("3249d99d-2") == "3249D99D2"


def test_an_inlined_function_stands_before_the_one_it_is_in() -> None:
    symbols = opened(only(APP_SYM))
    assert symbols.locate(0x1012) == (
        Location("twice(int)", "c:\\src\\twice.h", 3, None),
        Location("work(int, int)", "c:\\src\\work.cpp", 12, 0x1000),
    )


def test_a_public_symbol_names_what_no_function_covers_up_to_the_next() -> None:
    symbols = opened(only(APP_SYM))
    assert symbols.locate(0x103F)[0].function == "work(int, int)"
    assert symbols.locate(0x1041) == ()
    assert symbols.locate(0x1060) == (Location("tail", None, None, 0x1050),)
    assert symbols.locate(0x1121) == ()
    assert symbols.locate(0x9999)[0].function == "_last@12"
    assert symbols.locate(0x800) == ()
    assert symbols.locate(-1) == symbols.locate(1 << 40) == ()


def test_call_frame_rules_hold_from_their_row_on_with_all_that_came_before() -> None:
    symbols = opened(only(LIB_SYM))
    first = {".cfa": "$rsp 8 +", ".ra": ".cfa -8 + ^"}
    assert symbols.cfi(0x1FFF) is None
    assert symbols.cfi(0x2000) == first
    assert symbols.cfi(0x2003) == {**first, ".cfa": "$rsp 16 +", "$rbp": ".cfa -16 + ^"}
    assert symbols.cfi(0x2010) == {**first, ".cfa": "$rbp 16 +", "$rbp": ".cfa -16 + ^"}
    assert symbols.cfi(0x20FF) == {**first, "$rbp": ".cfa -16 + ^"}
    assert symbols.cfi(0x2100) is None
    assert symbols.cfi(0x2208) == first
    assert symbols.cfi(0x2210) is None


def test_windows_records_the_innermost_before_frame_pointer_omission_before_sizes() -> None:
    symbols = opened(only(APP_SYM))
    outer, inner = symbols.windows_frame(0x1005), symbols.windows_frame(0x1010)
    assert outer and outer.kind == 4 and outer.program.startswith("$T0 $ebp =")
    assert (outer.start, outer.code_size, outer.prolog_size) == (0x1000, 0x40, 5)
    assert (outer.parameter_size, outer.saved_register_size, outer.local_size) == (8, 4, 0x10)
    assert inner and inner.program.startswith("$T0 .raSearch")
    assert symbols.windows_frame(0x1018) == outer
    below = symbols.windows_frame(0x1048)
    assert below and (below.kind, below.start, below.allocates_base_pointer) == (0, 0x1030, False)
    fpo = symbols.windows_frame(0x1110)
    assert fpo and (fpo.kind, fpo.program, fpo.allocates_base_pointer) == (0, "", True)
    sized = symbols.windows_frame(0x1234)
    assert sized and (sized.kind, sized.parameter_size, sized.program) == (-1, 12, "")
    assert symbols.windows_frame(0x1130) is None


def test_a_program_of_ours_is_named_with_its_inlined_functions(tmp_path: Path) -> None:
    program = compiled(tmp_path)
    file = only(program.read_bytes(), "/builds/cart")
    assert (file.kind, file.debug_file, len(file.debug_id)) == ("elf", "cart", 33)
    assert {"symbols", "debug", "unwind"} <= set(file.features)
    symbols = opened(file)
    start = offset_of(program, "_ZN4shop4Cart5totalEi")
    chains = [symbols.locate(offset) for offset in range(start, start + 24)]
    assert chains[0][-1].function == "shop::Cart::total(int)"
    assert chains[0][-1].function_start == start
    inlined = next(chain for chain in chains if len(chain) == 2)
    assert inlined[0].function.startswith("twice")
    assert inlined[1].function == "shop::Cart::total(int)"
    assert [entry.line for entry in inlined] == [3, 5]
    rules = symbols.cfi(start)
    assert rules and rules[".cfa"] in {"$rsp 8 +", "sp 0 +", "$sp 0 +"}


def test_a_stripped_program_and_its_debug_file_have_one_debug_id(tmp_path: Path) -> None:
    program = compiled(tmp_path)
    if shutil.which("objcopy") is None:
        pytest.skip("needs objcopy to split a program")
    stripped, debug = tmp_path / "stripped", tmp_path / "cart.debug"
    subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
    subprocess.run(["objcopy", "--strip-all", program, stripped], check=True)
    one, two = only(stripped.read_bytes()), only(debug.read_bytes())
    assert one.debug_id == two.debug_id
    assert one.has("unwind") and not one.has("debug")
    assert two.has("debug") and not two.has("unwind")


def test_a_pdb_answers_as_the_breakpad_file_made_of_it() -> None:
    raw = shared_data(*FILES, "BreakpadTestApp.pdb").read_bytes()
    pdb = only(raw, "C:\\build\\BreakpadTestApp.pdb")
    assert (pdb.kind, pdb.debug_id) == ("pdb", "C1C0FA629EAA4B4D9DD2ADE270A231CC1")
    assert pdb.debug_file == "BreakpadTestApp.pdb"
    folder = shared_data("minidumps", "symbols", "BreakpadTestApp.pdb", pdb.debug_id)
    sym = opened(only((folder / "BreakpadTestApp.sym").read_bytes()))
    symbols = opened(pdb)
    for offset in (0x1000, 0x1040, 0x1080, 0x10C0, 0x1100, 0x1140):
        [ours], [theirs] = symbols.locate(offset), sym.locate(offset)
        assert (ours.file, ours.line) == (theirs.file, theirs.line)
        assert ours.function.partition("(")[0] == theirs.function.partition("(")[0]
        assert symbols.windows_frame(0x4190 + offset) == sym.windows_frame(0x4190 + offset)


def test_the_dwarf_in_a_dsym_has_readable_names_and_lines() -> None:
    folder = shared_data(*FILES, "crash.dSYM") / "Contents" / "Resources" / "DWARF"
    file = only((folder / "crash").read_bytes(), "crash")
    assert (file.kind, file.arch) == ("macho", "x86_64")
    assert file.debug_id == "67E9247C814E392BA027DBDE6748FCBF0"
    places = opened(file).locate(0xB521)
    assert places[-1].function == "MacFileUtilities::MachoID::MachoID(char const*)"
    assert [place.line for place in places] == [58, 61]


def test_a_file_of_several_architectures_is_one_symbol_file_for_each() -> None:
    folder = shared_data(*FILES, "crash.dSYM") / "Contents" / "Resources" / "DWARF"
    intel = (folder / "crash").read_bytes()
    uuid = bytes.fromhex("67E9247C814E392BA027DBDE6748FCBF")
    arm = bytearray(intel.replace(uuid, uuid[::-1]))
    arm[4:12] = struct.pack("<II", 0x0100000C, 0)  # CPU_TYPE_ARM64
    align, at = 14, 1 << 14
    second = at + (len(intel) + at - 1) // at * at
    header = struct.pack(">II", 0xCAFEBABE, 2)
    header += struct.pack(">5I", 0x01000007, 3, at, len(intel), align)
    header += struct.pack(">5I", 0x0100000C, 0, second, len(arm), align)
    raw = (header.ljust(at, b"\0") + intel).ljust(second, b"\0") + bytes(arm)
    one, two = debug_file.read(raw, "crash")
    assert (one.arch, one.debug_id) == ("x86_64", uuid.hex().upper() + "0")
    assert (two.arch, two.debug_id) == ("arm64", uuid[::-1].hex().upper() + "0")
    assert opened(two).locate(0xB521)


@pytest.mark.parametrize("name", ["crash.elf", "crash.debug"])
def test_elf_files_of_one_build_have_its_id(name: str) -> None:
    file = only(shared_data(*FILES, name).read_bytes(), name)
    assert file.debug_id == "C0BCC3F19827FE653058404B2831D9E60"
    assert opened(file).locate(0x1F10)


def test_every_shared_symbol_file_answers_for_its_functions() -> None:
    for path in sorted(shared_data("minidumps", "symbols").rglob("*.sym")):
        file = only(path.read_bytes())
        assert file.debug_id == path.parent.name
        symbols = opened(file)
        for line in path.read_text(errors="replace").splitlines():
            words = line.split()
            if words[:1] == ["FUNC"] and words[1] != "m" and int(words[2], 16):
                assert symbols.locate(int(words[1], 16)), f"{path.name}: {line}"
            if words[:3] == ["STACK", "CFI", "INIT"]:
                rules = symbols.cfi(int(words[3], 16))
                assert rules, f"{path.name}: {line}"


def test_a_mapping_is_known_by_its_first_class_and_has_an_id_of_its_content() -> None:
    file = only(MAPPING, "mapping.txt")
    assert (file.kind, file.features, file.code_id) == ("proguard", ("mapping",), "7f3a9c")
    assert file.debug_id == only(MAPPING, "other.txt").debug_id != only(MAPPING + b"\n").debug_id


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"hello", b"\x7fELF" + bytes(100), b"MODULE \n", b"MZ" + bytes(200), b"MDMP",
        b"MODULE Linux x86_64 000000000000000000000000000000000 x\n", b"\xca\xfe\xba\xbe\0\0\0\x34",
        b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0" + bytes(40), b"BSJB" + bytes(64),
    ],
)  # fmt: skip
def test_what_is_no_debug_file_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        debug_file.read(raw, "x")


def test_records_that_make_no_sense_leave_the_others_as_they_are() -> None:
    nonsense = (
        b"STACK CFI INIT zz 10 .cfa: x\nSTACK CFI INIT 2300\nSTACK CFI INIT 2300 10\n"
        b"STACK CFI INIT 2300 10 nonsense\nSTACK CFI INIT ffffffffffff 10 .cfa: $rsp\n"
        b"STACK WIN 7 1 1 1 1 1 1 1 1 0 0\nSTACK WIN 4 1\nSTACK CFI 2002 also: \n"
    )
    symbols = opened(only(LIB_SYM + nonsense))
    assert symbols.cfi(0x2003) == opened(only(LIB_SYM)).cfi(0x2003)
    assert symbols.cfi(0x2305) is None
    assert symbols.windows_frame(1) is None


def test_the_id_that_breakpad_makes_of_a_build_id() -> None:
    assert debug_file.debug_id_of_build("f1c3bcc0279865fe3058404b2831d9e64135386c") == (
        "C0BCC3F19827FE653058404B2831D9E60"
    )
    assert debug_file.debug_id_of_build("abcd").startswith("0000CDAB")
    assert debug_file.debug_id_of_build("no hex") == ""


def test_the_ids_of_the_samples() -> None:
    assert only(LIB_SYM).debug_id == LIB_ID
