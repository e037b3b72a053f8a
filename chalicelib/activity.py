"""Which apps are to be looked at: those that have, or are about to have, something new.

Whoever commits crashes or sessions of an app notes it first, at most once a
minute. The job of the minute reads these notes and no app that has none: what
rests costs nothing.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from chalicelib import clock, keys
from chalicelib.storage.ports import ConditionFailed, Conflict, Delete, Put, Table, query_all


@dataclass(frozen=True, slots=True)
class Active:
    """An app, and the last minute (`YYYY-MM-DDTHH:MM`) in which somebody noted it."""

    app_id: str
    minute: str


class Activity:
    """Notes active apps, and tells them."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._minute = ""
        self._noted: set[str] = set()

    def note(self, app_id: str) -> None:
        """To be called before what is new of the app is committed."""
        minute = clock.to_stored(clock.now())[:16]
        if minute != self._minute:
            self._minute, self._noted = minute, set()
        if app_id not in self._noted:
            key = keys.active(app_id)
            self._table.write([Put({"pk": key.pk, "sk": key.sk, "minute": minute})])
            self._noted.add(app_id)

    def apps(self) -> list[Active]:
        items = query_all(self._table, keys.active("").pk)
        return [Active(cast(str, item["sk"]), cast(str, item["minute"])) for item in items]

    def forget(self, active: Active) -> None:
        """Nothing is left to look at, unless it was noted again since."""
        with suppress(ConditionFailed, Conflict):
            self._table.write(
                [Delete(keys.active(active.app_id), require={"minute": active.minute})]
            )
