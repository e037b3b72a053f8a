"""Give groups that an earlier version stored their places in the lists of groups."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import cast

from chalicelib import group_places, keys
from chalicelib.records import Group, GroupVersion
from chalicelib.storage.ports import (
    ConditionFailed,
    Item,
    Key,
    Operation,
    Put,
    Table,
    Update,
    query_all,
)
from chalicelib.storage.schema import BY_APP

_MAX_ATTEMPTS = 20  # to write one item while crashes are counted in it


class Reordering:
    """Places the groups of one app; crashes may come meanwhile. A second run changes nothing."""

    def __init__(self, table: Table, app_id: str) -> None:
        self._table = table
        self._app_id = app_id

    def run(self) -> int:
        """How many groups, and groups in a version, were not where they belong."""
        placed = 0
        for listed in self._listed():
            for item in self._parts_of(cast(int, listed["group_id"])):
                placed += self._place(Key(str(item["pk"]), str(item["sk"])))
        for version in list(query_all(self._table, keys.version(self._app_id, "", "").pk)):
            self._count_groups(cast(int, version["version_id"]))
        return placed

    def _listed(self) -> list[Item]:
        """The app's groups: also those in the list that an earlier version had in one partition."""
        before = query_all(self._table, f"groups#{self._app_id}", index=BY_APP)
        return [*before, *group_places.listed(self._table, self._app_id)]

    def _parts_of(self, group_id: int) -> Iterator[Item]:
        """The group's own item and those of its versions."""
        for item in list(query_all(self._table, keys.group_partition(group_id))):
            if item["sk"] == "group" or str(item["sk"]).startswith("version#"):
                yield item

    def _place(self, key: Key) -> bool:
        for _ in range(_MAX_ATTEMPTS):
            item = self._table.get(key)
            if item is None:
                return False
            entry = Group.from_item(item) if key.sk == "group" else GroupVersion.from_item(item)
            orders = entry.orders()
            if all(item.get(name) == value for name, value in orders.items()):
                return False
            require = {"total": item["total"], "last_at": item["last_at"]}
            operations: list[Operation] = [Update(key, set=orders, require=require)]
            if isinstance(entry, Group):
                operations.append(Put(entry.by_class()))
            try:
                self._table.write(operations)
            except ConditionFailed:
                continue
            return True
        return False

    def _count_groups(self, version_id: int) -> None:
        """An earlier version did not count a version's groups."""
        key = keys.totals(keys.version_partition(version_id))
        for _ in range(_MAX_ATTEMPTS):
            known = (self._table.get(key) or {}).get("groups")
            groups = sum(1 for _ in group_places.listed(self._table, version_id))
            if known == groups:
                return
            with suppress(ConditionFailed):
                self._table.write([Update(key, set={"groups": groups}, require={"groups": known})])
