"""Exact counts that no two writers fight over.

A batch of reports is committed together with one small *delta* that says what
it adds to which count. *Folding* moves deltas into the counts proper, each
delta exactly once because the same batch that adds it also takes it away. A
reader adds what is still pending: exact and immediate at any moment.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal, TypeAlias, TypeVar, cast

from chalicelib import clock, hours, keys, recent
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
from chalicelib.group_places import places
from chalicelib.hours import Additions
from chalicelib.metrics import Metric, Metrics, NoMetrics
from chalicelib.records import RESOLVED, Group, GroupVersion, Regressed, Sample
from chalicelib.regressions import Regressions, reopening
from chalicelib.sampling import placed, read_samples
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
    Value,
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
        changes = _Changes(app_id, sum(map(new_groups_of, deltas)), by_hour, now.date())
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

    def _updates(self, changes: _Changes) -> Iterator[Operation]:
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


_Kind: TypeAlias = Literal["group", "version", "stack"]


class _Span:
    """A total with the first and last date it covers: of a group, a group in a version, a stack.

    What goes away does not narrow it (settling.py does), nor does it widen it.
    """

    def __init__(self, row: Row, kind: _Kind) -> None:
        self.group_id, self.version_id = row.group_id, row.version_id
        self.kind = kind
        self.count, self.first, self.last = row.reports, row.first, row.last
        self.sampled = row.sampled
        self._is_widened = row.reports > 0

    def take(self, row: Row) -> None:
        self.count += row.reports
        self.sampled += row.sampled
        if row.reports <= 0:
            return
        is_last = not self._is_widened or row.last > self.last
        self.first = min(self.first, row.first) if self._is_widened else row.first
        if is_last:
            self.last, self.version_id = row.last, row.version_id
        self._is_widened = True

    def update(self, key: Key, current: Item | None) -> Update:
        """Add to the total and widen the span, provided that it is still as it was read."""
        if current is None and self.kind == "version":
            made = GroupVersion(
                self.group_id,
                self.version_id,
                self.count,
                self.first,
                self.last,
                self.sampled or None,
            )
            return Update(key, set={**made.attributes(), **made.orders()}, require={"total": None})
        if self.kind == "stack" and not (current and current.get("reports")):
            made_of = {"reports": self.count, "first_at": self.first, "last_at": self.last}
            before = current.get("reports") if current else None
            return Update(key, set=cast(dict[str, Any], made_of), require={"reports": before})
        if current is None:
            return Update(key, add={"total": self.count}, must_exist=True)  # fails: it is gone
        return self._widened(key, current)

    def _widened(self, key: Key, current: Item) -> Update:
        total_name = "reports" if self.kind == "stack" else "total"
        first_name = "created_at" if self.kind == "group" else "first_at"
        first_at, last_at = cast(str, current[first_name]), cast(str, current["last_at"])
        total = cast(int, current[total_name])
        first, last = (self.first, self.last) if self._is_widened else (first_at, last_at)
        values: dict[str, Any] = {}
        if last > last_at:
            values["last_at"] = last
            if self.kind == "group":
                values["last_version_id"] = self.version_id
        if first < first_at:
            values[first_name] = first
        require = {name: current[name] for name in values if name != "last_version_id"}
        if self.kind != "stack":  # its places in the lists follow
            first_at, last_at = min(first_at, first), max(last_at, last)
            owner = cast(str, current["app_id"]) if self.kind == "group" else self.version_id
            if "app_pk" in current:  # else it was merged into another, and is in none
                values |= places(owner, self.group_id, first_at, total + self.count, last_at)
            require |= {first_name: current[first_name], "last_at": current["last_at"]}
            require |= {"total": total, "app_pk": current.get("app_pk")}
        return Update(
            key,
            add={total_name: self.count, **self._sampled()},
            set=values,
            require=require,
            must_exist=True,
        )

    def _sampled(self) -> dict[str, int]:
        """How many of them are counted and not kept, which is told of groups only."""
        return {"sampled": self.sampled} if self.sampled and self.kind != "stack" else {}


def _with_row(total: StackTotal | None, row: Row) -> StackTotal:
    if total is None or not total.reports:
        return StackTotal(row.reports, row.first, row.last)
    if row.reports <= 0:
        return StackTotal(total.reports + row.reports, total.first_at, total.last_at)
    first, last = min(total.first_at, row.first), max(total.last_at, row.last)
    return StackTotal(total.reports + row.reports, first, last)


class _Changes:
    """What rows change, by item."""

    def __init__(self, app_id: str, new_groups: int, by_hour: Additions, today: date) -> None:
        self.app_id = app_id
        self.by_hour = by_hour
        self._today = today
        self._app = keys.app_partition(app_id)
        self.rows: dict[int, list[Row]] = {}  # by group
        self.stacks: dict[str, None] = {}
        self.counters: dict[Key, dict[str, int]] = {keys.totals(self._app): {"folds": 1}}
        self.spans: dict[Key, _Span] = {}
        self.regressed = 0
        self._weights: dict[Key, tuple[Sample, int]] = {}
        if new_groups:
            self.counters[keys.totals(self._app)]["groups"] = new_groups

    def count_group_of_version(self, version_id: int) -> None:
        """A group has crashed in the version for the first time."""
        counters = self.counters[keys.totals(keys.version_partition(version_id))]
        counters["groups"] = counters.get("groups", 0) + 1

    def take(self, row: Row, room: int, sample: Sample | None) -> bool:
        """Take the row, unless the changed items would then be more than `room`.

        One of reports that are counted through a sample counts where that is by now, and nowhere
        if that was deleted.
        """
        if row.sample:
            if sample is None:
                return True
            row = placed(row, sample)
        counted = self._counters_of(row)
        spanned: list[tuple[Key, _Kind]] = [
            (keys.group(row.group_id), "group"),
            (keys.group_version(row.group_id, row.version_id), "version"),
        ]
        if row.stack:
            spanned.append((keys.reports_of_stack(row.stack, self.app_id), "stack"))
        new = sum(key not in self.counters for key in {key for key, _ in counted})
        new += sum(key not in self.spans for key, _ in spanned)
        new += sample is not None and sample.key() not in self._weights
        hour = HourCount(row.version_id, row.first[:13], row.reports, 0)
        if sample is not None:
            new += sum(key not in self.by_hour for key in hours.items_of(self.app_id, hour))
        taken = len(self.counters) + len(self.spans) + len(self._weights) + len(self.by_hour)
        if taken + new > room:
            return False
        for key, name in counted:
            counters = self.counters.setdefault(key, {})
            counters[name] = counters.get(name, 0) + row.reports
            beside = _sampled_name(name) if row.sampled else None
            if beside is not None:
                counters[beside] = counters.get(beside, 0) + row.sampled
        if sample is not None:
            _, weight = self._weights.get(sample.key(), (sample, 0))
            self._weights[sample.key()] = (sample, weight + row.reports)
            hours.add(self.by_hour, self.app_id, hour, self._today)
        for key, kind in spanned:
            span = self.spans.get(key)
            if span is None:
                self.spans[key] = _Span(row, kind)
            else:
                span.take(row)
        if row.stack:
            self.stacks[row.stack] = None
        self.rows.setdefault(row.group_id, []).append(row)
        return True

    def weights(self) -> Iterator[Update]:
        """What lets samples stand for more, unless one has moved since it was read."""
        for key, (sample, weight) in self._weights.items():
            place: dict[str, Value] = {
                "group_id": sample.group_id,
                "version_id": sample.version_id,
                "fingerprint": sample.fingerprint,
            }
            yield Update(key, add={"weight": weight}, require=place, must_exist=True)

    def without_lost_groups(self, found: Mapping[Key, Item]) -> list[int]:
        """Count nothing for groups that are not there, lest the rest is never counted; which."""
        lost = [
            span.group_id
            for key, span in self.spans.items()
            if span.kind == "group" and key not in found
        ]
        partitions = set(map(keys.group_partition, lost))
        self.spans = {key: span for key, span in self.spans.items() if key.pk not in partitions}
        self.counters = {
            key: counted for key, counted in self.counters.items() if key.pk not in partitions
        }
        return lost

    def _counters_of(self, row: Row) -> list[tuple[Key, str]]:
        version = keys.version_partition(row.version_id)
        month, day = row.day[:7], f"d{row.day[8:]}"
        return [
            (keys.totals(self._app), "total"),
            (keys.totals(version), "total"),
            (keys.days(self._app, month), day),
            (keys.days(version, month), day),
            (keys.days(keys.group_partition(row.group_id), month), day),
        ]


def _sampled_name(counter: str) -> str | None:
    """What counts, beside a counter of all reports that lists go by (`total`, `d21`), those of
    them that are in no list."""
    if counter == "total":
        return "sampled"
    return f"s{counter[1:]}" if counter.startswith("d") else None
