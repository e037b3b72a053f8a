"""Crashes by day: of an app, of a version, of a group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import cast

from chalicelib import keys
from chalicelib.counts import Counts
from chalicelib.deltas import Row
from chalicelib.records import Group, Version
from chalicelib.storage.ports import Table

MAX_DAYS = 30  # HockeyApp's limit between the first day and the last


@dataclass(frozen=True, slots=True)
class Days:
    """From one day to another, both inclusive."""

    first: date
    last: date

    def all(self) -> tuple[date, ...]:
        length = (self.last - self.first).days + 1
        return tuple(self.first + timedelta(days=n) for n in range(length))


@dataclass(frozen=True, slots=True)
class DayCount:
    """How many crashes a day (UTC) had."""

    day: date
    crashes: int


def latest(days: Days) -> Days:
    """The same days, or, of more than `MAX_DAYS` between them, the last ones."""
    earliest = days.last - timedelta(days=min(MAX_DAYS, (days.last - days.first).days))
    return Days(earliest, days.last)


class HistogramQueries:
    """Reads the counts by day, of at most `MAX_DAYS` days and one.

    Costs the same whatever is stored: the items of the months that the days
    are in (three at most), and what is pending of the app.
    """

    def __init__(self, table: Table, counts: Counts) -> None:
        self._table = table
        self._counts = counts

    def of_app(self, app_id: str, days: Days) -> tuple[DayCount, ...]:
        return self._read(app_id, keys.app_partition(app_id), days, lambda _: True)

    def of_version(self, version: Version, days: Days) -> tuple[DayCount, ...]:
        partition = keys.version_partition(version.version_id)
        return self._read(
            version.app_id, partition, days, lambda row: row.version_id == version.version_id
        )

    def of_group(self, group: Group, days: Days) -> tuple[DayCount, ...]:
        partition = keys.group_partition(group.group_id)
        return self._read(group.app_id, partition, days, lambda row: row.group_id == group.group_id)

    def _read(
        self, app_id: str, partition: str, days: Days, counts: Callable[[Row], bool]
    ) -> tuple[DayCount, ...]:
        wanted = latest(days).all()
        found = self._counts.unfolded(
            app_id, lambda: self._by_day(app_id, partition, wanted, counts)
        )
        return tuple(DayCount(day, found[day.isoformat()]) for day in wanted)

    def _by_day(
        self, app_id: str, partition: str, wanted: tuple[date, ...], counts: Callable[[Row], bool]
    ) -> Counter[str]:
        by_day: Counter[str] = Counter()
        for row in self._counts.pending(app_id).rows:
            if counts(row):
                by_day[row.day] += row.reports
        names = [day.isoformat() for day in wanted]
        months = self._table.batch_get([keys.days(partition, name[:7]) for name in names])
        for name in names:
            month = months.get(keys.days(partition, name[:7]), {})
            by_day[name] += cast(int, month.get(f"d{name[8:]}", 0))
        return by_day
