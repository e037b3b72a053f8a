"""Resolved groups that crash again in a newer version: found where their crashes are counted.

A report that is committed looks at no group. Folding reads the groups whose
crashes it counts anyway; of those that are resolved, and of those only, it
compares versions. The group is opened in the same atomic batch that counts
the crash, on the condition that it is still resolved as it was read: so once,
whoever folds. Who reads a group before that sees it as it is going to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from chalicelib import keys
from chalicelib.deltas import Row
from chalicelib.records import OPEN, RESOLVED, Group, Version
from chalicelib.storage.ports import Table, Update, get_all
from chalicelib.version_order import is_newer


@dataclass(frozen=True, slots=True)
class Regression:
    """A group crashed again after it was resolved, in a version that is newer than the newest
    that it was resolved in; `at` is the crash's date."""

    group_id: int
    version_id: int
    at: str


class Regressions:
    """Tells which resolved groups have crashed again. Reads versions, of those groups only."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def among(
        self,
        groups: Iterable[Group],
        rows: Mapping[int, Sequence[Row]],
        unstored: Iterable[Version] = (),
    ) -> dict[int, Regression]:
        """The regressions that the groups' new `rows` are, by the groups' ids.

        `unstored` are versions of the rows that are not in the table yet.
        """
        suspects: dict[int, tuple[Group, list[Row]]] = {}
        for group in groups:
            again = [row for row in rows.get(group.group_id, ()) if _is_again(row, group)]
            if again:
                suspects[group.group_id] = (group, again)
        if not suspects:
            return {}
        versions = self._versions(suspects.values())
        versions.update((version.version_id, version) for version in unstored)
        found: dict[int, Regression] = {}
        for group_id, (group, again) in suspects.items():
            newer = [row for row in again if _is_in_newer_version(row, group, versions)]
            if newer:
                first = min(newer, key=lambda row: _moment(row, group))
                found[group_id] = Regression(group_id, first.version_id, _moment(first, group))
        return found

    def _versions(self, suspects: Iterable[tuple[Group, list[Row]]]) -> dict[int, Version]:
        wanted: set[int] = set()
        for group, again in suspects:
            wanted.update(row.version_id for row in again)
            if group.resolved_in_version_id is not None:
                wanted.add(group.resolved_in_version_id)
        items = get_all(self._table, map(keys.version_by_id, wanted)).values()
        return {version.version_id: version for version in map(Version.from_item, items)}


def reopened(group: Group, regression: Regression) -> Group:
    """The group as the regression leaves it."""
    return replace(
        group,
        status=OPEN,
        regressed_at=regression.at,
        regressed_in_version_id=regression.version_id,
        updated_at=max(regression.at, group.updated_at or ""),
    )


def reopening(update: Update, group: Group, regression: Regression) -> Update:
    """The update of a group's counts that opens it too, if it is still resolved as it was read."""
    after = reopened(group, regression)
    names = ("status", "regressed_at", "regressed_in_version_id", "updated_at")
    return replace(
        update,
        set={**update.set, **{name: getattr(after, name) for name in names}},
        require={**update.require, "status": RESOLVED, "resolved_at": group.resolved_at},
    )


def _is_again(row: Row, group: Group) -> bool:
    """Whether the row has a crash later than the resolution, in another version."""
    return (
        group.status == RESOLVED
        and group.resolved_at is not None
        and row.reports > 0
        and row.last > group.resolved_at
        and row.version_id != group.resolved_in_version_id
    )


def _is_in_newer_version(row: Row, group: Group, versions: Mapping[int, Version]) -> bool:
    version = versions.get(row.version_id)
    if version is None:
        return False
    resolved_in = versions.get(group.resolved_in_version_id or 0)
    newer = is_newer(version, resolved_in) if resolved_in is not None else None
    if newer is None:  # the names do not tell: a version that came after the resolution is newer
        return version.created_at > (group.resolved_at or "")
    return newer


def _moment(row: Row, group: Group) -> str:
    """A date of the row's crashes that is after the resolution: the first where that is one."""
    return row.first if row.first > (group.resolved_at or "") else row.last
