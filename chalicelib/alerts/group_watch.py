"""Tells of groups that are new, and of resolved ones that crashed again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from chalicelib import clock, keys
from chalicelib.alerts.book import AlertBook
from chalicelib.alerts.lately import APP, moment_of, of_group
from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.alerts.seen import Seen
from chalicelib.alerts.spike_watch import is_told_of, titled
from chalicelib.alerts.watches import WatchBook
from chalicelib.records import Group, Regressed
from chalicelib.storage.ports import SortRange, Table, get_all, query_all

ONE_BY_ONE = 5  # new groups of an app in an hour; of the further ones people are told in one line
_NEWS = timedelta(days=1)  # a group whose first crash is older was brought in, as by an import
_LATELY = timedelta(minutes=65)  # regressions are told of a minute after they are counted


class GroupWatch:
    """Goes by what folding wrote down: groups that bucketing or people make of old crashes are
    not among it."""

    def __init__(self, table: Table, watches: WatchBook, alerts: AlertBook) -> None:
        self._table = table
        self._watches = watches
        self._alerts = alerts

    def look(self, seen: Seen) -> None:
        if AlertKind.NEW_GROUP in seen.policy.alerts:
            self._tell_of_new(seen)
        if AlertKind.REGRESSED_GROUP in seen.policy.alerts:
            self._tell_of_regressed(seen)

    def _tell_of_new(self, seen: Seen) -> None:
        told = seen.remembered.told
        fresh = [i for i in seen.series.founded if i not in set(told.seen)]
        if not fresh:
            return
        hour = (seen.last + 1) // 60
        many = told.groups if told.hour == hour else 0
        since = clock.to_stored(moment_of(seen.last + 1) - _NEWS)
        for group in self._groups(fresh):
            if group.created_at < since or not is_told_of(group):
                continue
            many += 1
            if many <= ONE_BY_ONE:
                self._alerts.open(
                    _alert(seen, AlertKind.NEW_GROUP, group, "", f"New: {titled(group)}")
                )
            else:
                self._tell_of_many(seen, hour)
                break
        seen_now = (*told.seen, *fresh)
        self._watches.write_told(
            seen.app.app_id, replace(told, hour=hour, groups=many, seen=seen_now), seen.last
        )

    def _tell_of_many(self, seen: Seen, hour: int) -> None:
        alert = Alert(
            app_id=seen.app.app_id,
            kind=AlertKind.NEW_GROUP,
            subject=APP,
            key=f"{AlertKind.NEW_GROUP.value}#many#{hour}",
            opened_at=clock.to_stored(moment_of(seen.last + 1)),
            title=f"More than {ONE_BY_ONE} new crash groups within an hour",
            observed=ONE_BY_ONE + 1,
            minutes=60,
        )
        self._alerts.open(alert)

    def _tell_of_regressed(self, seen: Seen) -> None:
        since = clock.to_stored(moment_of(seen.last + 1) - _LATELY)
        partition = keys.regressed(seen.app.app_id, "", "").pk
        items = query_all(self._table, partition, sort=SortRange(low=since))
        known = {record.mark: record for record in map(Regressed.from_item, items)}
        records = [known[mark] for mark in known.keys() - seen.series.regressed]
        versions = {(r.mark, group): version for r in records for group, version in r.groups}
        groups = {group.group_id: group for group in self._groups([i for _, i in versions])}
        for (mark, group_id), version_id in versions.items():
            group = groups.get(group_id)
            if group is not None and is_told_of(group):
                group = replace(group, last_version_id=version_id)
                title = f"Back again: {titled(group)}"
                self._alerts.open(_alert(seen, AlertKind.REGRESSED_GROUP, group, f"#{mark}", title))
        seen.series.regressed = set(known)

    def _groups(self, group_ids: list[int]) -> list[Group]:
        found = get_all(self._table, map(keys.group, group_ids))
        groups = (found.get(keys.group(group_id)) for group_id in dict.fromkeys(group_ids))
        return [Group.from_item(item) for item in groups if item is not None]


def _alert(seen: Seen, kind: AlertKind, group: Group, mark: str, title: str) -> Alert:
    return Alert(
        app_id=seen.app.app_id,
        kind=kind,
        subject=of_group(group.group_id),
        key=f"{kind.value}#{of_group(group.group_id)}{mark}",
        opened_at=clock.to_stored(moment_of(seen.last + 1)),
        title=title,
        group_id=group.group_id,
        version_id=group.last_version_id,
    )
