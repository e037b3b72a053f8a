"""Reason, address and stacks of minidumps beside Breakpad's, and how long one takes.

    python -m benchmarks.minidumps [--data FOLDER] [--rounds N]

FOLDER holds `dumps/NAME.dmp`, `expected/NAME.txt` (what Breakpad's
`minidump_stackwalk -m` prints) and `symbols/`; by default it is the
`minidumps` folder of the shared crash data. Times are of one core, with the
symbols opened before: reading the dump, unwinding every thread, the report.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import output
from benchmarks.minidumps import data
from benchmarks.minidumps.comparison import Comparison, compare
from benchmarks.minidumps.data import DataAbsent, Dump
from chalicelib.formats.minidump.report import parse
from chalicelib.formats.minidump.symbol_source import SymbolSource
from chalicelib.symbols.folder_source import FolderSymbols

NEEDED_SHARE = 0.95  # of the crashing stacks
MEDIAN_MS, MAXIMUM_MS = 5.0, 100.0
_ROUNDS = 7


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    options = parser.parse_args()
    try:
        root = options.data or data.folder()
    except DataAbsent as absent:
        print(f"skipped: {absent}")
        return
    dumps = list(data.dumps(root))
    symbols = FolderSymbols(root / "symbols")
    found = [compare(dump.name, parse(dump.raw, symbols), dump.expected) for dump in dumps]
    seconds = [seconds_of(dump, symbols, options.rounds) for dump in dumps]
    _print(found, seconds)
    output.keep(
        "minidumps",
        {
            "dumps": [
                {**asdict(one), "ms": 1000 * took} for one, took in zip(found, seconds, strict=True)
            ]
        },
    )


def seconds_of(dump: Dump, symbols: SymbolSource, rounds: int) -> float:
    """The median of some rounds: the machine has other things to do as well."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        parse(dump.raw, symbols)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def _print(found: Sequence[Comparison], seconds: Sequence[float]) -> None:
    heading = ("dump", "reason", "address", "stack", "frames", "inlined", "threads", "top 5", "ms")
    rows = [
        (
            one.name,
            _verdict(one.reason_equal),
            _verdict(one.address_equal),
            _verdict(one.stack_equal),
            one.frames,
            one.inlined,
            f"{one.threads_equal}/{one.threads}",
            f"{one.threads_top_5_equal}/{one.threads}",
            f"{1000 * took:.2f}",
        )
        for one, took in zip(found, seconds, strict=True)
    ]
    print(output.table(heading, rows))
    print()
    for one in found:
        if one.difference:
            told = one.difference
            print(f"{one.name}, frame {told.frame}: {told.better or 'nobody'} better: {told.why}")
            print(f"    ours   {told.ours}\n    theirs {told.theirs}")
    equal = sum(one.stack_equal for one in found)
    threads = sum(one.threads for one in found)
    print(
        f"reasons equal: {sum(one.reason_equal for one in found)} of {len(found)}\n"
        f"addresses equal: {sum(one.address_equal for one in found)} of {len(found)}\n"
        f"crashing stacks identical: {equal} of {len(found)} ({equal / len(found):.1%})\n"
        f"threads identical: {sum(one.threads_equal for one in found)} of {threads}, in their top "
        f"five frames: {sum(one.threads_top_5_equal for one in found)}\n"
        f"a dump: median {1000 * statistics.median(seconds):.2f} ms, at most "
        f"{1000 * max(seconds):.2f} ms (needed: {MEDIAN_MS:.0f} and {MAXIMUM_MS:.0f})"
    )


def _verdict(equal: bool) -> str:
    return "equal" if equal else "DIFFERS"


if __name__ == "__main__":
    main()
