"""What Breakpad's own tests of its stack walkers are about, as cases beside those of `stacks`.

Source: `stackwalker_x86_unittest.cc`, `stackwalker_arm_unittest.cc` and
`cfi_frame_info_unittest.cc`; the stacks and the symbols are made anew, and the tool was asked
about each. The first two are what its tests do not notice.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.formats.minidump.stacks import (
    ELSEWHERE,
    FUNCTIONS,
    INNER,
    MIDDLE,
    OTHER,
    OUTER,
    STACK,
    Case,
)

_FRAME = "$T0 $ebp = $eip $T0 4 + ^ = $ebp $T0 ^ = $esp $T0 8 + ="
_SAVED = (
    "$T2 $esp .cbSavedRegs + = $T0 .raSearchStart = $eip $T0 ^ = $esp $T0 4 + = "
    "$ebx $T2 4 - ^ = $edi $T2 8 - ^ = $esi $T2 12 - ^ = $ebp $T2 16 - ^ ="
)
_NOWHERE = 0x1767A0  # in no module

BREAKPAD_CASES: Sequence[Case] = (
    Case(
        "x86: the arguments of each called function, not of the first, lie below a frame",
        "windows",
        "x86",
        {"eip": INNER, "ebp": STACK + 0x80},
        {0: MIDDLE, 1: OUTER, 2: INNER, 3: 2, 4: 3, 5: 4, 6: ELSEWHERE},
        (
            *FUNCTIONS,
            "STACK WIN 0 1000 100 0 0 0 0 0 0 0 0",
            "STACK WIN 0 2000 100 0 0 10 0 0 0 0 0",
            "STACK WIN 0 3000 100 0 0 0 0 0 0 0 0",
        ),
        ["inner context", "middle cfi", "outer cfi", "inner cfi", "other+0x40 cfi"],
        ["inner context", "middle cfi", "outer cfi", "other+0x40 cfi"],
        "Breakpad takes the arguments of the innermost call for those of every call",
    ),
    Case(
        "x86: the arguments that only a PUBLIC record tells of",
        "windows",
        "x86",
        {"eip": INNER, "ebp": 5},
        {0: MIDDLE, 1: 1, 2: 2, 3: 3, 4: 4, 5: OUTER, 9: ELSEWHERE},
        (
            "PUBLIC 1000 10 inner",
            *FUNCTIONS[1:],
            "STACK WIN 0 2000 100 0 0 0 0 0 0 0 0",
        ),
        ["inner context", "middle scan", "outer cfi_scan", "other+0x40 scan"],
        ["inner context", "middle scan", "outer cfi", "other+0x40 scan"],
        "Breakpad reads the size in a PUBLIC record and drops it (FindWindowsFrameInfo gives NULL)",
    ),
    Case(
        "x86: a program that recovers every register, and one that needs them",
        "windows",
        "x86",
        {"eip": INNER, "ebp": 0xF052C1DE},
        {0: STACK + 0x40, 3: STACK + 0x60, 4: 0xA08EA45F, 5: MIDDLE, 0x10: 1, 0x18: 7, 0x19: OUTER},
        (
            *FUNCTIONS,
            f"STACK WIN 4 1000 100 0 0 4 10 4 0 1 {_SAVED}",
            "STACK WIN 4 2000 100 0 0 0 0 0 0 1 $eip $ebx 4 + ^ = $esp $ebx 8 + = $ebp $ebx ^ =",
        ),
        ["inner context", "middle cfi", "outer cfi"],
    ),
    Case(
        "x86: a STACK WIN record beats what FUNC says of the parameters",
        "windows",
        "x86",
        {"eip": INNER, "ebp": STACK + 0x10},
        {4: 0x6FA902E0, 5: MIDDLE, 8: 9, 9: STACK + 0x40, 0xC: 3, 0xE: OUTER},
        (
            "FUNC 1000 100 c inner",
            "FUNC 2000 100 beef middle",
            FUNCTIONS[2],
            "STACK WIN 4 2000 100 0 0 4 10 4 0 1 $T2 $esp .cbLocals + .cbSavedRegs + = "
            "$T0 .raSearchStart = $eip $T0 ^ = $esp $T0 4 + = $ebp $T0 20 - ^ = $ebx $T0 8 - ^ =",
        ),
        ["inner context", "middle frame_pointer", "outer cfi"],
    ),
    Case(
        "x86: a function without a frame pointer that leaves ebp alone",
        "windows",
        "x86",
        {"eip": INNER, "ebp": STACK + 0x20},
        {4: MIDDLE, 8: 0, 9: OUTER},
        (*FUNCTIONS, "STACK WIN 0 1000 100 0 0 4 8 8 0 0 0"),
        ["inner context", "middle cfi", "outer frame_pointer"],
    ),
    Case(
        "x86: a function that uses ebp for something else saves it among its registers",
        "windows",
        "x86",
        {"eip": INNER, "ebp": 0xECBDD1A5},
        {2: STACK + 0x38, 4: MIDDLE, 0xE: 5, 0xF: OUTER},
        (*FUNCTIONS, "STACK WIN 0 1000 100 0 0 4 10 0 0 0 1"),
        ["inner context", "middle cfi", "outer frame_pointer"],
    ),
    Case(
        "x86: a saved frame pointer that is none is looked for among the saved registers",
        "windows",
        "x86",
        {"eip": INNER, "ebp": 0xECBDD1A5},
        {0: STACK + 0x20, 1: 7, 2: STACK + 0x38, 3: 7, 4: MIDDLE, 0xE: 5, 0xF: OUTER},
        (*FUNCTIONS, "STACK WIN 0 1000 100 0 0 4 c 4 0 0 1"),
        ["inner context", "middle cfi", "outer frame_pointer"],
    ),
    Case(
        "x86: a frame in no module is passed over by a search, with its frame pointer",
        "windows",
        "x86",
        {"eip": INNER, "ebp": STACK + 8},
        {2: STACK + 0x40, 3: _NOWHERE, 0x10: STACK + 0x60, 0x11: MIDDLE, 0x18: 0, 0x19: OUTER},
        (
            *FUNCTIONS,
            f"STACK WIN 4 1000 100 0 0 8 0 0 0 1 {_FRAME}",
            f"STACK WIN 4 2000 100 0 0 8 8 3c 0 1 {_FRAME}",
        ),
        ["inner context", "middle cfi_scan", "outer cfi"],
    ),
    Case(
        "x86: code in no module, and frame data above it",
        "windows",
        "x86",
        {"eip": _NOWHERE, "ebp": 5},
        {6: STACK + 0x30, 7: MIDDLE, 0xC: STACK + 0x50, 0xD: OUTER, 0x14: 0, 0x15: 0},
        (
            *FUNCTIONS,
            f"STACK WIN 4 2000 100 0 0 8 0 0 0 1 {_FRAME}",
            f"STACK WIN 4 3000 100 0 0 8 0 0 0 1 {_FRAME}",
        ),
        ["0x1767a0 context", "middle scan", "outer cfi"],
    ),
    Case(
        "arm: unwind data that lead backwards end the stack",
        "android",
        "arm",
        {"pc": INNER, "lr": MIDDLE},
        {0: OUTER, 4: OUTER},
        (*FUNCTIONS, "STACK CFI INIT 1000 100 .cfa: sp 4 - .ra: lr"),
        ["inner context"],
    ),
    Case(
        "arm: unwind data that cannot be evaluated give way to a search",
        "android",
        "arm",
        {"pc": INNER, "lr": MIDDLE},
        {3: OUTER},
        (*FUNCTIONS, "STACK CFI INIT 1000 100 .cfa: sp .ra: lr ^"),
        ["inner context", "outer scan"],
    ),
    Case(
        "arm: Apple's unwind data are read, then frame pointers",
        "ios",
        "arm",
        {"pc": INNER, "r7": STACK + 0x20, "lr": 1},
        {7: MIDDLE, 8: STACK + 0x40, 9: OUTER, 0x10: 0, 0x11: OTHER + 0x20},
        (
            *FUNCTIONS,
            "STACK CFI INIT 1000 100 .cfa: sp 32 + .ra: .cfa -4 + ^ lr: .cfa -4 + ^",
        ),
        ["inner context"],
        ["inner context", "middle cfi", "outer frame_pointer"],
        "Breakpad leaves unwind data of iOS aside, as its own are not good; those of a dSYM are",
    ),
    Case(
        "amd64: a register whose rule fails keeps what it had",
        "linux",
        "amd64",
        {"rip": INNER, "rbp": STACK + 0x20},
        {1: MIDDLE, 4: 0, 5: OUTER},
        (
            *FUNCTIONS,
            "STACK CFI INIT 1000 100 .cfa: $rsp 16 + .ra: .cfa -8 + ^ $rbp: $nothing ^",
            "STACK CFI INIT 2000 100 .cfa: $rbp 16 + .ra: .cfa -8 + ^ $rbp: .cfa -16 + ^",
        ),
        ["inner context", "middle cfi", "outer cfi"],
    ),
    Case(
        "amd64: rules without .cfa or without .ra are none",
        "linux",
        "amd64",
        {"rip": INNER},
        {1: MIDDLE, 3: OUTER},
        (
            *FUNCTIONS,
            "STACK CFI INIT 1000 100 .cfa: $rsp 16 +",
            "STACK CFI INIT 2000 100 .ra: $rsp ^",
        ),
        ["inner context", "middle scan", "outer scan"],
    ),
    Case(
        "amd64: the rules of a later row replace those before; none sees what others find",
        "linux",
        "amd64",
        {"rip": INNER, "rbx": STACK, "r12": 7},
        {4: 9, 5: STACK + 0x40, 6: MIDDLE, 8: 5, 9: OUTER},
        (
            *FUNCTIONS,
            "STACK CFI INIT 1000 100 .cfa: $rbx .ra: 0 $rbx: 0",
            "STACK CFI 1010 .cfa: $rbx 56 + .ra: .cfa 8 - ^ $rbx: .cfa 16 - ^ $r12: $rbx",
            "STACK CFI 1012 .cfa: 0",
            "STACK CFI INIT 2000 100 .cfa: $r12 80 + .ra: $rbx 8 + ^",
        ),
        ["inner context", "middle cfi", "outer cfi"],
    ),
    Case(
        "amd64: rules may give the stack pointer and the instruction pointer themselves",
        "linux",
        "amd64",
        {"rip": INNER},
        {1: MIDDLE, 6: OUTER, 8: OUTER},
        (
            *FUNCTIONS,
            "STACK CFI INIT 1000 100 .cfa: $rsp 16 + .ra: 0 $rip: .cfa 8 - ^ $rsp: .cfa 16 +",
            "STACK CFI INIT 2000 100 .cfa: $rsp 24 + .ra: .cfa 8 - ^",
        ),
        ["inner context", "middle cfi", "outer cfi", "outer scan"],
    ),
)
