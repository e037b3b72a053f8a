"""Tells of groups that are new, and of resolved ones that crashed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from chalicelib import clock, keys
from chalicelib.alerts.book import AlertBook
from chalicelib.alerts.lately import APP, moment_of, of_group
from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.alerts.seen import Seen
from chalicelib.alerts.spike_watch import is_told_of, titled
from chalicelib.alerts.watches import Told, WatchBook
from chalicelib.records import Group, Regressed
from chalicelib.storage.ports import SortRange, Table, get_all, query_all

ONE_BY_ONE = 5  # new groups of an app in an hour, and as many that are back: then one line for all
_AT_A_TIME = 100
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
        told = before = seen.remembered.told.of_hour((seen.last + 1) // 60)
        if AlertKind.NEW_GROUP in seen.policy.alerts:
            told = self._tell_of_new(seen, told)
        if AlertKind.REGRESSED_GROUP in seen.policy.alerts:
            told = self._tell_of_regressed(seen, told)
        if told != before:
            self._watches.write_told(seen.app.app_id, told, seen.last)

    def _tell_of_new(self, seen: Seen, told: Told) -> Told:
        known = set(told.seen)
        fresh = [i for i in seen.series.founded if i not in known]
        since = clock.to_stored(moment_of(seen.last + 1) - _NEWS)
        many = told.groups
        for group in self._groups(fresh):
            if group.created_at < since or not is_told_of(group):
                continue
            many += 1
            if many > ONE_BY_ONE:
                title = f"More than {ONE_BY_ONE} new crash groups within an hour"
                self._alerts.open(_of_many(seen, AlertKind.NEW_GROUP, told.hour, title))
                break
            self._alerts.open(_alert(seen, AlertKind.NEW_GROUP, group, "", f"New: {titled(group)}"))
        return replace(told, groups=many, seen=(*told.seen, *fresh))

    def _tell_of_regressed(self, seen: Seen, told: Told) -> Told:
        since = clock.to_stored(moment_of(seen.last + 1) - _LATELY)
        partition = keys.regressed(seen.app.app_id, "", "").pk
        items = query_all(self._table, partition, sort=SortRange(low=since))
        known = set(told.marks)
        fresh = [it for it in map(Regressed.from_item, items) if it.mark not in known]
        many = told.regressed
        for record in fresh:
            versions = {pair[0]: pair[1] for pair in record.groups}
            for group in self._groups([*versions]):
                if not is_told_of(group):
                    continue
                many += 1
                if many > ONE_BY_ONE:
                    title = f"More than {ONE_BY_ONE} crash groups are back within an hour"
                    kind = AlertKind.REGRESSED_GROUP
                    self._alerts.open(_of_many(seen, kind, told.hour, title))
                    break
                back = replace(group, last_version_id=versions[group.group_id])
                title = f"Back again: {titled(group)}"
                mark = f"#{record.mark}"
                self._alerts.open(_alert(seen, AlertKind.REGRESSED_GROUP, back, mark, title))
        marks = (*told.marks, *(record.mark for record in fresh))
        return replace(told, regressed=many, marks=marks)

    def _groups(self, group_ids: Sequence[int]) -> Iterator[Group]:
        """Those that are there, some at a time: who has enough reads no more."""
        wanted = list(dict.fromkeys(group_ids))
        for start in range(0, len(wanted), _AT_A_TIME):
            some = wanted[start : start + _AT_A_TIME]
            found = get_all(self._table, map(keys.group, some))
            for group_id in some:
                item = found.get(keys.group(group_id))
                if item is not None:
                    yield Group.from_item(item)


def _of_many(seen: Seen, kind: AlertKind, hour: int, title: str) -> Alert:
    return Alert(
        app_id=seen.app.app_id,
        kind=kind,
        subject=APP,
        key=f"{kind.value}#many#{hour}",
        opened_at=clock.to_stored(moment_of(seen.last + 1)),
        title=title,
        observed=ONE_BY_ONE + 1,
        minutes=60,
    )


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
