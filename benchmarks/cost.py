"""What a report costs, in DynamoDB's, S3's and SQS's units, folding included.

    python -m benchmarks.cost [--stored N N]

Counts, not seconds: the same on every machine. The same crashes are sent to a
small and to a large store; the promise is that it makes no difference.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from pathlib import Path

from benchmarks import corpus, output, spike, storehouse
from benchmarks.counted import Counted, second
from chalicelib.storage.ports import MAX_BATCH_ITEMS

ALLOWED_RATIO = 1.05  # of the cost at the large store to that at the small one
_MINIDUMPS = 10, 24  # how many of what size: of 40 kB each
BATCHES = {1: 96, 10: 24, 25: 24}  # how many of each size: the worker folds after every 24
_PRIMED_MINIDUMPS = 3  # times, of the very crashes that are measured, as `prime` sends logs only
_PRIMED = 600  # every known cause in every version: else "known" would be by chance


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one report, on average. `largest_share`: of all table writes, those to the one partition
    key with most."""

    reads: float
    read_units: float
    read_bytes: float
    writes: float
    write_units: float
    written_bytes: float
    blob_puts: float
    blob_gets: float
    blob_bytes: float
    queue_calls: float
    largest_share: float
    largest_key: str


@dataclass(frozen=True, slots=True)
class Line:
    """One measurement: of logs, or of `minidumps` whose stacks lack the symbols of eight builds."""

    stored: int
    known: bool
    batch: int
    cost: Cost
    minidumps: bool = False


def prime(folder: Path, app_id: str) -> None:
    """Store each known cause in each version once."""
    counted = Counted(folder, app_id)
    crashes = [
        replace(crash, cause=corpus.known_cause(rank), version=version)
        for rank in range(corpus.KNOWN_CAUSES)
        for version, crash in zip(corpus.VERSIONS, corpus.Corpus(9).crashes(3), strict=True)
    ]
    counted.take(crashes, second(-60))  # in order: so are their groups
    counted.drain()
    counted.close()


def measure(
    folder: Path,
    app_id: str,
    *,
    known: bool,
    batch: int,
    batches: int,
    seed: int,
    minidumps: bool = False,
) -> Cost:
    """Send so many batches of known or of new stacks; the store is larger by them afterwards."""

    def chosen() -> Iterator[corpus.Crash]:
        return corpus.Corpus(seed, new_share=0.0 if known else 1.0).crashes(batch * batches)

    for earlier in range(_PRIMED_MINIDUMPS if known and minidumps else 0):
        # By a process of its own: what it keeps of the stacks that it compared, which are others
        # in a larger store, spares the measured one no read.
        primed = Counted(folder, app_id, minidumps=True)
        primed.take(chosen(), second(-30 + earlier))
        primed.drain()
        primed.close()
    crashes = chosen()
    counted = Counted(folder, app_id, minidumps=minidumps)
    try:
        for number in range(batches):
            counted.take(islice(crashes, batch), second(number))
            if counted.step() != batch:
                raise RuntimeError("the queue was not empty")
        counted.drain()  # whatever the worker's times for it: nothing is left to fold
        return _cost(counted, batch * batches)
    finally:
        counted.close()


def _cost(counted: Counted, reports: int) -> Cost:
    table, blobs, queue = (
        counted.table.snapshot(),
        counted.blobs.snapshot(),
        counted.queue.snapshot(),
    )
    writes = sum(table.writes_per_key.values())
    ((key, most),) = table.writes_per_key.most_common(1)
    return Cost(
        reads=table.read_requests / reports,
        read_units=table.read_units / reports,
        read_bytes=table.bytes_read / reports,
        writes=writes / reports,
        write_units=table.write_units / reports,
        written_bytes=table.bytes_written / reports,
        blob_puts=blobs.puts / reports,
        blob_gets=blobs.gets / reports,
        blob_bytes=blobs.bytes_written / reports,
        queue_calls=1 + queue.requests / reports,  # the put itself sends one
        largest_share=most / writes,
        largest_key=spike.key_name(key),
    )


def at(stored: int) -> list[Line]:
    """Every measurement at a store of about that many reports."""
    with storehouse.fresh_folder() as folder:
        tenant = storehouse.make_tenant(folder)
        began = time.monotonic()
        prime(folder, tenant.app_id)
        storehouse.fill(folder, tenant.app_id, max(0, stored - _PRIMED))
        print(f"filled with {stored:,} reports in {time.monotonic() - began:.0f} s", flush=True)
        measured = [(known, *sizes, False) for known in (True, False) for sizes in BATCHES.items()]
        measured += [(known, *_MINIDUMPS, True) for known in (True, False)]
        return [
            Line(
                stored,
                known,
                batch,
                measure(
                    folder,
                    tenant.app_id,
                    known=known,
                    batch=batch,
                    batches=batches,
                    seed=seed,
                    minidumps=minidumps,
                ),
                minidumps,
            )
            for seed, (known, batch, batches, minidumps) in enumerate(measured, start=1)
        ]


def ratios(small: Line, large: Line) -> dict[str, float]:
    """How much dearer the large store is, by each number that costs something."""
    return {
        name: getattr(large.cost, name) / before
        for name in (entry.name for entry in fields(Cost) if entry.name != "largest_share")
        if isinstance(before := getattr(small.cost, name), float) and before
    }


_QUOTA = 6_000  # the default of the settings


def storms(seconds: int, scale: int) -> dict[str, spike.Storm]:
    """A storm of one cause, of many, and one whose reports all name one user; and the first two
    far above a quota."""
    results = {}
    for name, one_cause, one_user, quota in (
        ("one cause", True, False, 0),
        ("200 causes and 5 % new", False, False, 0),
        ("one cause, one user", True, True, 0),
        ("one cause, quota 6,000 a minute", True, False, _QUOTA),
        ("200 causes and 5 % new, quota", False, False, _QUOTA),
    ):
        with storehouse.fresh_folder() as folder:
            tenant = storehouse.make_tenant(folder)
            if not one_cause:
                # Else the 200 causes are all new in the first second, and taken `scale` times.
                prime(folder, tenant.app_id)
            results[name] = spike.simulate(
                folder,
                tenant.app_id,
                seconds=seconds,
                one_cause=one_cause,
                one_user=one_user,
                scale=scale,
                stored_per_minute=quota,
            )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stored", type=int, nargs=2, default=[1_000, 100_000])
    parser.add_argument("--storm-seconds", type=int, default=4, help="of the simulated clock")
    parser.add_argument("--storm-scale", type=int, default=1, help="so many times fewer reports")
    options = parser.parse_args()
    small, large = (at(stored) for stored in options.stored)
    _print(small, large)
    of_storms = storms(options.storm_seconds, options.storm_scale)
    _print_storms(of_storms)
    output.keep(
        "cost",
        {
            "lines": [asdict(line) for line in (*small, *large)],
            "ratios": [ratios(*pair) for pair in zip(small, large, strict=True)],
            "storms": {name: asdict(storm) for name, storm in of_storms.items()},
        },
    )


def _print(small: Sequence[Line], large: Sequence[Line]) -> None:
    rows: list[tuple[object, ...]] = []
    worst = {True: 0.0, False: 0.0}  # of known stacks, of new ones
    for before, after in zip(small, large, strict=True):
        for line in (before, after):
            cost = line.cost
            rows.append(
                (
                    _name(line),
                    line.stored,
                    cost.reads,
                    cost.read_units,
                    cost.writes,
                    cost.write_units,
                    cost.written_bytes,
                    cost.blob_puts,
                    cost.blob_bytes,
                    cost.queue_calls,
                    f"{cost.largest_share:.0%} {cost.largest_key}",
                )
            )
        worst[before.known] = max(worst[before.known], *ratios(before, after).values())
    heading = (
        "a report", "stored", "reads", "read units", "writes", "write units", "table bytes",
        "blob puts", "blob bytes", "queue calls", "largest share of writes",
    )  # fmt: skip
    print(output.table(heading, rows))
    verdict = "kept" if worst[True] <= ALLOWED_RATIO else "BROKEN"
    print(f"known stacks, dearest number at the large store: {worst[True]:.3f} times: {verdict}")
    most = max(line.cost.writes for line in (*small, *large) if not line.known)
    verdict = "kept" if most <= MAX_BATCH_ITEMS else "BROKEN"
    print(
        f"new stacks: at most {most:.0f} writes of {MAX_BATCH_ITEMS}: {verdict}; "
        f"dearest number at the large store: {worst[False]:.3f} times"
    )


def _name(line: Line) -> str:
    kind = " minidump" if line.minidumps else ""
    return f"{'known' if line.known else 'new'}{kind}, batch {line.batch}"


def _print_storms(storms: dict[str, spike.Storm]) -> None:
    rows = [
        (
            name,
            storm.writes_per_s,
            storm.busiest_key,
            storm.units_per_s,
            storm.busiest_key_by_units,
            storm.index_units_per_s,
            storm.busiest_index_key,
            storm.engine_writes_per_s,
            storm.busiest_engine_key,
            storm.units_per_report,
            "kept" if storm.units_per_s < spike.LIMIT_PER_S else "BROKEN",
        )
        for name, storm in storms.items()
    ]
    heading = (
        "storm of 5,000/s", "writes/s", "on", "write units/s", "on", "of an index", "on",
        "writes/s of bucketing", "on",
        "units a report", "below 1,000 write units/s",
    )  # fmt: skip
    print(output.table(heading, rows))


if __name__ == "__main__":
    main()
