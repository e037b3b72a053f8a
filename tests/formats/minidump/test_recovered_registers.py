"""The registers of a caller, from every place of a function that moves them about.

After the `CFI` fixtures of Breakpad's `stackwalker_{x86,amd64,arm,arm64}_unittest.cc`: the same
caller must come out wherever in the function the thread stands. What it had in its registers is
`CALLER`; what the function may have put there since is `JUNK`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from chalicelib.formats.minidump.code_map import CodeMap
from chalicelib.formats.minidump.frame_state import FrameState
from chalicelib.formats.minidump.reader import read
from chalicelib.formats.minidump.stack_memory import StackMemory
from chalicelib.formats.minidump.unwinding import Unwinder
from chalicelib.symbols.folder_source import FolderSymbols
from tests.formats.minidump.builder import MinidumpBuilder

CODE, SIZE = 0x4000_0000, 0x1_0000
CALLER_SP = 0x8000_0000
RETURN = CODE + 0x5510
ID = "111122223333444455556666777788881"
CALLER = {"kept 1": 0x60F2_0CE6, "kept 2": 0x53D1_379D, "kept 3": 0x6FBA_E234, "fp": 0x40D4_AAB9}
JUNK = 0x11AA_9A8B


@dataclass(frozen=True)
class Cpu:
    """`kept` are three registers that a function keeps for its caller; `rows` are the rules from
    the places 0, 1, 2, 3, 5 and 6 of the function on, in terms of `W`, the bytes of a word."""

    name: str
    word: int
    ip: str
    sp: str
    fp: str
    kept: tuple[str, str, str]
    dollar: str = ""

    def rule(self, name: str) -> str:
        return f"{self.dollar}{name}"


CPUS = (
    Cpu("x86", 4, "eip", "esp", "ebp", ("ebx", "esi", "edi"), "$"),
    Cpu("amd64", 8, "rip", "rsp", "rbp", ("rbx", "r12", "r13"), "$"),
    Cpu("arm", 4, "pc", "sp", "r11", ("r4", "r5", "r6")),
    Cpu("arm64", 8, "pc", "sp", "x29", ("x19", "x20", "x21")),
)


def symbols(cpu: Cpu, folder: Path) -> FolderSymbols:
    """At 4000 the function is entered, at 4001 it has pushed its first register, at 4002 the
    second is in the first; from 4003 on the third is saved, at 4005 the return address is in it,
    and from 4006 on the frame pointer counts."""
    one, two, three = map(cpu.rule, cpu.kept)
    sp, fp, word = cpu.rule(cpu.sp), cpu.rule(cpu.fp), cpu.word
    (folder / "game.sym").write_text(
        f"""MODULE Linux x86_64 {ID} game
FUNC 4000 100 0 callee
STACK CFI INIT 4000 100 .cfa: {sp} {word} + .ra: .cfa {word} - ^
STACK CFI 4001 .cfa: {sp} {2 * word} + {one}: .cfa {2 * word} - ^
STACK CFI 4002 {two}: {one}
STACK CFI 4003 .cfa: {sp} {5 * word} + {three}: .cfa {4 * word} - ^
STACK CFI 4005 .ra: {three}
STACK CFI 4006 .cfa: {fp} {2 * word} + {fp}: .cfa {3 * word} - ^
FUNC 5000 1000 0 caller
STACK CFI INIT 5000 1000 .cfa: {sp} .ra: 0
"""
    )
    return FolderSymbols(folder)


KEPT_1, KEPT_2, KEPT_3, FP = CALLER.values()
# By the place in the function: the stack below the caller's, and the registers that it changed.
PLACES: Mapping[int, tuple[Sequence[int], Mapping[str, int]]] = {
    0: ([RETURN], {}),
    1: ([KEPT_1, RETURN], {"kept 1": JUNK}),
    2: ([KEPT_1, RETURN], {"kept 1": KEPT_2, "kept 2": JUNK}),
    3: ([JUNK, KEPT_3, JUNK, KEPT_1, RETURN], {"kept 1": KEPT_2, "kept 2": JUNK, "kept 3": JUNK}),
    4: ([JUNK, KEPT_3, JUNK, KEPT_1, RETURN], {"kept 1": KEPT_2, "kept 2": 0, "kept 3": 1}),
    5: ([JUNK, KEPT_3, JUNK, KEPT_1, JUNK], {"kept 1": KEPT_2, "kept 2": 2, "kept 3": RETURN}),
    6: (
        [JUNK, KEPT_3, FP, KEPT_1, JUNK],
        {"kept 1": KEPT_2, "kept 2": 3, "kept 3": RETURN, "fp": 0},
    ),
}


@pytest.mark.parametrize("cpu", CPUS, ids=lambda cpu: cpu.name)
@pytest.mark.parametrize("place", PLACES)
def test_the_caller_has_its_registers_again(cpu: Cpu, place: int, tmp_path: Path) -> None:
    below, changed = PLACES[place]
    names = dict(zip(CALLER, (*cpu.kept, cpu.fp), strict=True))
    registers = {names[name]: value for name, value in {**CALLER, **changed}.items()}
    start = CALLER_SP - len(below) * cpu.word
    registers |= {cpu.ip: CODE + 0x4000 + place, cpu.sp: start}
    if place == 6:
        registers[cpu.fp] = CALLER_SP - 2 * cpu.word
    states = unwound(cpu, registers, start, [*below, *[0] * 8], symbols(cpu, tmp_path))
    assert [state.locations[0].function for state in states] == ["callee", "caller"]
    caller = states[1]
    assert caller.trust == "cfi"
    expected = {names[name]: value for name, value in CALLER.items()}
    expected |= {cpu.ip: RETURN, cpu.sp: CALLER_SP}
    named = {cpu.rule(name): value for name, value in expected.items()}
    assert {name: caller.registers[name] for name in named} == named
    assert set(named) <= caller.known


def unwound(
    cpu: Cpu,
    registers: Mapping[str, int],
    start: int,
    words: Sequence[int],
    symbols: FolderSymbols,
) -> list[FrameState]:
    stack = struct.pack(f"<{len(words)}{'I' if cpu.word == 4 else 'Q'}", *words)
    dump = read(
        MinidumpBuilder(os="linux", cpu=cpu.name)
        .module("/app/game", CODE, SIZE, debug_file="game", debug_id=ID)
        .thread(1, registers, stack=stack, stack_start=start)
        .build()
    )
    context = dump.threads[0].context
    assert context is not None
    code = CodeMap(dump, symbols, max_lookups=100)
    memory = StackMemory(start, memoryview(stack), cpu.word)
    return Unwinder("linux", code).unwind(context, lambda _: memory).states
