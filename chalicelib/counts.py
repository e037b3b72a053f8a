"""Exact counts that no two writers fight over.

A batch of reports is committed together with one small *delta* that says what
it adds to which count. *Folding* moves deltas into the counts proper, each
delta exactly once because the same batch that adds it also takes it away. A
reader adds what is still pending: exact and immediate at any moment.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, cast

from chalicelib import clock, hours, keys, recent
from chalicelib.changes import Changes
from chalicelib.deltas import (
    HourCount,
    Pending,
    Row,
    delta_put,
    hours_of,
    new_groups_of,
    rows_of,
    tally_by_day,
)
from chalicelib.metrics import Metric, Metrics, NoMetrics
from chalicelib.records import RESOLVED, Group, Regressed
from chalicelib.regressions import Regressions, reopening
from chalicelib.sampling import read_samples
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
    get_all,
    query_all,
)

# As many deltas as leave half of a batch for the counts: what two of them add to one count is
# written once, so the more are folded together, the less a report costs.
_DELTAS_PER_FOLD = MAX_BATCH_ITEMS // 2
_MAX_READINGS = 8  # of what a fold came into: at the most busy times a few happen every second

_REGRESSED_KEPT = timedelta(days=90)  # long enough for whoever tells people of it

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StackTotal:
    """How many reports of an app have a stack, and the dates of the first and the last."""

    reports: int
    first_at: str
    last_at: str


class Counts:
    """Reads and folds the counts of apps, versions, groups and stacks.

    Folding tells `on_folded` the app and the fingerprints whose reports it
    counted, and `on_lost` the app and a group that is not there, or whose
    report has a version that is not: a crash was on its way while they were
    deleted.
    """

    def __init__(
        self,
        table: Table,
        on_folded: Callable[[str, Sequence[str]], None] | None = None,
        on_lost: Callable[[str, int], None] = lambda *_: None,
        metrics: Metrics | None = None,
    ) -> None:
        self._table = table
        self._on_folded = on_folded
        self._on_lost = on_lost
        self._metrics = metrics or NoMetrics()
        self._regressions = Regressions(table)

    def pending(self, app_id: str) -> Pending:
        """One query a shard; folding keeps them nearly empty."""
        rows: list[Row] = []
        by_hour: list[HourCount] = []
        new_groups = 0
        for partition in keys.deltas_of_app(app_id):
            for delta in query_all(self._table, partition):
                rows.extend(rows_of(delta))
                by_hour.extend(hours_of(delta))
                new_groups += new_groups_of(delta)
        return Pending(tuple(rows), new_groups, tuple(by_hour))

    def total(self, partition: str, pending: Iterable[Row]) -> int:
        """Reports of an app or a version in all."""
        item = self._table.get(keys.totals(partition)) or {}
        return cast(int, item.get("total", 0)) + sum(row.reports for row in pending)

    def unfolded(self, app_id: str, read: Callable[[], T]) -> T:
        """What `read` gives while no delta of the app moves into the counts.

        A reading of pending deltas and of counts that a fold came in between
        would find the same reports twice or not at all; it is done again.
        """
        folds = self._folds(app_id)
        for _ in range(_MAX_READINGS):
            found = read()
            now = self._folds(app_id)
            if now == folds:
                break
            folds = now
        return found

    def _folds(self, app_id: str) -> int:
        item = self._table.get(keys.totals(keys.app_partition(app_id))) or {}
        return cast(int, item.get("folds", 0))

    def of_stacks(
        self, app_id: str, fingerprints: Iterable[str], pending: Pending | None = None
    ) -> dict[str, StackTotal]:
        """The totals of those of the stacks that the app has reports of, by fingerprint.

        `pending` is what was read already of it. Where it says nothing of a stack, that one's
        total is exact, whoever folds meanwhile.
        """
        pending = pending or self.pending(app_id)
        wanted = {keys.reports_of_stack(name, app_id): name for name in fingerprints}
        found = {
            wanted[key]: StackTotal(
                cast(int, item["reports"]), cast(str, item["first_at"]), cast(str, item["last_at"])
            )
            for key, item in get_all(self._table, wanted).items()
        }
        asked = set(wanted.values())
        for row in pending.rows:
            if row.stack in asked:
                found[row.stack] = _with_row(found.get(row.stack), row)
        return {name: total for name, total in found.items() if total.reports}

    def counts_stack(self, app_id: str, fingerprint: str) -> bool:
        """Whether reports of the stack are counted at all: earlier forms counted none."""
        rows = self.pending(app_id).rows  # first: what is folded now is found in the total
        place = keys.reports_of_stack(fingerprint, app_id)
        return any(row.stack == fingerprint for row in rows) or self._table.get(place) is not None

    def fold(self, app_id: str, shard: int) -> bool:
        """Fold a batch's worth of one shard; False: nothing is there, or another is at it.

        What does not fit stays behind as one new delta, of which the hours and
        the log know already. Resolved groups that crashed again in a newer
        version are opened, and a record tells of them.
        """
        waiting = self._table.query(keys.deltas_of_app(app_id)[shard], limit=_DELTAS_PER_FOLD).items
        if not waiting:
            return False
        now = clock.now()
        deltas, by_hour = hours.as_many_as_fit(app_id, waiting, now.date())
        log = recent.logged(app_id, shard, deltas, now)
        changes = Changes(app_id, sum(map(new_groups_of, deltas)), by_hour, now.date())
        rows = tally_by_day(row for delta in deltas for row in rows_of(delta))
        samples = read_samples(self._table, app_id, {row.sample for row in rows})
        # for what is left, for what regressed, and for the log
        room = MAX_BATCH_ITEMS - len(deltas) - 3
        left = [row for row in rows if not changes.take(row, room, samples.get(row.sample))]
        try:
            self._table.write(
                [
                    *self._updates(changes),
                    *([log] if log else ()),
                    *_settled(app_id, shard, deltas, left),
                ]
            )
        except (ConditionFailed, Conflict):
            return False
        if changes.regressed:
            self._metrics.count(Metric.REGRESSED_GROUPS, changes.regressed, app_id=app_id)
        if self._on_folded is not None:
            self._on_folded(app_id, tuple(changes.stacks))
        return True

    def fold_all(self, app_id: str) -> None:
        """Fold every delta of an app that no other folder is at."""
        for shard in range(keys.DELTA_SHARDS):
            while self.fold(app_id, shard):
                pass

    def _updates(self, changes: Changes) -> Iterator[Operation]:
        rows = [row for of_group in changes.rows.values() for row in of_group]
        versions = {keys.version_by_id(row.version_id): row.version_id for row in rows}
        spans = get_all(self._table, [*changes.spans, *versions])
        unknown = {version for key, version in versions.items() if key not in spans}
        lost = {row.group_id for row in rows if row.version_id in unknown}
        for group_id in lost.union(changes.without_lost_groups(spans)):
            self._on_lost(changes.app_id, group_id)
        resolved = {
            key: Group.from_item(item)
            for key, item in spans.items()
            if key in changes.spans
            and changes.spans[key].kind == "group"
            and item["status"] == RESOLVED
        }
        regressions = self._regressions.among(resolved.values(), changes.rows)
        changes.regressed = len(regressions)
        for key, span in changes.spans.items():
            current = spans.get(key)
            if span.kind == "version" and current is None:
                changes.count_group_of_version(span.version_id)
            update = span.update(key, current)
            if key in resolved and span.group_id in regressions:
                update = reopening(update, resolved[key], regressions[span.group_id])
            yield update
        for key, add in changes.counters.items():
            yield Update(key, add=add)
        yield from hours.updates(changes.by_hour)
        yield from changes.weights()
        if regressions:
            now = clock.now()
            yield Put(
                Regressed(
                    changes.app_id,
                    clock.to_stored(now),
                    secrets.token_hex(8),
                    [[found.group_id, found.version_id] for found in regressions.values()],
                    int((now + _REGRESSED_KEPT).timestamp()),
                ).item()
            )


def _settled(
    app_id: str, shard: int, deltas: Sequence[Item], left: Sequence[Row]
) -> Iterator[Operation]:
    """Take the deltas away, and keep what is left as a new one; fail if another was faster.

    A delta never changes, so a folder that read it either takes all of it away or nothing.
    """
    for delta in deltas:
        yield Delete(Key(cast(str, delta["pk"]), cast(str, delta["sk"])), must_exist=True)
    if left:
        batch, _, _ = cast(str, deltas[0]["sk"]).partition(".")
        following = f"{batch}.{secrets.token_hex(8)}"
        yield delta_put(app_id, shard, following, left, 0, hourly=True)


def _with_row(total: StackTotal | None, row: Row) -> StackTotal:
    if total is None or not total.reports:
        return StackTotal(row.reports, row.first, row.last)
    if row.reports <= 0:
        return StackTotal(total.reports + row.reports, total.first_at, total.last_at)
    first, last = min(total.first_at, row.first), max(total.last_at, row.last)
    return StackTotal(total.reports + row.reports, first, last)
