"""Dumps made by hand, with symbols, whose stacks Breakpad's minidump_stackwalk was asked about.

Each case says what the tool (0.26) printed for it, and what we print where that differs on
purpose.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chalicelib.formats.minidump.report import parse
from chalicelib.formats.minidump.symbol_source import NoSymbols
from chalicelib.model import Report
from chalicelib.symbols.folder_source import FolderSymbols
from tests.formats.minidump.builder import MinidumpBuilder

CODE = 0x40_0000  # where the module of every case begins
CODE_SIZE = 0x1_0000
STACK = 0x8000_0000
DEBUG_ID = "111122223333444455556666777788881"
OTHER = 0x70_0000  # a module without symbols

FUNCTIONS = ("FUNC 1000 100 0 inner", "FUNC 2000 100 0 middle", "FUNC 3000 100 0 outer")
# Addresses in those functions, and in a module that has none.
INNER, MIDDLE, OUTER, ELSEWHERE = CODE + 0x1011, CODE + 0x2011, CODE + 0x3011, OTHER + 0x40


@dataclass(frozen=True)
class Case:
    """`words` are those of the stack that are not zero, by their place above STACK, which is the
    stack pointer. `breakpad` is what it shows: `function trust` or `module+0xoffset trust`.
    `ours` is given where we show something else, with `why`."""

    name: str
    os: str
    cpu: str
    registers: Mapping[str, int]
    words: Mapping[int, int]
    symbols: Sequence[str] | None
    breakpad: Sequence[str]
    ours: Sequence[str] = ()
    why: str = ""

    def dump(self) -> bytes:
        pointer = "esp" if self.cpu == "x86" else "rsp" if self.cpu == "amd64" else "sp"
        registers = {pointer: STACK, **self.registers}
        words = [self.words.get(place, 0) for place in range(_STACK_WORDS)]
        stack = struct.pack(f"<{_STACK_WORDS}{_LETTERS[self.cpu]}", *words)
        return (
            MinidumpBuilder(os=self.os, cpu=self.cpu)
            .module("/app/game", CODE, CODE_SIZE, debug_file="game", debug_id=DEBUG_ID)
            .module("/app/other", OTHER, CODE_SIZE)
            .thread(1, registers, stack=stack, stack_start=STACK)
            .exception(1, code=11, address=self._ip, registers=registers)
            .build()
        )

    @property
    def _ip(self) -> int:
        return next(self.registers[name] for name in ("pc", "rip", "eip") if name in self.registers)

    def symbol_file(self) -> str | None:
        if self.symbols is None:
            return None
        system = "windows x86" if self.cpu == "x86" else "Linux x86_64"
        return "\n".join((f"MODULE {system} {DEBUG_ID} game", *self.symbols, ""))

    def report(self, folder: Path) -> Report:
        text = self.symbol_file()
        if text is None:
            return parse(self.dump(), NoSymbols())
        (folder / "game.sym").write_text(text)
        return parse(self.dump(), FolderSymbols(folder))


_STACK_WORDS = 300
_LETTERS = {"x86": "I", "arm": "I", "amd64": "Q", "arm64": "Q"}


_SIGNED = 0x00A5 << 48  # a pointer authentication code
_CFI_64 = "STACK CFI INIT 1000 100 .cfa: sp 32 + .ra: .cfa -8 + ^ x29: .cfa -16 + ^"
_EBP_PROGRAM = "$T0 $ebp = $eip $T0 4 + ^ = $ebp $T0 ^ = $esp $T0 8 + ="
_SEARCH_PROGRAM = "$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + ="

CASES: Sequence[Case] = (
    Case(
        "arm64: unwind data, with signed return addresses",
        "android",
        "arm64",
        {"pc": INNER},
        {3: _SIGNED | MIDDLE, 9: OUTER},
        (
            *FUNCTIONS,
            _CFI_64,
            "STACK CFI INIT 2000 100 .cfa: sp 48 + .ra: .cfa -8 + ^ x29: .cfa -16 + ^",
            "STACK CFI INIT 3000 100 .cfa: sp 16 + .ra: 0",
        ),
        ["inner context", "middle cfi", "outer cfi"],
    ),
    Case(
        "arm64: frame records, the first return address in the link register",
        "linux",
        "arm64",
        {"pc": INNER, "x29": STACK + 0x10, "x30": _SIGNED | MIDDLE},
        {2: STACK + 0x30, 3: _SIGNED | OUTER, 6: 0, 7: ELSEWHERE},
        None,
        ["game+0x1011 context", "game+0x200d frame_pointer", "game+0x300d frame_pointer"],
    ),
    Case(
        "arm64: a search where the frame pointer is none",
        "linux",
        "arm64",
        {"pc": INNER, "x29": 5, "x30": 7},
        {5: MIDDLE, 9: OTHER - 0x44, 0x32: CODE + 0x9000, 0x33: OUTER},
        FUNCTIONS,
        ["inner context", "middle scan"],
    ),
    Case(
        "arm64: frame records after unwind data",
        "linux",
        "arm64",
        {"pc": INNER, "x29": STACK + 0x10, "x30": 1},
        {2: STACK + 0x30, 3: ELSEWHERE, 6: STACK + 0x60, 7: OUTER},
        (*FUNCTIONS, _CFI_64),
        ["inner context", "other+0x3c cfi", "other+0x3c frame_pointer", "outer frame_pointer"],
        ["inner context", "other+0x3c cfi", "outer frame_pointer"],
        "Breakpad gives a frame twice: after unwind data it takes the record that led to a frame",
    ),
    Case(
        "arm64: the crashed function has its record already",
        "linux",
        "arm64",
        {"pc": INNER, "x29": STACK + 0x10, "x30": MIDDLE},
        {2: STACK + 0x30, 3: MIDDLE, 6: STACK + 0x60, 7: OUTER},
        FUNCTIONS,
        ["inner context", "middle frame_pointer", "middle frame_pointer", "outer frame_pointer"],
        ["inner context", "middle frame_pointer", "outer frame_pointer"],
        "Breakpad gives a frame twice: the link register and the record say the same",
    ),
    Case(
        "arm64: a call through a null pointer",
        "linux",
        "arm64",
        {"pc": 0, "x29": STACK + 0x10, "x30": INNER},
        {2: STACK + 0x30, 3: MIDDLE, 6: STACK + 0x60, 7: OUTER},
        FUNCTIONS,
        ["0x0 context", "inner frame_pointer", "middle frame_pointer", "outer frame_pointer"],
        ["0x0 context", "inner leaf", "middle frame_pointer", "outer frame_pointer"],
        "the caller comes from the link register, not from a frame record",
    ),
    Case(
        "arm: unwind data, in Thumb code",
        "android",
        "arm",
        {"pc": INNER | 1},
        {7: MIDDLE | 1, 9: OUTER | 1},
        (
            *FUNCTIONS,
            "STACK CFI INIT 1000 100 .cfa: sp 32 + .ra: .cfa -4 + ^",
            "STACK CFI INIT 2000 100 .cfa: sp .ra: lr",
            "STACK CFI 2008 .cfa: sp 8 + .ra: .cfa -4 + ^ r7: .cfa -8 + ^",
        ),
        ["inner context", "middle cfi", "outer cfi"],
    ),
    Case(
        "arm: a search",
        "android",
        "arm",
        {"pc": INNER, "r11": 9},
        {7: MIDDLE | 1, 0x19: OUTER | 1},
        FUNCTIONS,
        ["inner context", "middle scan", "outer scan"],
    ),
    Case(
        "arm: iOS keeps its frame pointer in r7",
        "ios",
        "arm",
        {"pc": INNER, "r7": STACK + 0x10, "lr": MIDDLE},
        {4: STACK + 0x20, 5: OUTER, 9: ELSEWHERE},
        None,
        ["game+0x1011 context", "game+0x200f frame_pointer", "game+0x300f frame_pointer"],
    ),
    Case(
        "arm: elsewhere it is r11, where that looks right",
        "android",
        "arm",
        {"pc": INNER, "r11": STACK + 0x10, "lr": MIDDLE},
        {1: ELSEWHERE, 4: STACK + 0x20, 5: OUTER, 9: ELSEWHERE},
        None,
        ["game+0x1011 context", "other+0x3e scan", "game+0x300f scan", "other+0x3e scan"],
        ["game+0x1011 context", "game+0x200f frame_pointer", "game+0x300f frame_pointer"],
        "Breakpad only searches, and finds what an earlier call left first",
    ),
    Case(
        "amd64: a function of Windows without a frame",
        "windows",
        "amd64",
        {"rip": INNER, "rbp": STACK + 0x10},
        {1: MIDDLE, 2: STACK + 0x30, 3: ELSEWHERE, 8: OUTER},
        FUNCTIONS,
        ["inner context", "middle leaf", "other+0x40 scan", "outer scan"],
    ),
    Case(
        "amd64: frame pointers",
        "linux",
        "amd64",
        {"rip": INNER, "rbp": STACK + 0x10},
        {1: MIDDLE, 2: STACK + 0x30, 3: ELSEWHERE, 6: STACK + 0x50, 7: OUTER},
        FUNCTIONS,
        ["inner context", "other+0x40 frame_pointer", "outer frame_pointer"],
    ),
    Case(
        "amd64: no frame pointer leads to an address that cannot be",
        "linux",
        "amd64",
        {"rip": INNER, "rbp": STACK + 0x10},
        {1: MIDDLE, 2: STACK + 0x30, 3: 1 << 63, 6: STACK + 0x50, 7: OUTER},
        FUNCTIONS,
        ["inner context", "middle scan", "outer scan"],
    ),
    Case(
        "amd64: a search goes 160 words far in the crashed frame and 40 in others",
        "linux",
        "amd64",
        {"rip": INNER},
        {0xA0: MIDDLE, 0xC9: OUTER, 0xF3: INNER},
        FUNCTIONS,
        ["inner context", "middle scan", "outer scan"],
    ),
    Case(
        "amd64: a search takes what no function covers for no return address",
        "linux",
        "amd64",
        {"rip": INNER},
        {1: CODE + 0x9000, 2: MIDDLE},
        FUNCTIONS,
        ["inner context", "middle scan"],
    ),
    Case(
        "amd64: a search finds the frame pointer pushed below the return address",
        "linux",
        "amd64",
        {"rip": INNER, "rbp": STACK + 0x18},
        {3: STACK + 0x51, 4: MIDDLE, 6: STACK + 0x50, 7: OUTER},
        FUNCTIONS,
        ["inner context", "middle frame_pointer", "outer scan"],
    ),
    Case(
        "amd64: unwind data that give nothing",
        "linux",
        "amd64",
        {"rip": INNER},
        {1: 0, 5: OUTER},
        (*FUNCTIONS, "STACK CFI INIT 1000 100 .cfa: $rsp 16 + .ra: .cfa -8 + ^"),
        ["inner context", "outer scan"],
    ),
    Case(
        "amd64: a stack that does not grow ends",
        "linux",
        "amd64",
        {"rip": INNER},
        {1: MIDDLE, 2: OUTER},
        (
            *FUNCTIONS,
            "STACK CFI INIT 1000 100 .cfa: $rsp .ra: .cfa 8 + ^",
            "STACK CFI INIT 2000 100 .cfa: $rsp .ra: .cfa 16 + ^",
        ),
        ["inner context", "middle cfi"],
    ),
    Case(
        "x86: unwind data that mark the end of the stack",
        "linux",
        "x86",
        {"eip": INNER, "ebp": STACK + 0x20},
        {1: 0, 5: OUTER},
        (*FUNCTIONS, "STACK CFI INIT 1000 100 .cfa: $esp 8 + .ra: .cfa 4 - ^ $ebp: $ebp"),
        ["inner context"],
    ),
    Case(
        "x86: frame pointers",
        "windows",
        "x86",
        {"eip": INNER, "ebp": STACK + 0x10},
        {4: STACK + 0x20, 5: MIDDLE, 9: OUTER},
        FUNCTIONS,
        ["inner context", "middle frame_pointer", "outer frame_pointer"],
    ),
    Case(
        "x86: a search finds the frame pointer again",
        "windows",
        "x86",
        {"eip": INNER, "ebp": 5},
        {3: STACK + 0x20, 4: MIDDLE, 9: OUTER},
        FUNCTIONS,
        ["inner context", "middle scan", "outer frame_pointer"],
    ),
    Case(
        "x86: functions without a frame pointer, by the sizes of their frames",
        "windows",
        "x86",
        {"eip": INNER, "ebp": STACK + 0x40, "ebx": 0x77},
        {4: MIDDLE, 0xA: OUTER, 0x11: ELSEWHERE},
        (
            *FUNCTIONS,
            "STACK WIN 0 1000 100 0 0 8 8 8 0 0 0",
            "STACK WIN 0 2000 100 0 0 0 4 8 0 0 1",
        ),
        ["inner context", "middle cfi", "outer cfi", "other+0x40 scan"],
    ),
    Case(
        "x86: frame data with programs",
        "windows",
        "x86",
        {"eip": INNER, "ebp": STACK + 0x10},
        {4: STACK + 0x20, 5: MIDDLE, 8: STACK + 0x60, 9: OUTER},
        (
            *FUNCTIONS,
            f"STACK WIN 4 1000 100 0 0 0 0 0 0 1 {_EBP_PROGRAM}",
            f"STACK WIN 4 2000 100 0 0 4 0 0 0 1 {_SEARCH_PROGRAM}",
        ),
        ["inner context", "middle cfi", "outer cfi"],
    ),
    Case(
        "x86: an aligned stack is measured from the frame pointer",
        "windows",
        "x86",
        {"eip": INNER, "ebp": STACK + 0x20},
        {3: ELSEWHERE, 8: STACK + 0x60, 9: MIDDLE},
        (
            *FUNCTIONS,
            "STACK WIN 4 1000 100 0 0 0 0 8 0 1 $T1 .raSearch = $T0 $T1 4 - 8 @ = $ebp $T1 4 "
            "- ^ = $eip $T1 ^ = $esp $T1 4 + =",
        ),
        ["inner context", "middle cfi"],
    ),
    Case(
        "x86: a search where frame data lead to no code",
        "windows",
        "x86",
        {"eip": INNER, "ebp": STACK + 0x20},
        {2: 0x1234567, 9: MIDDLE, 0xB: STACK + 0x50},
        (*FUNCTIONS, f"STACK WIN 4 1000 100 0 0 0 4 4 0 1 {_SEARCH_PROGRAM}"),
        ["inner context", "middle cfi_scan"],
    ),
    Case(
        "x86: a search where a program fails",
        "windows",
        "x86",
        {"eip": INNER, "ebp": STACK + 0x20},
        {2: 0x1234567, 9: MIDDLE, 0xB: STACK + 0x50},
        (*FUNCTIONS, "STACK WIN 4 1000 100 0 0 0 4 4 0 1 $T0 .nothing = $eip $T0 ^ ="),
        ["inner context", "middle scan"],
    ),
    Case(
        "x86: the arguments of the called function lie between",
        "windows",
        "x86",
        {"eip": INNER, "ebp": STACK + 0x80},
        {0: MIDDLE, 1: 1, 2: 2, 3: 3, 4: 4, 5: OUTER, 6: ELSEWHERE},
        (
            *FUNCTIONS,
            "STACK WIN 0 1000 100 0 0 10 0 0 0 0 0",
            "STACK WIN 0 2000 100 0 0 0 0 0 0 0 0",
        ),
        ["inner context", "middle cfi", "outer cfi"],
    ),
    Case(
        "x86: a system call returns to where it is",
        "windows",
        "x86",
        {"eip": INNER, "ebp": STACK + 0x80},
        {0: INNER, 1: MIDDLE, 5: OUTER},
        (*FUNCTIONS, "STACK WIN 0 1000 100 0 0 0 0 0 0 0 0"),
        ["inner context", "middle cfi"],
    ),
    Case(
        "x86: a call through a bad pointer",
        "linux",
        "x86",
        {"eip": 0x41414141, "ebp": STACK + 0x20},
        {0: INNER, 8: STACK + 0x40, 9: OUTER},
        FUNCTIONS,
        ["0x41414141 context", "outer frame_pointer"],
        ["0x41414141 context", "inner leaf", "outer frame_pointer"],
        "Breakpad follows the frame pointer, still that of the caller, which it skips",
    ),
    Case(
        "arm64: unwind data after a frame record count from the frame pointer",
        "linux",
        "arm64",
        {"pc": ELSEWHERE, "x29": STACK, "x30": INNER},
        {0: STACK + 0x40, 1: INNER, 8: STACK + 0x60, 9: MIDDLE, 0xC: 0, 0xD: OUTER},
        (*FUNCTIONS, _CFI_64.replace("-8 +", "-24 +").replace("-16 +", "-32 +")),
        ["other+0x40 context", "inner frame_pointer"],
        ["other+0x40 context", "inner frame_pointer", "middle cfi"],
        "Breakpad takes a stack pointer for known that only is above the record",
    ),
    Case(
        "arm64: a frame pointer of 0 ends the stack",
        "linux",
        "arm64",
        {"pc": INNER, "x29": STACK + 0x10, "x30": 1},
        {2: 0, 3: MIDDLE, 6: OUTER, 7: OUTER},
        (*FUNCTIONS, _CFI_64),
        ["inner context", "middle cfi"],
    ),
)


def shown(report: Report) -> list[str]:
    """The frames of the crashed thread as a case lists them."""
    thread = report.crashed_thread
    assert thread is not None
    return [
        f"{frame.function or _place(frame.module, frame.offset, frame.address)} {frame.trust}"
        for frame in thread.frames
    ]


def _place(module: str | None, offset: int | None, address: int | None) -> str:
    return f"{module}+0x{offset:x}" if module else f"0x{address:x}"
