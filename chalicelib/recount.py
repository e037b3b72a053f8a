"""Prove the counts: count the reports themselves and compare.

Exact while nothing is being processed; with workers at work, a report
committed between the two readings shows as a difference of one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import cast

from chalicelib import clock, group_places, hours, keys
from chalicelib.bootstrap import Services
from chalicelib.deltas import HourCount, Row, row_of
from chalicelib.hours import HourTotal
from chalicelib.left_groups import left_groups
from chalicelib.records import Group, GroupVersion
from chalicelib.sampling import Weights
from chalicelib.storage.ports import MAX_BATCH_ITEMS, Item, Value, query_all

_SAMPLED = "sampled"  # those of a count that are counted and not kept


@dataclass(frozen=True, slots=True)
class Recount:
    """How many reports there are, with those that are counted and not kept, and a line for each
    count that says otherwise."""

    reports: int
    differences: tuple[str, ...]


@dataclass
class _Tally:
    """Counts by (partition, what is counted), and the first and last date of each group.

    `parts` are the groups that crashed in a version, as (group, version);
    `misplaced` what stands at a wrong place in the lists of groups. Hours are
    compared of the days from `hours_since` on.
    """

    hours_since: str
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    spans: dict[str, tuple[str, str]] = field(default_factory=dict)
    parts: set[tuple[int, int]] = field(default_factory=set)
    misplaced: list[str] = field(default_factory=list)

    def add(
        self, app_id: str, version_id: int, group_id: int, day: str, reports: int, sampled: int
    ) -> tuple[str, str]:
        """Count reports everywhere; the names of the group and of the group in the version."""
        group = keys.group_partition(group_id)
        for partition in (keys.app_partition(app_id), keys.version_partition(version_id), group):
            self.counts[partition, "total"] += reports
            self.counts[partition, day] += reports
            self.counts[partition, _SAMPLED] += sampled
            self.counts[partition, f"{day} {_SAMPLED}"] += sampled
        self.counts[group, f"version {version_id}"] += reports
        self.counts[group, f"version {version_id} {_SAMPLED}"] += sampled
        if (group_id, version_id) not in self.parts:
            self.parts.add((group_id, version_id))
            self.counts[keys.version_partition(version_id), "groups"] += 1
        return group, f"{group} version {version_id}"

    def add_hours(self, app_id: str, row: HourCount) -> None:
        for partition in (keys.app_partition(app_id), keys.version_partition(row.version_id)):
            self.add_hour(partition, row.hour, HourTotal(row.crashes, row.sessions))

    def add_hour(self, partition: str, hour: str, total: HourTotal) -> None:
        if hour >= self.hours_since:
            self.counts[partition, f"{hour}:00"] += total.crashes
            self.counts[partition, f"{hour}:00 sessions"] += total.sessions

    def take(self, app_id: str, row: Row) -> None:
        place = (row.version_id, row.group_id, row.day, row.reports, row.sampled)
        for name in self.add(app_id, *place):
            if row.reports > 0:
                self.widen(name, row.first, row.last)

    def widen(self, name: str, first: str, last: str) -> None:
        known = self.spans.get(name, (first, last))
        self.spans[name] = (min(known[0], first), max(known[1], last))


def recount_app(services: Services, app_id: str) -> Recount:
    """Compare every total, day, hour, version and group of an app with its reports.

    Sessions have nothing to be counted again from: those of an app are
    compared with those of its versions. A reading that a fold came in between
    is done again.
    """
    return services.counts.unfolded(app_id, lambda: _recounted(services, app_id))


def _recounted(services: Services, app_id: str) -> Recount:
    hours_since = _hours_since(services, app_id)
    counted = _Tally(hours_since)
    groups: set[int] = set()
    reports = 0
    stored = services.crashes.of_app(app_id)
    while part := list(islice(stored, MAX_BATCH_ITEMS)):
        weights = Weights(services.table, app_id, part)
        for report in part:
            row = row_of(report.group_id, report.version_id, report.date, "", weights.of(report))
            counted.take(app_id, row)
            counted.add_hours(app_id, _hour_of(row))
            reports += row.reports
            groups.add(report.group_id)
    for row in services.counts.pending(app_id).rows:
        if row.sample:  # counted, and not yet part of what its sample stands for
            counted.take(app_id, row)
            counted.add_hours(app_id, _hour_of(row))
            reports += row.reports
            groups.add(row.group_id)
    counted.counts[keys.app_partition(app_id), "groups"] = len(groups)
    unsettled = {
        keys.group_partition(note.group_id) for note in left_groups(services.table, app_id)
    }
    kept = _kept(services, app_id, hours_since)
    _count_sessions(kept, counted, app_id)
    return Recount(reports, tuple(_differences(kept, counted, unsettled)))


def _hour_of(row: Row) -> HourCount:
    return HourCount(row.version_id, row.first[:13], row.reports, 0)


def _hours_since(services: Services, app_id: str) -> str:
    """The first day of which all hours are there; that of an app of before hours never comes."""
    app = services.accounts.find_app(app_id)
    if app is None or not app.hourly:
        return "9999"
    return hours.surely_kept_since(clock.now().date())


def _count_sessions(kept: _Tally, counted: _Tally, app_id: str) -> None:
    """Those of the app as its versions have them."""
    app = keys.app_partition(app_id)
    for (partition, what), sessions in kept.counts.items():
        if what.endswith(" sessions") and partition != app:
            counted.counts[app, what] += sessions
            counted.counts[partition, what] = sessions


def _differences(kept: _Tally, counted: _Tally, unsettled: Collection[str]) -> list[str]:
    """The dates of groups that lost reports may be too far apart until they are settled."""
    lines = kept.misplaced + [
        f"{partition} {what}: {kept.counts[partition, what]} kept, "
        f"{counted.counts[partition, what]} counted"
        for partition, what in sorted({*counted.counts, *kept.counts})
        if kept.counts[partition, what] != counted.counts[partition, what]
    ]
    for name in sorted({*kept.spans, *counted.spans}):
        of_kept, of_counted = (" to ".join(t.spans.get(name, ("-",))) for t in (kept, counted))
        if name.partition(" ")[0] in unsettled and _covers(kept, counted, name):
            continue
        if of_kept != of_counted:
            lines.append(f"{name} dates: {of_kept} kept, {of_counted} counted")
    return lines


def _covers(kept: _Tally, counted: _Tally, name: str) -> bool:
    if name not in kept.spans or name not in counted.spans:
        return False
    (first, last), (counted_first, counted_last) = kept.spans[name], counted.spans[name]
    return first <= counted_first and counted_last <= last


def _kept(services: Services, app_id: str, hours_since: str) -> _Tally:
    """Everything the service would answer with: what is folded and what is pending."""
    kept = _Tally(hours_since)
    app = keys.app_partition(app_id)
    versions = (keys.version_partition(v.version_id) for v in services.groups.versions(app_id))
    for partition in (app, *versions):
        _take_counters(services, kept, partition)
    for item in group_places.listed(services.table, app_id):
        group = Group.from_item(item)
        name = keys.group_partition(group.group_id)
        kept.counts[name, "total"] += group.total
        kept.counts[name, _SAMPLED] += group.sampled or 0
        kept.widen(name, group.created_at, group.last_at)
        is_counted = group.total or "group_pk" in item
        _check_place(kept, name, item, group.orders() if is_counted else {})
        _take_counters(services, kept, name)
    pending = services.counts.pending(app_id)
    kept.counts[app, "groups"] += pending.new_groups
    for row in pending.rows:
        kept.take(app_id, row)
        if row.sample:
            kept.add_hours(app_id, _hour_of(row))
    for entry in pending.hours:
        kept.add_hours(app_id, entry)
    _leave_out_the_emptied(kept, app)
    return kept


def _leave_out_the_emptied(kept: _Tally, app: str) -> None:
    """A group that lost its reports to others is not listed, and goes away later."""
    for name in list(kept.spans):
        partition, _, part = name.partition(" ")
        if kept.counts[partition, part or "total"] == 0:
            del kept.spans[name]
            owner = keys.version_partition(int(part.split()[1])) if part else app
            kept.counts[owner, "groups"] -= 1


def _check_place(kept: _Tally, name: str, item: Item, orders: Mapping[str, Value]) -> None:
    kept.misplaced += [
        f"{name} {attribute}: {item.get(attribute)!r} kept, {wanted!r} by its counts"
        for attribute, wanted in orders.items()
        if item.get(attribute) != wanted
    ]


def _take_counters(services: Services, kept: _Tally, partition: str) -> None:
    """The folded counts that lie in one partition."""
    for item in query_all(services.table, partition):
        sk = cast(str, item["sk"])
        if sk == "totals":
            for name in ("total", "groups", _SAMPLED):
                kept.counts[partition, name] += cast(int, item.get(name, 0))
        elif sk.startswith("days#"):
            for name, count in item.items():
                if name[:1] == "d" and name[1:].isdigit():
                    kept.counts[partition, f"{sk[5:]}-{name[1:]}"] += cast(int, count)
                elif name[:1] == "s" and name[1:].isdigit():
                    kept.counts[partition, f"{sk[5:]}-{name[1:]} {_SAMPLED}"] += cast(int, count)
        elif sk.startswith("hours#"):
            for hour, total in hours.of_item(item):
                kept.add_hour(partition, hour, total)
        elif sk.startswith("version#"):
            part = GroupVersion.from_item(item)
            kept.parts.add((part.group_id, part.version_id))
            _check_place(kept, f"{partition} {sk}", item, part.orders())
            kept.counts[partition, f"version {part.version_id}"] += part.total
            kept.counts[partition, f"version {part.version_id} {_SAMPLED}"] += part.sampled or 0
            kept.widen(f"{partition} version {part.version_id}", part.first_at, part.last_at)
