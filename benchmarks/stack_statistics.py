"""How functions are spread over distinct stacks: made-up ones beside a labelled corpus.

python -m benchmarks.stack_statistics [CORPUS ...] [--stacks N]
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice, pairwise

from benchmarks import output, stacks
from benchmarks.evaluation import corpus
from chalicelib.model import Report

_RANKS = (1, 5, 10, 20, 50, 100, 200)
_GROWTH_AT = (100, 500, 1_000, 1_500, 10_000, 100_000)
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_RARE_TERMS = 25  # what a new stack is looked up by


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the distinct stacks of some reports, a stack being its function names."""

    stacks: int
    functions: int
    calls: int
    hapax: float
    length: tuple[int, ...]
    df_of_functions: tuple[int, ...]
    df_at_rank: tuple[float, ...]
    rarest_in_stack: tuple[int, ...]
    postings_of_rare_terms: int
    growth: tuple[tuple[int, int], ...]


def of_reports(reports: Iterable[Report]) -> Statistics:
    """Shares are of the distinct stacks; `growth` is functions known after so many stacks."""
    seen: set[tuple[str, ...]] = set()
    df: Counter[str] = Counter()
    calls: set[tuple[str, str]] = set()
    growth = []
    for report in reports:
        names = tuple(frame.function or "?" for frame in report.stack)
        if names in seen:
            continue
        seen.add(names)
        df.update(set(names))
        calls.update(pairwise(names))
        if len(seen) in _GROWTH_AT:
            growth.append((len(seen), len(df)))
    spread = sorted(df.values())
    rare = [sorted(df[name] for name in set(names))[:_RARE_TERMS] for names in seen]
    return Statistics(
        stacks=len(seen),
        functions=len(df),
        calls=len(calls),
        hapax=sum(number == 1 for number in spread) / len(spread),
        length=_quantiles(map(len, seen)),
        df_of_functions=_quantiles(spread),
        df_at_rank=tuple(
            spread[-rank] / len(seen) if rank <= len(spread) else 0.0 for rank in _RANKS
        ),
        rarest_in_stack=_quantiles(numbers[0] for numbers in rare),
        postings_of_rare_terms=_quantiles(map(sum, rare))[2],
        growth=tuple(growth),
    )


def _quantiles(numbers: Iterable[int]) -> tuple[int, ...]:
    ranked = sorted(numbers)
    return tuple(ranked[min(len(ranked) - 1, int(share * len(ranked)))] for share in _QUANTILES)


def rows(columns: dict[str, Statistics]) -> list[tuple[object, ...]]:
    """One row a number, one column a source."""
    found = list(columns.values())
    grown = [dict(statistics.growth) for statistics in found]
    listed: list[tuple[object, ...]] = [
        ("distinct stacks", *(one.stacks for one in found)),
        ("functions", *(one.functions for one in found)),
        ("calls (pairs)", *(one.calls for one in found)),
        ("functions in one stack only", *(f"{one.hapax:.1%}" for one in found)),
    ]
    for name, values in (
        ("frames", [one.length for one in found]),
        ("stacks with a function", [one.df_of_functions for one in found]),
        ("stacks with a stack's rarest", [one.rarest_in_stack for one in found]),
    ):
        listed.extend(
            (f"{name}, {share:.0%}", *(value[place] for value in values))
            for place, share in enumerate(_QUANTILES)
        )
    listed.append(
        (f"postings of {_RARE_TERMS} rarest, 50%", *(one.postings_of_rare_terms for one in found))
    )
    listed.extend(
        (f"share with function of rank {rank}", *(f"{one.df_at_rank[place]:.1%}" for one in found))
        for place, rank in enumerate(_RANKS)
    )
    listed.extend(
        (f"functions after {number:,} stacks", *(known.get(number, "") for known in grown))
        for number in _GROWTH_AT
        if any(number in known for known in grown)
    )
    return listed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="*", help="default: the development corpus")
    parser.add_argument("--stacks", type=int, help="default: as many as the first corpus has")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    columns: dict[str, Statistics] = {}
    named: list[str | None] = [*options.corpus] or [None]
    for path in named:
        try:
            labelled = corpus.read(corpus.find(path))
        except corpus.CorpusAbsent as absent:
            print(f"skipped: {absent}")
            continue
        columns[labelled.name] = of_reports(entry.report for entry in labelled.entries)
    wanted = options.stacks or max((one.stacks for one in columns.values()), default=2_000)
    began = time.process_time()
    made = [crash.report for crash in islice(stacks.crashes(options.seed), wanted)]
    seconds = time.process_time() - began
    columns["made"] = of_reports(made)
    print(output.table(("", *columns), rows(columns)))
    print(f"made {wanted:,} in {seconds:.1f} s of processor time")


if __name__ == "__main__":
    main()
