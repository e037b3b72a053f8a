"""Damaged minidumps by the thousand: each is read, or refused with a reason, in bounded time.

python -m tests.formats.minidump.fuzz [--count 20000] [--seed 1] [--jobs 2] [--only NUMBER]

Prints how many were read whole, in part, or refused, and the slowest. Ends with status 1 when
one raised anything but `FormatError`, took too long or too much memory; `--only` does that one
again, `--keep FOLDER` writes those dumps there. The seeds are the shared dumps where they are,
and dumps made by hand for the other processors; the same numbers always give the same dumps.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import traceback
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from time import perf_counter

import pytest

from chalicelib.errors import FormatError
from chalicelib.formats.minidump import report
from chalicelib.formats.minidump.reader import read
from chalicelib.formats.minidump.reason import reason_of
from chalicelib.formats.minidump.symbol_source import NoSymbols, SymbolSource
from chalicelib.symbols.folder_source import FolderSymbols
from tests.formats.minidump.builder import STACK_POINTERS, MinidumpBuilder, ModuleAnnotations
from tests.formats.minidump.mutations import MUTATIONS
from tests.shared_data import shared_data

MAX_CPU_SECONDS = 2.0  # a whole dump takes milliseconds; the slowest mutants about a tenth of this
MAX_PEAK_BYTES = 64 * 1024 * 1024  # of what Python allocates for one mutant of some 100 kB
MEASURED = 16  # one in so many has its memory measured; shares no factor with the mutations
_BLOCK = 100


@dataclass(frozen=True)
class Mutant:
    """`number` and the seed make it again."""

    number: int
    name: str
    raw: bytes


@dataclass(frozen=True)
class Outcome:
    """`kind` is `whole`, `in part`, `refused`, or `FAILED` with what happened.

    `seconds` is elapsed time: some systems account CPU time by ticks of milliseconds. The limit
    is on CPU time, so that a busy machine fails nothing.
    """

    mutant: str
    kind: str
    seconds: float
    peak_bytes: int = 0
    failure: str = ""


@cache
def seed_dumps() -> tuple[tuple[str, bytes], ...]:
    """The dumps that are damaged: real ones where they are at hand, and one of each processor."""
    found: list[tuple[str, bytes]] = []
    try:
        folder = shared_data("minidumps", "dumps")
    except pytest.skip.Exception:
        folder = None
    if folder:
        found += [(path.stem, path.read_bytes()) for path in sorted(folder.iterdir())]
    return (*found, *((f"made-{cpu}", _made(cpu)) for cpu in STACK_POINTERS))


@cache
def symbols() -> SymbolSource:
    """The shared symbol files; none where they are absent."""
    try:
        return FolderSymbols(shared_data("minidumps", "symbols"))
    except pytest.skip.Exception:
        return NoSymbols()


def _made(cpu: str) -> bytes:
    """A dump with the streams that the shared ones lack."""
    program_counter = {"x86": "eip", "amd64": "rip"}.get(cpu, "pc")
    stack = b"".join((0x40_0000 + 8 * word).to_bytes(8, "little") for word in range(64))
    registers = {program_counter: 0x40_0100, STACK_POINTERS[cpu]: 0x8000}
    return (
        MinidumpBuilder("android" if cpu.startswith("arm") else "windows", cpu, build_text="build")
        .module("/app", 0x40_0000, 0x1000, debug_file="app", debug_id="AB" * 16 + "1")
        .module("/lib.so", 0x50_0000, 0x1000, build_id=bytes(range(20)))
        .unloaded_module("/old.so", 0x60_0000, 0x1000)
        .thread(1, registers, stack=stack, name="main")
        .thread(2, registers, stack=stack, stack_start=0x9000, name="worker")
        .exception(1, code=11, flags=1, address=0x45, registers=registers)
        .memory64(0xB000, bytes(256))
        .memory_info(0x8000, 0x1000)
        .misc_info(77, 1_700_000_000, 1364)
        .breakpad_info(requesting_thread=1)
        .assertion(1, "x > 0")
        .crashpad_info({"a": "1"}, {0: ModuleAnnotations({"b": "2"}, ["c"], [("d", 1, b"e")])})
        .build()
    )


def mutant(number: int, seed: int) -> Mutant:
    """The mutant of that number; each mutation gets its turn, some are applied on top."""
    dumps = seed_dumps()
    random = Random(f"{seed}/{number}")
    name, raw = random.choice(dumps)
    names = list(MUTATIONS)
    chosen = [names[number % len(names)]]
    while random.random() < 0.25:
        chosen.append(random.choice(names))
    originals = [dump for _, dump in dumps]
    for mutation in chosen:
        if len(raw) > 64:
            raw = MUTATIONS[mutation](bytearray(raw), originals, random)
    while raw in originals:  # what was written over it was the same, or made it another dump
        raw = MUTATIONS[chosen[0]](bytearray(raw), originals, random)
    return Mutant(number, f"{number} ({name}: {' + '.join(chosen)})", raw)


class _TooLong(BaseException):
    """Not an `Exception`, so that nothing under test takes it for its own."""


def _stop(_signal: int, _frame: object) -> None:
    raise _TooLong


def examine(damaged: Mutant, *, measure_memory: bool) -> Outcome:
    """Reads a mutant, names its crash and walks its stacks. Call on the main thread only."""
    signal.signal(signal.SIGVTALRM, _stop)
    if measure_memory:
        tracemalloc.start()
    kind, failure, peak = "FAILED", "", 0
    began = perf_counter()
    try:
        # Measured by tracemalloc, everything takes about four times as long.
        signal.setitimer(signal.ITIMER_VIRTUAL, MAX_CPU_SECONDS * (4 if measure_memory else 1))
        kind = _read(damaged.raw)
    except _TooLong:
        failure = f"took more than {MAX_CPU_SECONDS} s"
    except Exception:
        failure = traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        seconds = perf_counter() - began
        if measure_memory:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            seconds = 0.0
    if peak > MAX_PEAK_BYTES:
        kind, failure = "FAILED", f"took {peak} bytes"
    return Outcome(damaged.name, kind, seconds, peak, failure)


def _read(raw: bytes) -> str:
    try:
        dump = read(raw)
    except FormatError as error:
        if not error.problem:
            raise AssertionError("refused without a reason") from error
        return "refused"
    if not reason_of(dump).reason:
        raise AssertionError("no reason")
    report.report_of(dump, symbols())
    return "in part" if dump.unread else "whole"


def run(numbers: Sequence[int], seed: int) -> Iterator[Outcome]:
    symbols()  # opened before anything is timed
    for number in numbers:
        yield examine(mutant(number, seed), measure_memory=number % MEASURED == 0)


def _block(first: int, last: int, seed: int) -> tuple[list[Outcome], int]:
    """The outcomes of some mutants, and the most memory the process has had (KiB)."""
    outcomes = list(run(range(first, last), seed))
    return outcomes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", type=int, help="one mutant, by its number")
    parser.add_argument("--keep", type=Path, help="a folder for the dumps that fail")
    options = parser.parse_args()
    first = 0 if options.only is None else options.only
    last = first + (options.count if options.only is None else 1)
    outcomes: list[Outcome] = []
    most_memory = 0
    with ProcessPoolExecutor(options.jobs) as pool:
        blocks = [
            pool.submit(_block, begin, min(begin + _BLOCK, last), options.seed)
            for begin in range(first, last, _BLOCK)
        ]
        for block in blocks:
            found, memory = block.result()
            outcomes += found
            most_memory = max(most_memory, memory)
            if sys.stdout.isatty():
                print(f"\r{len(outcomes)} of {last - first} ", end="", flush=True)
    failed = [outcome for outcome in outcomes if outcome.kind == "FAILED"]
    _tell(outcomes, most_memory)
    for outcome in failed:
        print(f"\nFAILED: {outcome.mutant}\n{outcome.failure}")
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            number = int(outcome.mutant.split()[0])
            path = options.keep / f"{options.seed}-{number}.dmp"
            path.write_bytes(mutant(number, options.seed).raw)
    sys.exit(1 if failed else 0)


def _tell(outcomes: Sequence[Outcome], most_memory: int) -> None:
    seconds = sorted(outcome.seconds for outcome in outcomes if not outcome.peak_bytes)
    for kind, count in Counter(outcome.kind for outcome in outcomes).most_common():
        print(f"{count:8} {kind}")
    if seconds:
        print(
            f"time each: median {seconds[len(seconds) // 2] * 1e3:.1f} ms, "
            f"99% {seconds[len(seconds) * 99 // 100] * 1e3:.1f} ms, "
            f"longest {seconds[-1] * 1e3:.1f} ms"
        )
    peak = max(outcome.peak_bytes for outcome in outcomes)
    print(f"memory: at most {peak / 1e6:.1f} MB for one, {most_memory / 1024:.0f} MB a process")
    for outcome in sorted(outcomes, key=lambda outcome: -outcome.seconds)[:5]:
        print(f"{outcome.seconds * 1e3:8.1f} ms  {outcome.mutant}")


if __name__ == "__main__":
    main()
