"""Stacks of chance beside Breakpad's: what no dump at hand has.

    python -m benchmarks.minidumps.random_stacks --stackwalk PATH [--dumps N] [--seed N]

PATH is Breakpad's `minidump_stackwalk`. Each dump has 25 threads, whose registers and stacks hold
return addresses, pointers into the stack and noise, and two modules with symbols: functions,
lines, public symbols, and rules of unwind data that lead anywhere. What both print is compared
frame by frame. Functions take no arguments on the stack: Breakpad counts those of the innermost
call for every call (a case of `tests/formats/minidump/breakpad_stacks.py`). ARM is left out, as
frame records are followed there by other rules than Breakpad's, which chance does not show.
"""

from __future__ import annotations

import argparse
import random
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import output
from benchmarks.minidumps import stackwalk
from benchmarks.minidumps.comparison import Difference, first_difference
from chalicelib.formats.minidump.report import parse
from chalicelib.symbols.folder_source import FolderSymbols
from tests.formats.minidump.builder import STACK_POINTERS, MinidumpBuilder

THREADS = 25
_IDS = {"game": "111122223333444455556666777788881", "lib": "AAAABBBBCCCCDDDDEEEEFFFF000011112"}
_MODULES = {"game": 0x40_0000, "lib": 0x50_0000, "other": 0x70_0000}  # the last has no symbols
_MODULE_BYTES, _CODE, _CODE_END = 0x1_0000, 0x1000, 0x2800
_FUNCTIONS = 16


@dataclass(frozen=True, slots=True)
class Machine:
    """A CPU and a system: the bytes of a word, its registers, those that unwind data restore."""

    cpu: str
    os: str
    word: int
    ip: str
    registers: tuple[str, ...]
    saved: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.cpu} {self.os}"

    @property
    def stack_pointer(self) -> str:
        return self.in_rules(STACK_POINTERS[self.cpu])

    def in_rules(self, register: str) -> str:
        return f"${register}"


_X86 = ("ebp", "ebx", "esi", "edi", "eax", "ecx")
_AMD64 = ("rbp", "rbx", "r12", "r13", "rax", "rcx")
MACHINES = (
    Machine("x86", "windows", 4, "eip", _X86, ("ebp", "ebx", "esi")),
    Machine("x86", "linux", 4, "eip", _X86, ("ebp", "ebx", "esi")),
    Machine("amd64", "windows", 8, "rip", _AMD64, ("rbp", "rbx", "r12")),
    Machine("amd64", "linux", 8, "rip", _AMD64, ("rbp", "rbx", "r12")),
    Machine("amd64", "macos", 8, "rip", _AMD64, ("rbp", "rbx", "r12")),
)
# As Visual C++ writes them, and some that fail.
_PROGRAMS = (
    "$T0 $ebp = $eip $T0 4 + ^ = $ebp $T0 ^ = $esp $T0 8 + =",
    "$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + =",
    "$T0 .raSearchStart = $eip $T0 ^ = $esp $T0 4 + = $ebp $T0 4 - ^ =",
    "$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + = $ebp $T0 8 - ^ = $ebx $T0 12 - ^ =",
    "$T1 .raSearch = $T0 $T1 4 - 8 @ = $ebp $T1 4 - ^ = $eip $T1 ^ = $esp $T1 4 + =",
    "$T2 $esp .cbLocals + .cbSavedRegs + = $T0 .raSearchStart = $eip $T0 ^ = $esp $T0 4 + = "
    "$ebp $T0 20 - ^ = $L $T2 .cbSavedRegs - = $P $T0 4 + .cbParams + =",
    "$T0 $ebp 128 + =$eip $T0 4 + ^ = $esp $T0 8 + =",
    "$ebp .nothing = $eip 5 =",
    "$eip .raSearch ^ =",
)


@dataclass(frozen=True, slots=True)
class Made:
    """A dump, and the text of each module's symbol file."""

    raw: bytes
    symbols: Mapping[str, str]


def made(machine: Machine, seed: int) -> Made:
    """The dump of a seed, always the same."""
    return _Maker(machine, random.Random(f"{machine} {seed}")).made()


class _Maker:
    def __init__(self, machine: Machine, chance: random.Random) -> None:
        self._machine = machine
        self._chance = chance
        self._stacks = 0x8000_0000 if machine.word == 4 else 0x7FFF_0000_0000

    def made(self) -> Made:
        machine = self._machine
        symbols = {name: "\n".join(self._symbols(name)) + "\n" for name in _IDS}
        builder = MinidumpBuilder(os=machine.os, cpu=machine.cpu)
        for name, start in _MODULES.items():
            builder.module(
                f"/app/{name}", start, _MODULE_BYTES, debug_file=name, debug_id=_IDS.get(name, "")
            )
        crashed: Mapping[str, int] = {}
        for number in range(THREADS):
            registers = self._thread(builder, number + 1, self._stacks + number * 0x1_0000)
            crashed = crashed or registers
        builder.exception(1, code=11, address=5, parameters=(0, 5), registers=crashed)
        return Made(builder.build(), symbols)

    def _thread(self, builder: MinidumpBuilder, number: int, start: int) -> Mapping[str, int]:
        chance, machine = self._chance, self._machine
        count = chance.choice((60, 120, 240))
        word = machine.word
        end = start + count * word
        words = [self._word(start + place * word, end) for place in range(count)]
        registers = {name: self._word(start, end, pointers=0.6) for name in machine.registers}
        registers[machine.ip] = (
            self._code_address() if chance.random() < 0.9 else self._word(start, end)
        )
        above = chance.choice((0, 0, 4 * word, 8 * word, 3))
        registers[STACK_POINTERS[machine.cpu]] = start + above
        stack = struct.pack(f"<{count}{'I' if word == 4 else 'Q'}", *words)
        builder.thread(number, registers, stack=stack, stack_start=start)
        return registers

    def _word(self, here: int, end: int, pointers: float = 0.2) -> int:
        chance, word = self._chance, self._machine.word
        if chance.random() < pointers:
            return chance.randrange(here, end, word)
        kind = chance.random()
        if kind < 0.4:
            return self._code_address()
        if kind < 0.5:
            return chance.choice((5, 0x30_0000, 0x1234_5678, 0xDEAD_BEEF, end - 3))
        if kind < 0.55 and word == 8:
            return chance.choice((1 << 63, 0xFFFF_8000_0000_0000, 0x7FFF_FFFF_FFFF))
        return 0

    def _code_address(self) -> int:
        """In any module, sometimes where it has no function."""
        start = _MODULES[self._chance.choice(("game", "game", "lib", "lib", "other"))]
        return start + self._chance.randrange(_CODE, _CODE_END)

    def _symbols(self, module: str) -> Iterator[str]:
        chance, machine = self._chance, self._machine
        system = "windows x86" if machine.cpu == "x86" else "Linux x86_64"
        yield f"MODULE {system} {_IDS[module]} {module}"
        yield from ("FILE 0 a.cc", "FILE 1 b.cc")
        places: list[tuple[int, int]] = []
        address = _CODE
        for number in range(_FUNCTIONS):
            size = chance.choice((0x40, 0x80, 0x100, 0x200))
            places.append((address, size))
            kind = chance.random()
            if kind < 0.7:
                yield f"FUNC {address:x} {size:x} 0 {module}_function_{number}"
                for offset in range(0, size, 0x10) if kind < 0.5 else ():
                    line, file = chance.choice((1, 5, 77)), chance.choice((0, 1))
                    yield f"{address + offset:x} 10 {line} {file}"
            elif kind < 0.9:
                yield f"PUBLIC {address:x} 0 {module}_public_{number}"
            address += size + chance.choice((0, 0, 0x10, 0x40))
        is_windows = (machine.cpu, machine.os) == ("x86", "windows")
        for start, size in places:
            if is_windows:
                yield from self._windows_frames(start, size)
            elif chance.random() < 0.75:
                yield f"STACK CFI INIT {start:x} {size:x} {self._rules(whole=True)}"
                rows = chance.sample(range(1, size, 3), chance.choice((0, 0, 1, 2, 3)))
                for row in sorted(rows):
                    yield f"STACK CFI {start + row:x} {self._rules(whole=False)}"

    def _windows_frames(self, start: int, size: int) -> Iterator[str]:
        chance = self._chance
        while chance.random() < 0.55:
            kind = chance.choice((0, 0, 4, 4, 4, 3))
            tail = f"1 {chance.choice(_PROGRAMS)}" if kind == 4 else f"0 {chance.choice((0, 1))}"
            begin = start + chance.choice((0, 0, 0, 0x10))
            length = chance.choice((size, size, size // 2))
            saved, local = (chance.choice((0, 0, 4, 8, 0xC, 0x10, 0x28)) for _ in range(2))
            yield f"STACK WIN {kind} {begin:x} {length:x} 0 0 0 {saved:x} {local:x} 0 {tail}"

    def _rules(self, *, whole: bool) -> str:
        """Rules for a frame, all that are needed or a change of some."""
        chance, machine, word = self._chance, self._machine, self._machine.word
        stack_pointer = machine.stack_pointer
        base = chance.choice((stack_pointer, stack_pointer, machine.in_rules(machine.saved[0])))
        rules = []
        if whole or chance.random() < 0.7:
            rules.append(f".cfa: {base} {chance.choice((0, 1, 2, 4, 6, -1)) * word} +")
        if whole or chance.random() < 0.2:
            usual = f".cfa -{word} + ^"
            odd = (f".cfa {2 * word} - ^", f"{stack_pointer} ^", "0", machine.in_rules("nothing"))
            rules.append(f".ra: {usual if chance.random() < 0.7 else chance.choice(odd)}")
        for register in machine.saved:
            if chance.random() < 0.4:
                usual = f".cfa -{chance.choice((2, 3, 4)) * word} + ^"
                odd = (machine.in_rules(register), ".undef", stack_pointer, "0")
                rule = usual if chance.random() < 0.6 else chance.choice(odd)
                rules.append(f"{machine.in_rules(register)}: {rule}")
        return " ".join(rules or [f".cfa: {stack_pointer} {word} +"])


def differences(tool: Path, machine: Machine, dump: Made) -> tuple[int, list[Difference]]:
    """How many threads were compared, and the first difference of each that differs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.dmp").write_bytes(dump.raw)
        for module, text in dump.symbols.items():
            place = folder / "symbols" / module / _IDS[module]
            place.mkdir(parents=True)
            (place / f"{module}.sym").write_text(text)
        symbols = folder / "symbols"
        done = subprocess.run(
            [tool, "-m", folder / "a.dmp", symbols], capture_output=True, check=True
        )
        report = parse(dump.raw, FolderSymbols(symbols))
    theirs = stackwalk.parse(done.stdout.decode("utf-8", "replace"))
    ours = {thread.number: thread.frames for thread in report.threads}
    found = (
        first_difference(ours.get(number, ()), rows, machine.cpu)
        for number, rows in theirs.stacks.items()
    )
    return len(theirs.stacks), [difference for difference in found if difference]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stackwalk", type=Path, required=True)
    parser.add_argument("--dumps", type=int, default=100, help="of each machine")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    rows: list[tuple[object, ...]] = []
    for machine in MACHINES:
        threads, better, unexplained = 0, 0, 0
        for seed in range(options.seed, options.seed + options.dumps):
            count, found = differences(options.stackwalk, machine, made(machine, seed))
            threads += count
            better += sum(difference.better == "ours" for difference in found)
            unexplained += sum(difference.better is None for difference in found)
        rows.append((machine, threads, threads - better - unexplained, better, unexplained))
    print(output.table(("machine", "threads", "identical", "ours better", "not explained"), rows))


if __name__ == "__main__":
    main()
