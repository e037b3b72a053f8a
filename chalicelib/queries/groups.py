"""Groups of an app or of one of its versions: lists, one group, their counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast

from chalicelib import keys
from chalicelib.counts import Counts
from chalicelib.deltas import Pending, Row
from chalicelib.errors import NotFound
from chalicelib.queries.paging import Listing, Paging, cut
from chalicelib.records import Group, GroupVersion, Version
from chalicelib.storage.ports import MAX_BATCH_ITEMS, Key, Table, query_all
from chalicelib.storage.schema import BY_APP

Sort: TypeAlias = Literal["date", "class", "number_of_crashes", "last_crash_at"]


@dataclass(frozen=True, slots=True)
class CountedGroup:
    """A group with its counts as they are now: of all versions, or of the one asked for.

    `version` is the version it was last seen in, of those counted.
    """

    group: Group
    total: int
    first_at: str
    last_at: str
    version: Version


_SORT_KEYS: dict[Sort, Callable[[CountedGroup], tuple[object, int]]] = {
    "date": lambda entry: (entry.first_at, entry.group.group_id),
    "class": lambda entry: (entry.group.class_name or "", entry.group.group_id),
    "number_of_crashes": lambda entry: (entry.total, entry.group.group_id),
    "last_crash_at": lambda entry: (entry.last_at, entry.group.group_id),
}


class GroupQueries:
    """Reads groups; every count holds each processed report."""

    def __init__(self, table: Table, counts: Counts) -> None:
        self._table = table
        self._counts = counts

    def group(self, app_id: str, group_id: int) -> CountedGroup:
        """One group of the app; raises `NotFound` also for a group of another app."""
        item = self._table.get(keys.group(group_id))
        if item is None or item["app_id"] != app_id:
            raise NotFound("crash reason", str(group_id))
        pending = self._counts.pending(app_id)
        return self._counted(app_id, [Group.from_item(item)], pending)[0]

    def find(self, group_id: int) -> Group:
        """A group of whatever app, without its counts; raises `NotFound`."""
        item = self._table.get(keys.group(group_id))
        if item is None:
            raise NotFound("crash reason", str(group_id))
        return Group.from_item(item)

    def of_app(
        self, app_id: str, paging: Paging, sort: Sort, descending: bool
    ) -> Listing[CountedGroup]:
        items = query_all(self._table, keys.groups_of_app(app_id), index=BY_APP)
        groups = [Group.from_item(item) for item in items]
        counted = self._counted(app_id, groups, self._counts.pending(app_id))
        # One that has lost its reports to others is still there for a while, in case that a crash
        # which is being committed knew it before.
        return cut(_sorted((c for c in counted if c.total), sort, descending), paging)

    def group_in_version(self, version: Version, group_id: int) -> CountedGroup:
        """The part of a group that crashed in one version; `NotFound` where there is none."""
        item = self._table.get(keys.group_version(group_id, version.version_id))
        part = GroupVersion.from_item(item) if item else None
        for row in self._counts.pending(version.app_id).of_version(version.version_id):
            if row.group_id == group_id:
                part = _with_row(part, row)
        group = self._table.get(keys.group(group_id))
        if part is None or group is None or group["app_id"] != version.app_id:
            raise NotFound("crash reason", str(group_id))
        return CountedGroup(
            Group.from_item(group), part.total, part.first_at, part.last_at, version
        )

    def of_version(
        self, version: Version, paging: Paging, sort: Sort, descending: bool
    ) -> Listing[CountedGroup]:
        pending = self._counts.pending(version.app_id).of_version(version.version_id)
        parts = {
            part.group_id: part
            for part in map(
                GroupVersion.from_item,
                query_all(self._table, keys.groups_of_version(version.version_id), index=BY_APP),
            )
        }
        for row in pending:
            parts[row.group_id] = _with_row(parts.get(row.group_id), row)
        groups = self._batch_get([keys.group(group_id) for group_id in parts])
        counted = [
            CountedGroup(group, part.total, part.first_at, part.last_at, version)
            for group in groups
            for part in [parts[group.group_id]]
            if part.total
        ]
        return cut(_sorted(counted, sort, descending), paging)

    def _counted(
        self, app_id: str, groups: Iterable[Group], pending: Pending
    ) -> list[CountedGroup]:
        versions = {version.version_id: version for version in self.versions(app_id)}
        rows: dict[int, list[Row]] = {}
        for row in pending.rows:
            rows.setdefault(row.group_id, []).append(row)
        return [_counted(group, rows.get(group.group_id, ()), versions) for group in groups]

    def _batch_get(self, wanted: Sequence[Key]) -> list[Group]:
        found: list[Group] = []
        for start in range(0, len(wanted), MAX_BATCH_ITEMS):
            items = self._table.batch_get(wanted[start : start + MAX_BATCH_ITEMS])
            found.extend(Group.from_item(item) for item in items.values())
        return found

    # --- versions ---

    def versions(self, app_id: str) -> list[Version]:
        """The versions of an app, the newest first."""
        items = query_all(self._table, keys.version(app_id, "", "").pk)
        versions = [Version.from_item(item) for item in items]
        return sorted(versions, key=lambda version: version.version_id, reverse=True)

    def version(self, app_id: str, version_id: int) -> Version:
        item = self._table.get(keys.version_by_id(version_id))
        if item is None or item["app_id"] != app_id:
            raise NotFound("app version", str(version_id))
        return Version.from_item(item)


def _counted(group: Group, pending: Sequence[Row], versions: dict[int, Version]) -> CountedGroup:
    first_at, last_at, version_id = group.created_at, group.last_at, group.last_version_id
    for row in pending:
        first_at = min(first_at, row.first)
        if row.last > last_at:
            last_at, version_id = row.last, row.version_id
    return CountedGroup(
        group=group,
        total=group.total + sum(row.reports for row in pending),
        first_at=first_at,
        last_at=last_at,
        version=versions[version_id],
    )


def _with_row(part: GroupVersion | None, row: Row) -> GroupVersion:
    if part is None:
        return GroupVersion(row.group_id, row.version_id, row.reports, row.first, row.last)
    return replace(
        part,
        total=part.total + row.reports,
        first_at=min(part.first_at, row.first),
        last_at=max(part.last_at, row.last),
    )


def _sorted(groups: Iterable[CountedGroup], sort: Sort, descending: bool) -> list[CountedGroup]:
    key = cast(Callable[[CountedGroup], tuple[str, int]], _SORT_KEYS[sort])
    return sorted(groups, key=key, reverse=descending)
