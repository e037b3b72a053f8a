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


@dataclass(frozen=True, slots=True)
class Told:
    """Which new groups of an app were looked at lately, and of how many people were told in
    `hour` (since the epoch) one by one."""

    hour: int = 0
    groups: int = 0
    seen: tuple[int, ...] = ()


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
        key = keys.watch(app_id, name)
        require: dict[str, Value] = {"last": before.last or None}
        if after.idle(now):
            operation: Delete | Update = Delete(key, require=require)
        else:
            values: dict[str, Value] = {
                at: value for at, value in asdict(after).items() if value is not None
            }
            gone = tuple(at for at in asdict(after) if at not in values)
            values[EXPIRES_AT] = int((moment_of(now) + _KEPT).timestamp())
            operation = Update(key, set=values, remove=gone, require=require)
        try:
            self._table.write([operation])
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
            "seen": list(told.seen[-_MAX_TOLD:]),
            EXPIRES_AT: int((moment_of(now) + _KEPT).timestamp()),
        }
        self._table.write([Put(item)])


def _of(kind: type[Watch] | type[Told], item: Item) -> dict[str, Any]:
    return dict(_values(kind, item))


def _values(kind: type[Watch] | type[Told], item: Item) -> Iterator[tuple[str, Any]]:
    for entry in fields(kind):
        value = item.get(entry.name)
        if value is not None:
            yield entry.name, tuple(value) if isinstance(value, list) else value
