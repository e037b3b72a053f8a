"""Where the watches of an app are kept: those that have something to remember, and no others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Any, cast

from chalicelib import keys
from chalicelib.alerts.lately import moment_of
from chalicelib.alerts.watch import Watch
from chalicelib.storage.ports import (
    EXPIRES_AT,
    ConditionFailed,
    Conflict,
    Delete,
    Item,
    Put,
    Table,
    Update,
    Value,
    query_all,
)

_KEPT = timedelta(days=8)  # one that nobody looked at for so long tells nothing
_TOLD = "told"  # in the place of a subject: no subject is called so
_MAX_TOLD = 500
_MAX_MARKS = 200


@dataclass(frozen=True, slots=True)
class Told:
    """Which new groups of an app (`seen`) and which records of some that are back (`marks`) were
    looked at lately, and how many there were of both in `hour` (since the epoch)."""

    hour: int = 0
    groups: int = 0
    regressed: int = 0
    seen: tuple[int, ...] = ()
    marks: tuple[str, ...] = ()

    def of_hour(self, hour: int) -> Told:
        """The same, with what is counted from the beginning of another hour on."""
        return self if hour == self.hour else Told(hour, seen=self.seen, marks=self.marks)


@dataclass(frozen=True, slots=True)
class Remembered:
    """All that is remembered of an app: its watches by their names, and what people were told."""

    watches: Mapping[str, Watch]
    told: Told


class WatchBook:
    """Reads and writes what is remembered of apps from minute to minute."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def read(self, app_id: str) -> Remembered:
        watches: dict[str, Watch] = {}
        told = Told()
        for item in query_all(self._table, keys.watch(app_id, "").pk):
            name = cast(str, item["sk"])
            if name == _TOLD:
                told = Told(**_of(Told, item))
            else:
                watches[name] = Watch(**_of(Watch, item))
        return Remembered(watches, told)

    def write(self, app_id: str, name: str, before: Watch, after: Watch, now: int) -> bool:
        """Keep the watch, or forget one that is idle at the minute `now`; False: another process
        changed it meanwhile."""
        try:
            self._table.write([kept(app_id, name, before, after, now)])
        except (ConditionFailed, Conflict):
            return False
        return True

    def write_told(self, app_id: str, told: Told, now: int) -> None:
        key = keys.watch(app_id, _TOLD)
        item: dict[str, Value] = {
            "pk": key.pk,
            "sk": key.sk,
            "hour": told.hour,
            "groups": told.groups,
            "regressed": told.regressed,
            "seen": list(told.seen[-_MAX_TOLD:]),
            "marks": list(told.marks[-_MAX_MARKS:]),
            EXPIRES_AT: int((moment_of(now) + _KEPT).timestamp()),
        }
        self._table.write([Put(item)])


def kept(app_id: str, name: str, before: Watch, after: Watch, now: int) -> Delete | Update:
    """What keeps or forgets a watch, on condition that it is as it was read.

    One that is open does not expire: its alert would stay open for ever.
    """
    key = keys.watch(app_id, name)
    require: dict[str, Value] = {"last": before.last or None}
    if after.idle(now):
        return Delete(key, require=require)
    values: dict[str, Value] = {at: it for at, it in asdict(after).items() if it is not None}
    if after.opened is None:
        values[EXPIRES_AT] = int((moment_of(now) + _KEPT).timestamp())
    gone = tuple(at for at in (*asdict(after), EXPIRES_AT) if at not in values)
    return Update(key, set=values, remove=gone, require=require)


def _of(kind: type[Watch] | type[Told], item: Item) -> dict[str, Any]:
    return dict(_values(kind, item))


def _values(kind: type[Watch] | type[Told], item: Item) -> Iterator[tuple[str, Any]]:
    for entry in fields(kind):
        value = item.get(entry.name)
        if value is not None:
            yield entry.name, tuple(value) if isinstance(value, list) else value
