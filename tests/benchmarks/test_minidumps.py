"""The comparison with Breakpad, on every dump at hand, and the comparing itself."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from benchmarks.minidumps import data, random_stacks, stackwalk
from benchmarks.minidumps.__main__ import MAXIMUM_MS, NEEDED_SHARE, seconds_of
from benchmarks.minidumps.comparison import Comparison, compare, first_difference
from chalicelib.formats.minidump.report import parse
from chalicelib.formats.minidump.symbol_source import NoSymbols
from chalicelib.formats.minidump.unwinding import MAX_FRAMES
from chalicelib.model import Frame
from chalicelib.symbols.folder_source import FolderSymbols
from tests.shared_data import shared_data


@cache
def _comparisons(root: Path) -> tuple[Comparison, ...]:
    symbols = FolderSymbols(root / "symbols")
    return tuple(
        compare(dump.name, parse(dump.raw, symbols), dump.expected) for dump in data.dumps(root)
    )


@pytest.fixture(scope="module")
def found() -> tuple[Comparison, ...]:
    return _comparisons(shared_data("minidumps"))


def test_every_reason_address_and_crashed_thread_is_breakpads(
    found: tuple[Comparison, ...],
) -> None:
    assert len(found) >= 31
    wrong = [
        one.name
        for one in found
        if not (one.reason_equal and one.address_equal and one.crashed_equal)
    ]
    assert wrong == []


def test_nearly_every_crashing_stack_is_breakpads_and_the_others_are_better(
    found: tuple[Comparison, ...],
) -> None:
    equal = sum(one.stack_equal for one in found)
    assert equal / len(found) >= NEEDED_SHARE
    assert [one.name for one in found if one.difference and one.difference.better != "ours"] == []


def test_inlined_functions_are_shown(found: tuple[Comparison, ...]) -> None:
    inlined = {one.name: one.inlined for one in found if one.inlined}
    assert inlined == {"breakpad-linux_inline": 3, "rust-minidump-pipeline-inlines-macos-segv": 12}


def test_the_limit_of_time_is_far_away_from_any_dump() -> None:
    root = shared_data("minidumps")
    symbols = FolderSymbols(root / "symbols")
    for dump in data.dumps(root):
        parse(dump.raw, symbols)
        assert seconds_of(dump, symbols, 3) * 1000 < MAXIMUM_MS


TEXT = """OS|Linux|5.10
CPU|amd64|family 6|4
GPU|||
Crash|SIGSEGV /SEGV_MAPERR|0x45|1
Module|game||game|11112222|0x00400000|0x0040ffff|1

1|0|game|sink()|/b/../a/ship.cc|7|0x3
1|1|game||||0x1234
1|2|||||0x99
0|0|libc.so.6|read|||0x10
"""


def _frames() -> list[Frame]:
    return [
        Frame(function="sink()", module="game", file="/a/ship.cc", line=7, trust="context"),
        Frame(module="game", offset=0x1234, address=0x401234, trust="cfi"),
        Frame(address=0x99, trust="scan"),
    ]


def test_a_stackwalk_is_read() -> None:
    walk = stackwalk.parse(TEXT)
    assert (walk.reason, walk.address, walk.crashed) == ("SIGSEGV /SEGV_MAPERR", 0x45, 1)
    assert {thread: len(rows) for thread, rows in walk.stacks.items()} == {1: 3, 0: 1}


def test_equal_stacks_do_not_differ() -> None:
    assert first_difference(_frames(), stackwalk.parse(TEXT).stacks[1]) is None


def test_another_line_function_offset_or_length_differs() -> None:
    rows = stackwalk.parse(TEXT).stacks[1]
    for place, frame in [
        (0, Frame(function="sink()", module="game", file="/a/ship.cc", line=8)),
        (0, Frame(function="sunk()", module="game", file="/a/ship.cc", line=7)),
        (1, Frame(module="game", offset=0x1235)),
        (2, Frame(address=0x98)),
    ]:
        changed = _frames()
        changed[place] = frame
        difference = first_difference(changed, rows)
        assert difference is not None
        assert (difference.frame, difference.better) == (place, None)
    assert first_difference(_frames()[:2], rows) is not None
    assert first_difference([*_frames(), Frame(address=1)], rows) is not None


def test_inlined_functions_that_breakpad_does_not_show_are_ours_better() -> None:
    inlined = Frame(function="hull()", module="game", file="/a/ship.cc", line=7, inlined=True)
    outer = Frame(function="sink()", module="game", file="/a/ship.cc", line=90)
    difference = first_difference([inlined, outer, *_frames()[1:]], stackwalk.parse(TEXT).stacks[1])
    assert difference is not None
    assert difference.better == "ours"


def test_a_caller_that_breakpad_skips_after_a_bad_jump_is_ours_better() -> None:
    rows = (stackwalk.row("", "", "", None, 0), *stackwalk.parse(TEXT).stacks[1])
    caller = Frame(function="dispatch", module="game", trust="leaf")
    jumped = [Frame(address=0, trust="context"), caller, *_frames()]
    difference = first_difference(jumped, rows)
    assert difference is not None
    assert (difference.frame, difference.better) == (1, "ours")
    jumped[1] = Frame(function="dispatch", module="game", trust="scan")
    difference = first_difference(jumped, rows)
    assert difference is not None
    assert difference.better is None


def test_a_stack_that_only_a_full_dump_holds_is_ours_better() -> None:
    difference = first_difference(_frames(), stackwalk.parse(TEXT).stacks[1][:1])
    assert difference is not None
    assert (difference.better, difference.theirs) == ("ours", "-")


def test_a_readable_name_is_better_and_a_stack_that_was_cut_is_not() -> None:
    row = stackwalk.row("game", "_ZN4game4sink17h0123456789abcdefE", "/a.rs", 7, None)
    readable = Frame(function="game::sink", module="game", file="/a.rs", line=7, trust="cfi")
    difference = first_difference([readable], [row])
    assert difference is not None
    assert difference.better == "ours"
    endless = [*[readable] * MAX_FRAMES]
    rows = [stackwalk.row("game", "game::sink", "/a.rs", 7, None)] * (MAX_FRAMES + 1)
    difference = first_difference(endless, rows)
    assert difference is not None
    assert (difference.frame, difference.better) == (MAX_FRAMES, "theirs")


def test_random_stacks_are_the_same_in_every_run_and_use_every_technique() -> None:
    found: dict[str, set[str | None]] = {}
    for machine in random_stacks.MACHINES:
        dump = random_stacks.made(machine, 1)
        assert dump == random_stacks.made(machine, 1)
        assert dump != random_stacks.made(machine, 2)
        report = parse(dump.raw, NoSymbols())
        assert len(report.threads) == random_stacks.THREADS
        assert report.unread == ()
        found[str(machine)] = _trusts(dump)
    assert {"cfi", "cfi_scan", "frame_pointer", "scan"} <= found["x86 windows"]
    assert {"cfi", "frame_pointer"} <= found["x86 linux"]
    assert {"cfi", "leaf", "scan"} <= found["amd64 windows"]
    assert {"cfi", "frame_pointer", "scan"} <= found["amd64 linux"]


def _trusts(dump: random_stacks.Made) -> set[str | None]:
    """How frames were found, with the dump's symbols."""
    with TemporaryDirectory() as name:
        for module, text in dump.symbols.items():
            (Path(name) / f"{module}.sym").write_text(text)
        report = parse(dump.raw, FolderSymbols(Path(name)))
    return {frame.trust for thread in report.threads for frame in thread.frames}


def test_frame_records_that_breakpad_does_not_follow_are_ours_better_on_arm_only() -> None:
    rows = stackwalk.parse(TEXT).stacks[1]
    ours = [*_frames(), Frame(module="game", offset=0x50, trust="frame_pointer")]
    verdicts = {}
    for cpu in ("arm64", "amd64"):
        difference = first_difference(ours, rows, cpu)
        assert difference is not None
        verdicts[cpu] = difference.better
    assert verdicts == {"arm64": "ours", "amd64": None}


def test_a_frame_that_breakpad_gives_twice_is_ours_better() -> None:
    rows = stackwalk.parse(TEXT).stacks[1]
    difference = first_difference(_frames(), (*rows[:2], *rows[1:]))
    assert difference is not None
    assert (difference.frame, difference.better) == (2, "ours")
