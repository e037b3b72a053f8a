"""The versions of an app: made by the first crash of each, or by who uploads something for one."""

from __future__ import annotations

from chalicelib import clock, keys
from chalicelib.ids import IdSource
from chalicelib.records import Version
from chalicelib.storage.ports import ConditionFailed, Put, Table


class Versions:
    """Finds versions by number and name, and makes those that are new."""

    def __init__(self, table: Table, ids: IdSource) -> None:
        self._table = table
        self._ids = ids

    def ensure(self, app_id: str, number: str, name: str) -> Version:
        """The version of an app, made now if it is new."""
        found = self._find(app_id, number, name)
        if found is not None:
            return found
        made = Version(self._ids.next(), app_id, number, name, clock.to_stored(clock.now()))
        try:
            self._table.write(
                [Put(made.item(), if_absent=True), Put(made.item_by_id(), if_absent=True)]
            )
        except ConditionFailed:  # a crash of it was quicker
            found = self._find(app_id, number, name)
            if found is None:
                raise
            return found
        return made

    def _find(self, app_id: str, number: str, name: str) -> Version | None:
        item = self._table.get(keys.version(app_id, number, name))
        return Version.from_item(item) if item else None
