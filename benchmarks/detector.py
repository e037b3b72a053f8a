"""What the job of the minute costs: a service that rests, a small app, an app with many groups.

    python -m benchmarks.detector [--groups N]

Counts, in DynamoDB's units, and seconds of this machine. The crashes are
counted as commits count them, many in one row; the past is four weeks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from benchmarks import output, prices, storehouse
from chalicelib import bootstrap, clock
from chalicelib.activity import Activity
from chalicelib.config import Settings
from chalicelib.deltas import Row, delta_put
from chalicelib.ids import sortable
from chalicelib.records import Group, Version
from chalicelib.storage.counting import CountingTable
from chalicelib.storage.embedded.store import open_store
from chalicelib.storage.ports import MAX_BATCH_ITEMS, Put

_START = datetime(2026, 11, 18, 10, tzinfo=UTC)
_VERSIONS = 3
_MINUTES = 10  # that are measured, within one hour
_ROWS = 25  # of a delta
_MINUTES_A_MONTH = 30 * 24 * 60


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one minute, on average; `first` is that of a process that knows nothing yet."""

    case: str
    crashes_a_minute: int
    read_units: float
    write_units: float
    first_read_units: float
    milliseconds: float

    @property
    def dollars_a_month(self) -> float:
        of_minute = self.read_units * prices.READ_UNITS + self.write_units * prices.WRITE_UNITS
        return of_minute * _MINUTES_A_MONTH / 1e6


class _Bench:
    """The service on a clock of its own, with one app."""

    def __init__(self, folder: Path) -> None:
        self.now = _START
        store = open_store(folder, clock=self._seconds)
        self.table = CountingTable(store.table)
        self._store = store
        self.services = bootstrap.build(Settings(), self.table, store.blobs, store.queue)
        self.app = self.services.accounts.create_app("Shop")

    def have_groups(self, groups: int) -> None:
        """So many groups in three versions, as commits would have made them."""
        born = clock.to_stored(_START - timedelta(days=28))
        puts = []
        for number in range(1, _VERSIONS + 1):
            version = Version(number, self.app.app_id, str(number), "", born)
            puts += [Put(version.item()), Put(version.item_by_id())]
        for number in range(1, groups + 1):
            group = Group(number, self.app.app_id, self.app.number, f"b{number}", born, born, 1)
            puts.append(Put(group.item()))
        for start in range(0, len(puts), MAX_BATCH_ITEMS):
            self._store.table.write(puts[start : start + MAX_BATCH_ITEMS])

    def have_past(self, groups: int, a_minute: int) -> None:
        moments = (_START - timedelta(hours=hour, minutes=30) for hour in range(2, 28 * 24))
        rows = [_row(n % groups + 1, at, 60 * a_minute) for n, at in enumerate(moments)]
        for minute in range(120):
            rows += _minute(_START - timedelta(minutes=minute + 1), groups, a_minute, minute)
        self.count(rows)
        self.services.counts.fold_all(self.app.app_id)

    def count(self, rows: list[Row]) -> None:
        Activity(self._store.table).note(self.app.app_id)
        for number, start in enumerate(range(0, len(rows), _ROWS)):
            batch = sortable(self.services.ids.next())
            part = rows[start : start + _ROWS]
            put = delta_put(self.app.app_id, number % 16, batch, part, 0)
            self._store.table.write([put])

    def _seconds(self) -> float:
        return self.now.timestamp()

    def close(self) -> None:
        self._store.close()


def _row(group_id: int, at: datetime, crashes: int) -> Row:
    moment = clock.to_stored(at)
    return Row(group_id, group_id % _VERSIONS + 1, moment[:10], "", crashes, moment, moment)


def _minute(at: datetime, groups: int, a_minute: int, number: int) -> Iterator[Row]:
    """The crashes of a minute go round the groups; a tenth of them are of fifty groups."""
    for crash in range(number * a_minute, (number + 1) * a_minute):
        group = crash // 10 % min(50, groups) if crash % 10 == 0 else crash % groups
        yield _row(group + 1, at, 1)


def measure(case: str, groups: int, a_minute: int) -> Cost:
    with storehouse.fresh_folder() as folder:
        with patch.object(clock, "now", lambda: _START):
            bench = _Bench(folder)
        try:
            with patch.object(clock, "now", lambda: bench.now):
                if groups:
                    bench.have_groups(groups)
                    bench.have_past(groups, a_minute)
                return _ticks(bench, case, groups, a_minute)
        finally:
            bench.close()


def _ticks(bench: _Bench, case: str, groups: int, a_minute: int) -> Cost:
    first = reads = writes = seconds = 0.0
    for minute in range(_MINUTES + 1):
        if groups:
            at = bench.now + timedelta(seconds=20)
            bench.count(list(_minute(at, groups, a_minute, minute)))
        bench.now += timedelta(minutes=1)
        bench.services.counts.fold_all(bench.app.app_id)  # workers do that, and it is theirs
        bench.table.reset()
        began = time.perf_counter()
        bench.services.detector.tick()
        took = time.perf_counter() - began
        counts = bench.table.snapshot()
        if minute == 0:
            first = counts.read_units
        else:
            reads, writes = reads + counts.read_units, writes + counts.write_units
            seconds += took
    return Cost(
        case,
        a_minute if groups else 0,
        reads / _MINUTES,
        writes / _MINUTES,
        first,
        seconds / _MINUTES * 1000,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", type=int, default=5_000)
    options = parser.parse_args()
    costs = [
        measure("no app is active", 0, 0),
        measure("an app with 20 groups", 20, 2),
        measure(f"an app with {options.groups:,} active groups", options.groups, 300),
    ]
    heading = (
        "a minute of the job", "crashes", "read units", "write units", "a fresh process reads",
        "ms", "$/month",
    )  # fmt: skip
    rows = [
        (
            cost.case,
            cost.crashes_a_minute,
            cost.read_units,
            cost.write_units,
            cost.first_read_units,
            cost.milliseconds,
            cost.dollars_a_month,
        )
        for cost in costs
    ]
    print(output.table(heading, rows))
    output.keep("detector", {"lines": [asdict(cost) for cost in costs]})


if __name__ == "__main__":
    main()
