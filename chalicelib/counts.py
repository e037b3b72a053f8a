"""Exact counts that no two writers fight over.

A batch of reports is committed together with one small *delta* that says what
it adds to which count. *Folding* moves deltas into the counts proper, each
delta exactly once because the same batch that adds it also takes it away. A
reader adds what is still pending: exact and immediate at any moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple, cast

from chalicelib import keys
from chalicelib.records import GroupVersion
from chalicelib.storage.ports import (
    MAX_BATCH_ITEMS,
    ConditionFailed,
    Conflict,
    Delete,
    Item,
    Key,
    Operation,
    Put,
    Table,
    Update,
    query_all,
)

# One row changes at most 6 items (group, its days, its version; version, its days; the app's
# days). With the app's totals and the delta itself a full delta still fits one batch.
MAX_ROWS_PER_DELTA = (MAX_BATCH_ITEMS - 2) // 6
_DELTAS_PER_FOLD = 40


class Row(NamedTuple):
    """`reports` more reports of a group in a version on a day (`YYYY-MM-DD`).

    `first` and `last` are the earliest and latest of their dates.
    """

    group_id: int
    version_id: int
    day: str
    reports: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Pending:
    """What an app's counts lack until the next folding."""

    rows: tuple[Row, ...]
    new_groups: int

    def of_group(self, group_id: int) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.group_id == group_id)

    def of_version(self, version_id: int) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.version_id == version_id)


def tally(reports: Iterable[tuple[int, int, str]]) -> tuple[Row, ...]:
    """Rows for reports given as (group, version, date as stored)."""
    rows: dict[tuple[int, int, str], Row] = {}
    for group_id, version_id, moment in reports:
        place = (group_id, version_id, moment[:10])
        known = rows.get(place)
        if known is None:
            rows[place] = Row(*place, 1, moment, moment)
        else:
            first, last = min(known.first, moment), max(known.last, moment)
            rows[place] = Row(*place, known.reports + 1, first, last)
    return tuple(rows.values())


def delta_puts(
    app_id: str, shard: int, batch: str, rows: Sequence[Row], new_groups: int
) -> list[Put]:
    """The deltas to commit with the reports that `rows` counts. `batch` is new and rises."""
    puts = []
    for start in range(0, len(rows), MAX_ROWS_PER_DELTA):
        key = keys.delta(app_id, shard, f"{batch}.{start:03d}")
        part = [list(row) for row in rows[start : start + MAX_ROWS_PER_DELTA]]
        item: dict[str, Any] = {"pk": key.pk, "sk": key.sk, "rows": part}
        if start == 0 and new_groups:
            item["new_groups"] = new_groups
        puts.append(Put(item, if_absent=True))
    return puts


class Counts:
    """Reads and folds the counts of apps, versions and groups."""

    def __init__(self, table: Table) -> None:
        self._table = table

    # --- reading ---

    def pending(self, app_id: str) -> Pending:
        """One query a shard; folding keeps them nearly empty."""
        rows: list[Row] = []
        new_groups = 0
        for partition in keys.deltas_of_app(app_id):
            for item in query_all(self._table, partition):
                rows.extend(_rows(item))
                new_groups += cast(int, item.get("new_groups", 0))
        return Pending(tuple(rows), new_groups)

    def by_day(
        self, partition: str, first: date, last: date, pending: Iterable[Row]
    ) -> list[tuple[date, int]]:
        """Reports on each day from `first` to `last`, both included, zeros too."""
        counted = {first + timedelta(n): 0 for n in range((last - first).days + 1)}
        months = sorted({day.strftime("%Y-%m") for day in counted})
        for month in months:
            item = self._table.get(keys.days(partition, month)) or {}
            for day in counted:
                if day.strftime("%Y-%m") == month:
                    counted[day] += cast(int, item.get(f"d{day:%d}", 0))
        for row in pending:
            day = date.fromisoformat(row.day)
            if day in counted:
                counted[day] += row.reports
        return sorted(counted.items())

    def total(self, partition: str, pending: Iterable[Row]) -> int:
        item = self._table.get(keys.totals(partition)) or {}
        return cast(int, item.get("total", 0)) + sum(row.reports for row in pending)

    def total_groups(self, app_id: str, pending: Pending) -> int:
        item = self._table.get(keys.totals(keys.app_partition(app_id))) or {}
        return cast(int, item.get("groups", 0)) + pending.new_groups

    # --- folding ---

    def fold(self, app_id: str, shard: int) -> int:
        """Fold some deltas of one shard; how many. 0: none there, or another is at it."""
        partition = keys.deltas_of_app(app_id)[shard]
        deltas = self._table.query(partition, limit=_DELTAS_PER_FOLD).items
        changes, taken = _changes_that_fit(app_id, deltas)
        if not taken:
            return 0
        try:
            self._table.write([*self._updates(changes), *taken])
        except (ConditionFailed, Conflict):
            return 0
        return len(taken)

    def fold_all(self, app_id: str) -> int:
        """Fold every delta of an app that no other folder is at; how many."""
        folded = 0
        for shard in range(keys.DELTA_SHARDS):
            while count := self.fold(app_id, shard):
                folded += count
        return folded

    def _updates(self, changes: _Changes) -> Iterator[Operation]:
        for key, add in changes.counters.items():
            yield Update(key, add=add)
        spans = self._table.batch_get(list(changes.spans))
        for key, span in changes.spans.items():
            yield span.update(key, spans.get(key))


class _Span:
    """A total with the first and last date it covers: of a group, or a group in a version."""

    def __init__(self, row: Row, in_version: bool) -> None:
        self.group_id, self.version_id = row.group_id, row.version_id
        self.in_version = in_version
        self.count, self.first, self.last = row.reports, row.first, row.last

    def take(self, row: Row) -> None:
        self.count += row.reports
        self.first = min(self.first, row.first)
        if row.last > self.last:
            self.last, self.version_id = row.last, row.version_id

    def update(self, key: Key, current: Item | None) -> Update:
        """Add to the total and widen the span, provided that it is still as it was read."""
        if current is None and self.in_version:
            made = GroupVersion(self.group_id, self.version_id, self.count, self.first, self.last)
            return Update(
                key,
                set={**made.attributes(), **made.index()},
                require={"total": None},
            )
        values: dict[str, Any] = {}
        require: dict[str, Any] = {}
        if current is not None and self.last > cast(str, current["last_at"]):
            values["last_at"] = self.last
            require["last_at"] = current["last_at"]
            if not self.in_version:
                values["last_version_id"] = self.version_id
        first_name = "first_at" if self.in_version else "created_at"
        if current is not None and self.first < cast(str, current[first_name]):
            values[first_name] = self.first
            require[first_name] = current[first_name]
        return Update(key, add={"total": self.count}, set=values, require=require, must_exist=True)


class _Changes:
    """What a set of deltas changes, by item."""

    def __init__(self, app_id: str) -> None:
        self._app = keys.app_partition(app_id)
        self.counters: dict[Key, dict[str, int]] = {}
        self.spans: dict[Key, _Span] = {}

    def take(self, rows: Sequence[Row], new_groups: int, room: int) -> bool:
        """Take a whole delta, unless the changed items would then be more than `room`."""
        counted = [(key, name, row.reports) for row in rows for key, name in self._counters_of(row)]
        if new_groups:
            counted.append((keys.totals(self._app), "groups", new_groups))
        spanned = [
            (key, row)
            for row in rows
            for key in (
                keys.group(row.group_id),
                keys.group_version(row.group_id, row.version_id),
            )
        ]
        new = {key for key, _, _ in counted if key not in self.counters}
        new.update(key for key, _ in spanned if key not in self.spans)
        if len(self.counters) + len(self.spans) + len(new) > room:
            return False
        for key, name, reports in counted:
            counters = self.counters.setdefault(key, {})
            counters[name] = counters.get(name, 0) + reports
        for key, row in spanned:
            span = self.spans.get(key)
            if span is None:
                self.spans[key] = _Span(row, in_version=key.sk != "group")
            else:
                span.take(row)
        return True

    def _counters_of(self, row: Row) -> Iterator[tuple[Key, str]]:
        version = keys.version_partition(row.version_id)
        yield keys.totals(self._app), "total"
        yield keys.totals(version), "total"
        for partition in (self._app, version, keys.group_partition(row.group_id)):
            yield keys.days(partition, row.day[:7]), f"d{row.day[8:]}"


def _changes_that_fit(app_id: str, deltas: Sequence[Item]) -> tuple[_Changes, list[Delete]]:
    """The changes of as many deltas, from the first on, as one batch can hold."""
    changes = _Changes(app_id)
    taken: list[Delete] = []
    for delta in deltas:
        rows, new_groups = tuple(_rows(delta)), cast(int, delta.get("new_groups", 0))
        if not changes.take(rows, new_groups, MAX_BATCH_ITEMS - len(taken) - 1):
            break
        taken.append(Delete(Key(cast(str, delta["pk"]), cast(str, delta["sk"])), must_exist=True))
    return changes, taken


def _rows(delta: Item) -> Iterator[Row]:
    for values in cast(Sequence[Sequence[Any]], delta["rows"]):
        yield Row(*values)
