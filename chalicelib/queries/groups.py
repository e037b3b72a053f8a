"""Groups of an app or of one of its versions: lists, one group, their counts."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from chalicelib import clock, keys
from chalicelib.counts import Counts
from chalicelib.deltas import Row
from chalicelib.errors import NotFound
from chalicelib.queries import group_order
from chalicelib.queries.group_order import GroupOrder, Sort, Span
from chalicelib.queries.paging import Listing, Paging
from chalicelib.records import Group, GroupVersion, Version
from chalicelib.regressions import Regressions, reopened
from chalicelib.storage.ports import Table, get_all, query_all


@dataclass(frozen=True, slots=True)
class CountedGroup:
    """A group with its counts as they are now: of all versions, or of the one asked for.

    `version` is the version it was last seen in, of those counted. `sampled`
    of the total are in no list of crashes: they were counted and not kept.
    """

    group: Group
    total: int
    first_at: str
    last_at: str
    version: Version
    sampled: int = 0

    @property
    def kept(self) -> int:
        return self.total - self.sampled


@dataclass(frozen=True, slots=True)
class _Counted:
    """A group's counts with what is still pending."""

    span: Span
    last_version_id: int
    sampled: int


class GroupQueries:
    """Reads groups; every count holds each processed report."""

    def __init__(self, table: Table, counts: Counts) -> None:
        self._table = table
        self._counts = counts
        self._order = GroupOrder(table)
        self._regressions = Regressions(table)

    def group(self, app_id: str, group_id: int) -> CountedGroup:
        """One group of the app, or the one that it was merged into; raises `NotFound` also for a
        group of another app, and for one that has lost its crashes."""
        found = self._counts.unfolded(app_id, lambda: self._group(app_id, group_id))
        if not (found.total or found.group.kept):
            raise NotFound("crash reason", str(group_id))
        return found

    def _group(self, app_id: str, group_id: int) -> CountedGroup:
        group = self.find(group_id)
        if group.app_id != app_id:
            raise NotFound("crash reason", str(group_id))
        rows = _by_group(self._counts.pending(app_id).rows)
        group = self._reopened({group.group_id: group}, rows)[group.group_id]
        counted = _counted(group, rows.get(group.group_id, ()))
        return self._shown([group], {group.group_id: counted})[0]

    def find(self, group_id: int) -> Group:
        """A group of whatever app, without its counts, or the one that it was merged into; raises
        `NotFound`."""
        seen: set[int] = set()
        following: int | None = group_id
        while following is not None and following not in seen:
            seen.add(following)
            item = self._table.get(keys.group(following))
            if item is None:
                break
            group = Group.from_item(item)
            if group.merged_into is None:
                return group
            following = group.merged_into
        raise NotFound("crash reason", str(group_id))

    def of_app(
        self,
        app_id: str,
        paging: Paging,
        sort: Sort,
        descending: bool,
        *,
        symbolicated: bool = False,
    ) -> Listing[CountedGroup]:
        """A page of the app's groups; with `symbolicated` of those only whose crash has a name.

        That looks at every group without a class to tell how many are left out.
        """
        return self._counts.unfolded(
            app_id, lambda: self._of_app(app_id, paging, sort, descending, symbolicated)
        )

    def _of_app(
        self, app_id: str, paging: Paging, sort: Sort, descending: bool, symbolicated: bool
    ) -> Listing[CountedGroup]:
        waiting = self._counts.pending(app_id)
        rows = _by_group(waiting.rows)
        groups = self._reopened(self._groups(rows), rows)
        pending = {i: _counted(group, rows[i]) for i, group in groups.items()}
        totals = self._table.get(keys.totals(keys.app_partition(app_id))) or {}
        page = self._order.page(
            group_order.of_app(app_id),
            cast(int, totals.get("groups", 0)) + waiting.new_groups,
            {group_id: counted.span for group_id, counted in pending.items()},
            sort,
            descending,
            paging,
            without=self._order.nameless(app_id) if symbolicated else (),
        )
        groups |= {i: Group.from_item(item) for i, item in page.entries if item is not None}
        groups |= self._groups(i for i, _ in page.entries if i not in groups)
        shown = [groups[i] for i, _ in page.entries if i in groups]
        return Listing(tuple(self._shown(shown, pending)), page.total, paging)

    def every(self, app_id: str, version: Version | None = None) -> tuple[CountedGroup, ...]:
        """All groups of the app, or of one of its versions, the latest first."""
        everything = Paging(1, sys.maxsize)
        if version is None:
            return self.of_app(app_id, everything, "last_crash_at", True).entries
        return self.of_version(version, everything, "last_crash_at", True).entries

    def group_in_version(self, version: Version, group_id: int) -> CountedGroup:
        """The part of a group that crashed in one version; `NotFound` where there is none."""
        found = self._counts.unfolded(
            version.app_id, lambda: self._group_in_version(version, self.find(group_id))
        )
        if not found.total:
            raise NotFound("crash reason", str(group_id))
        return found

    def _group_in_version(self, version: Version, group: Group) -> CountedGroup:
        group_id = group.group_id
        rows = [r for r in self._counts.pending(version.app_id).rows if r.group_id == group_id]
        mine = _by_group(row for row in rows if row.version_id == version.version_id)
        part = self._parts(version.version_id, [group_id], mine).get(group_id)
        if part is None or group.app_id != version.app_id:
            raise NotFound("crash reason", str(group_id))
        return _in_version(
            self._reopened({group_id: group}, {group_id: rows})[group_id], part, version
        )

    def of_version(
        self,
        version: Version,
        paging: Paging,
        sort: Sort,
        descending: bool,
        *,
        symbolicated: bool = False,
    ) -> Listing[CountedGroup]:
        """A page of the groups that crashed in a version, with what they have of it."""
        return self._counts.unfolded(
            version.app_id,
            lambda: self._of_version(version, paging, sort, descending, symbolicated),
        )

    def _of_version(
        self, version: Version, paging: Paging, sort: Sort, descending: bool, symbolicated: bool
    ) -> Listing[CountedGroup]:
        waiting = self._counts.pending(version.app_id)
        rows = _by_group(waiting.of_version(version.version_id))
        stored = self._parts(version.version_id, rows, {})
        parts = self._parts(version.version_id, rows, rows)
        totals = self._table.get(keys.totals(keys.version_partition(version.version_id))) or {}
        without: set[int] = set()
        if symbolicated:
            nameless = self._order.nameless(version.app_id)
            without = nameless & (
                parts.keys() | self._parts(version.version_id, nameless, {}).keys()
            )
        page = self._order.page(
            group_order.of_version(version.app_id, version.version_id),
            cast(int, totals.get("groups", 0)) + len(parts) - len(stored),
            {i: Span(part.total, part.first_at, part.last_at) for i, part in parts.items()},
            sort,
            descending,
            paging,
            without,
        )
        found = {i: GroupVersion.from_item(item) for i, item in page.entries if item is not None}
        unread = [i for i, _ in page.entries if i not in found and i not in parts]
        parts |= found | self._parts(version.version_id, unread, {})
        groups = self._groups(i for i, _ in page.entries)
        groups = self._reopened(groups, _by_group(waiting.rows))
        shown = tuple(
            _in_version(groups[i], parts[i], version)
            for i, _ in page.entries
            if i in groups and i in parts
        )
        return Listing(shown, page.total, paging)

    def _groups(self, group_ids: Iterable[int]) -> dict[int, Group]:
        items = get_all(self._table, map(keys.group, group_ids)).values()
        return {group.group_id: group for group in map(Group.from_item, items)}

    def _reopened(
        self, groups: Mapping[int, Group], rows: Mapping[int, Sequence[Row]]
    ) -> dict[int, Group]:
        """The groups as they will be when the pending `rows` are folded."""
        found = self._regressions.among(groups.values(), rows)
        return {
            group_id: reopened(group, found[group_id]) if group_id in found else group
            for group_id, group in groups.items()
        }

    def _parts(
        self, version_id: int, group_ids: Iterable[int], rows: Mapping[int, Sequence[Row]]
    ) -> dict[int, GroupVersion]:
        """What the groups have of a version, with what is pending in `rows`."""
        wanted = list(group_ids)
        items = get_all(self._table, (keys.group_version(i, version_id) for i in wanted)).values()
        parts = {part.group_id: part for part in map(GroupVersion.from_item, items)}
        for group_id, pending in rows.items():
            for row in pending:
                parts[group_id] = _with_row(parts.get(group_id), row)
        return parts

    def _shown(
        self, groups: Sequence[Group], pending: Mapping[int, _Counted]
    ) -> list[CountedGroup]:
        counted = [pending.get(group.group_id) or _counted(group, ()) for group in groups]
        wanted = (keys.version_by_id(entry.last_version_id) for entry in counted)
        items = get_all(self._table, wanted).values()
        versions = {version.version_id: version for version in map(Version.from_item, items)}
        return [
            CountedGroup(
                group,
                entry.span.total,
                entry.span.first_at,
                entry.span.last_at,
                versions[entry.last_version_id],
                entry.sampled,
            )
            for group, entry in zip(groups, counted, strict=True)
        ]

    # --- versions ---

    def versions(self, app_id: str) -> list[Version]:
        """The versions of an app, the newest first."""
        items = query_all(self._table, keys.version(app_id, "", "").pk)
        versions = [Version.from_item(item) for item in items]
        return sorted(versions, key=lambda version: version.version_id, reverse=True)

    def crashes_by_version(self, app_id: str) -> list[tuple[Version, int]]:
        """How many crashes each version of an app has, the newest first.

        Reads the app's versions and an item of each.
        """
        return self._counts.unfolded(app_id, lambda: self._crashes_by_version(app_id))

    def _crashes_by_version(self, app_id: str) -> list[tuple[Version, int]]:
        pending = Counter[int]()
        for row in self._counts.pending(app_id).rows:
            pending[row.version_id] += row.reports
        versions = self.versions(app_id)
        places = [keys.totals(keys.version_partition(v.version_id)) for v in versions]
        totals = get_all(self._table, places)
        return [
            (
                version,
                cast(int, totals.get(place, {}).get("total", 0)) + pending[version.version_id],
            )
            for version, place in zip(versions, places, strict=True)
        ]

    def version(self, app_id: str, version_id: int) -> Version:
        item = self._table.get(keys.version_by_id(version_id))
        if item is None or item["app_id"] != app_id:
            raise NotFound("app version", str(version_id))
        return Version.from_item(item)


def _by_group(rows: Iterable[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row.group_id, []).append(row)
    return found


def _counted(group: Group, pending: Sequence[Row]) -> _Counted:
    first_at, last_at, version_id = group.created_at, group.last_at, group.last_version_id
    for row in pending:
        if row.reports <= 0:  # what goes away narrows the dates when the group is settled
            continue
        first_at = min(first_at, row.first)
        if row.last > last_at:
            last_at, version_id = row.last, row.version_id
    total = group.total + sum(row.reports for row in pending)
    sampled = (group.sampled or 0) + sum(row.sampled for row in pending)
    if first_at > last_at:  # it has had no crash yet, or has none any more
        first_at = last_at = group.updated_at or clock.to_stored(clock.now())
    return _Counted(Span(total, first_at, last_at), version_id, sampled)


def _in_version(group: Group, part: GroupVersion, version: Version) -> CountedGroup:
    return CountedGroup(group, part.total, part.first_at, part.last_at, version, part.sampled or 0)


def _with_row(part: GroupVersion | None, row: Row) -> GroupVersion:
    if part is None:
        return GroupVersion(
            row.group_id, row.version_id, row.reports, row.first, row.last, row.sampled
        )
    total, sampled = part.total + row.reports, (part.sampled or 0) + row.sampled
    if row.reports <= 0:
        return replace(part, total=total, sampled=sampled)
    return replace(
        part,
        total=total,
        sampled=sampled,
        first_at=min(part.first_at, row.first),
        last_at=max(part.last_at, row.last),
    )
