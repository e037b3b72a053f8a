"""The bucketing engine alone: how fast, how dear, and whether a large store makes a difference.

    python -m benchmarks.engine [--stored 1000 100000] [--cache FOLDER]

One process on the embedded store. Stacks are made up (`benchmarks.stacks`), the
larger store holds the smaller one's and more; both take the same reports in
turns. Building the larger takes long: with `--cache` it is kept for the next
time, as long as the engine's code stays the same.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from benchmarks import output, spike, stacks, storehouse
from benchmarks.evaluation import corpus
from chalicelib.bucketing.assignment import Founder
from chalicelib.bucketing.engine import Bucketing
from chalicelib.bucketing.stack import normalise
from chalicelib.model import Report
from chalicelib.storage.counting import CountingTable
from chalicelib.storage.embedded.store import open_store
from chalicelib.storage.ports import Table

ALLOWED_SLOWDOWN = 0.8  # the rate at the large store, of that at the small one
NEEDED_PER_S = 500  # over the development corpus

_SEED = 20
_ROUNDS = 7
_IN_A_ROUND = 200  # new stacks, and as many known ones
_WARM_UP = 50  # reports before the clock of a round starts: a process is not new at each report
_COUNTED = 200  # reports whose cost is counted, of each kind
_NEW_IN_SPIKE = spike.REPORTS_PER_S // 20
_BUCKETING = Path(__file__).resolve().parent.parent / "chalicelib" / "bucketing"


@dataclass(frozen=True, slots=True)
class Rates:
    """Reports a second at one store, medians of the rounds: of known stacks, of new, of both."""

    stored: int
    known: float
    new: float
    mixed: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What one report takes from the table, on average and at most, by a process just started."""

    stored: int
    known: bool
    mean: dict[str, float]
    most: dict[str, float]


@dataclass(frozen=True, slots=True)
class Spike:
    """One second of 5,000 reports of one app, 5 % with new stacks: the engine's busiest key."""

    stored: int
    writes_per_s: int
    busiest_key: str
    units_per_s: int


def founders(prefix: str) -> Iterator[Founder]:
    number = 0
    while True:
        yield Founder(f"{prefix}:{number}", "app")
        number += 1


def over_corpus(labelled: corpus.Labelled, rounds: int) -> tuple[float, float]:
    """Reports a second over a corpus, by the clock and by processor time; medians of the rounds.

    Each round begins with an empty store.
    """
    rates, processor_rates = [], []
    for _ in range(rounds):
        with storehouse.fresh_folder() as folder, _table(folder) as table:
            engine = Bucketing(table)
            began, processor_began = time.perf_counter(), time.process_time()
            for entry in labelled.entries:
                engine.assign(normalise(entry.report), Founder(entry.database_id, entry.project))
            rates.append(len(labelled.entries) / (time.perf_counter() - began))
            processor_rates.append(len(labelled.entries) / (time.process_time() - processor_began))
    return statistics.median(rates), statistics.median(processor_rates)


@dataclass(frozen=True, slots=True)
class Stores:
    """A small and a large store, and reports for both: of stacks both know, and neither."""

    sizes: tuple[int, int]
    folders: tuple[Path, Path]
    known: Sequence[Report]
    new: Sequence[Report]


def build(sizes: tuple[int, int], new: int, folder: Path) -> Stores:
    """Fill both stores below the folder, or find them there as this engine filled them before."""
    small, large = (folder / f"{_engine_digest()}-{_SEED}-{size}" for size in sizes)
    made = _distinct(crash.report for crash in stacks.crashes(_SEED))
    known = list(islice(made, sizes[0]))
    rest = islice(made, sizes[1] - sizes[0])
    if not small.exists():
        _fill(small, known, "small", None)
    if large.exists():
        for _ in rest:
            pass
    else:
        _fill(large, rest, "large", small)
    return Stores(sizes, (small, large), known[-_COUNTED:], list(islice(made, new)))


def _distinct(reports: Iterable[Report]) -> Iterator[Report]:
    """Those whose stack the engine has not met among them."""
    seen: set[str | None] = set()
    for report in reports:
        fingerprint = normalise(report).fingerprint
        if fingerprint not in seen:
            seen.add(fingerprint)
            yield report


def _fill(
    folder: Path, reports: Sequence[Report] | Iterator[Report], name: str, on: Path | None
) -> None:
    unfinished = folder.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    if on is not None:
        shutil.copytree(on, unfinished)
    began = time.monotonic()
    with _table(unfinished) as table:
        engine = Bucketing(table)
        number = 0
        for number, (report, founder) in enumerate(zip(reports, founders(name), strict=False), 1):
            engine.assign(normalise(report), founder)
            if number % 10_000 == 0:
                print(f"  {number:,} stacks in {time.monotonic() - began:.0f} s", flush=True)
    unfinished.rename(folder)
    print(f"{name} store: {number:,} stacks in {time.monotonic() - began:.0f} s", flush=True)


def _engine_digest() -> str:
    digest = hashlib.sha256()
    for path in (*sorted(_BUCKETING.glob("*.py")), Path(stacks.__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def rates(stores: Stores, rounds: int, in_a_round: int) -> tuple[Rates, Rates]:
    """Both stores in turns, report by report, on copies; the small one is fresh each round.

    So that it stays small, and whatever else the machine does falls on both.
    """
    known: tuple[list[float], list[float]] = ([], [])
    new: tuple[list[float], list[float]] = ([], [])
    mixed: tuple[list[float], list[float]] = ([], [])
    with storehouse.fresh_folder() as folder:
        large = Path(shutil.copytree(stores.folders[1], folder / "large"))
        for number in range(rounds):
            small = Path(shutil.copytree(stores.folders[0], folder / f"small-{number}"))
            start = number * (in_a_round + _WARM_UP)
            news = stores.new[start : start + in_a_round + _WARM_UP]
            olds = [stores.known[at % len(stores.known)] for at in range(in_a_round)]
            with _table(small) as small_table, _table(large) as large_table:
                engines = (Bucketing(small_table), Bucketing(large_table))
                named = founders(f"round{number}")
                _seconds(engines, news[:_WARM_UP], named)
                new_s = _seconds(engines, news[_WARM_UP:], named)
                known_s = _seconds(engines, olds, named)
            for place in (0, 1):
                new[place].append(in_a_round / new_s[place])
                known[place].append(in_a_round / known_s[place])
                mixed[place].append(2 * in_a_round / (new_s[place] + known_s[place]))
    found = [
        Rates(size, *(statistics.median(kind[place]) for kind in (known, new, mixed)))
        for place, size in enumerate(stores.sizes)
    ]
    return found[0], found[1]


def _seconds(
    engines: tuple[Bucketing, Bucketing], reports: Sequence[Report], named: Iterator[Founder]
) -> tuple[float, float]:
    """What the reports take at each store; the other goes first each time."""
    seconds = [0.0, 0.0]
    for number, (report, founder) in enumerate(zip(reports, named, strict=False)):
        for place in (0, 1) if number % 2 else (1, 0):
            began = time.perf_counter()
            engines[place].assign(normalise(report), founder)
            seconds[place] += time.perf_counter() - began
    return seconds[0], seconds[1]


def costs(stores: Stores, counted: int) -> list[Cost]:
    """Known and new stacks at both stores, on copies; nothing is kept from report to report."""
    found = []
    for place, size in enumerate(stores.sizes):
        with storehouse.fresh_folder() as folder:
            copy = Path(shutil.copytree(stores.folders[place], folder / "copy"))
            with _table(copy) as table:
                for known, reports in ((True, stores.known), (False, stores.new)):
                    found.append(_cost(table, size, known, reports[-counted:]))
    return found


def _cost(table: Table, stored: int, known: bool, reports: Sequence[Report]) -> Cost:
    counting = CountingTable(table)
    lines = []
    for report, founder in zip(reports, founders("counted"), strict=False):
        counting.reset()
        Bucketing(counting).assign(normalise(report), founder)
        counts = counting.snapshot()
        lines.append(
            {
                "read requests": counts.read_requests,
                "items read": counts.items_read,
                "read units": counts.read_units,
                "bytes read": counts.bytes_read,
                "write requests": counts.write_requests,
                "items written": counts.items_written,
                "write units": counts.write_units,
                "bytes written": counts.bytes_written,
            }
        )
    return Cost(
        stored,
        known,
        mean=_each(lines, statistics.fmean),
        most=_each(lines, max),
    )


def _each(
    lines: Sequence[dict[str, float]], of: Callable[[list[float]], float]
) -> dict[str, float]:
    return {name: of([line[name] for line in lines]) for name in lines[0]}


def spikes(stores: Stores) -> list[Spike]:
    """What 250 new stacks within a second write, on an empty store and on both.

    The other 4,750 reports are of known stacks, of which the engine writes
    nothing; the whole service's keys are in `benchmarks.cost`. One worker:
    what several would write again after a conflict is not counted.
    """
    found = []
    for size, filled in ((0, None), *zip(stores.sizes, stores.folders, strict=True)):
        with storehouse.fresh_folder() as folder:
            copy = folder / "copy"
            if filled is not None:
                shutil.copytree(filled, copy)
            with _table(copy) as table:
                counting = CountingTable(table)
                engine = Bucketing(counting)
                for report, founder in zip(
                    stores.new[:_NEW_IN_SPIKE], founders("spike"), strict=False
                ):
                    engine.assign(normalise(report), founder)
                counts = counting.snapshot()
        ((key, most),) = counts.writes_per_key.most_common(1)
        ((_, units),) = counts.write_units_per_key.most_common(1)
        found.append(Spike(size, most, spike.key_name(key), units))
    return found


@contextmanager
def _table(folder: Path) -> Iterator[Table]:
    store = open_store(folder)
    try:
        yield store.table
    finally:
        store.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stored", type=int, nargs=2, default=[1_000, 100_000])
    parser.add_argument("--cache", type=Path, help="where the filled stores are kept")
    parser.add_argument("--corpus", help="default: the development corpus")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    options = parser.parse_args()
    results: dict[str, object] = {}
    try:
        labelled = corpus.read(corpus.find(options.corpus))
    except corpus.CorpusAbsent as absent:
        print(f"skipped the rate over a corpus: {absent}")
    else:
        rate, processor_rate = over_corpus(labelled, min(3, options.rounds))
        verdict = "kept" if rate >= NEEDED_PER_S else "BROKEN"
        print(
            f"{rate:,.0f} reports/s over {labelled.name}; at least {NEEDED_PER_S}: {verdict}\n"
            f"by processor time, whatever else the machine does: {processor_rate:,.0f}\n"
        )
        results["reports_per_s_over_corpus"] = rate
        results["reports_per_processor_s_over_corpus"] = processor_rate
    sizes = (options.stored[0], options.stored[1])
    needed = max(options.rounds * (_IN_A_ROUND + _WARM_UP), _NEW_IN_SPIKE) + _COUNTED
    with storehouse.fresh_folder() as fresh:
        stores = build(sizes, needed, options.cache or fresh)
        small, large = rates(stores, options.rounds, _IN_A_ROUND)
        of_reports = costs(stores, _COUNTED)
        of_spikes = spikes(stores)
    _print_rates(small, large)
    _print_costs(of_reports)
    _print_spikes(of_spikes)
    results["rates"] = [asdict(small), asdict(large)]
    results["costs"] = [asdict(cost) for cost in of_reports]
    results["spikes"] = [asdict(one) for one in of_spikes]
    output.keep("engine", results)


def _print_rates(small: Rates, large: Rates) -> None:
    heading = ("reports/s with stacks stored", "known", "new", "half of each")
    rows: list[tuple[object, ...]] = [
        (f"{one.stored:,}", one.known, one.new, one.mixed) for one in (small, large)
    ]
    ratio = large.mixed / small.mixed
    rows.append(("ratio", large.known / small.known, large.new / small.new, ratio))
    print(output.table(heading, rows))
    verdict = "kept" if ratio >= ALLOWED_SLOWDOWN else "BROKEN"
    print(f"at least {ALLOWED_SLOWDOWN:.0%} of the rate: {verdict}\n")


def _print_costs(found: Sequence[Cost]) -> None:
    names = list(found[0].mean)
    columns = [f"{'known' if cost.known else 'new'} at {cost.stored:,}" for cost in found]
    rows: list[tuple[object, ...]] = [
        (name, *(f"{cost.mean[name]:,.1f} ({cost.most[name]:,.0f})" for cost in found))
        for name in names
    ]
    print(output.table(("a report: mean (most)", *columns), rows))
    print()


def _print_spikes(found: Sequence[Spike]) -> None:
    rows = [
        (
            f"{one.stored:,}",
            one.writes_per_s,
            one.units_per_s,
            one.busiest_key,
            "kept" if one.writes_per_s < spike.LIMIT_PER_S else "BROKEN",
        )
        for one in found
    ]
    heading = ("storm with stacks stored", "writes/s", "write units/s", "on", "below 1,000")
    print(output.table(heading, rows))


if __name__ == "__main__":
    main()
