"""What the detector compares with: the hours of an app and its versions, the days of its groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Generic, TypeVar, cast

from chalicelib import hours, keys
from chalicelib.alerts.baseline import (
    HOURS,
    AppBaseline,
    Baseline,
    Daily,
    Hourly,
    of_app,
    of_version,
)
from chalicelib.alerts.crash_free import HourOfSessions
from chalicelib.alerts.lately import minute_of, moment_of
from chalicelib.hours import HourTotal
from chalicelib.records import Group
from chalicelib.storage.ports import Table, get_all

_DAYS = 28  # of a group
_EPOCH = date(1970, 1, 1)
_MAX_KNOWN = 1_000  # baselines: an app's has some 50 kB

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours of an app or a version, by their number since the epoch, of ten weeks."""

    totals: Mapping[int, HourTotal]

    def crashes(self, before: int) -> Hourly:
        """Of every hour before one, from the first crash on."""
        counted = [hour for hour, total in self.totals.items() if total.crashes > 0]
        first = max(min(counted, default=before), before - HOURS)
        return Hourly(
            first, [max(0, self._at(hour).crashes) for hour in range(first, max(first, before))]
        )

    def sessions(self, last: int) -> list[HourOfSessions]:
        """Of those of four weeks up to `last`, with it, that know of sessions."""
        known = (self._at(hour) for hour in range(last - HOURS, last + 1))
        return [HourOfSessions(max(0, it.crashes), it.sessions) for it in known if it.sessions > 0]

    def has_sessions(self, hour: int) -> bool:
        return self._at(hour).sessions > 0

    def _at(self, hour: int) -> HourTotal:
        return self.totals.get(hour, HourTotal())


class Past:
    """Reads counts, and remembers what it read at a minute (`read_at`, since the epoch), which
    says how fresh it has to be: the same for a whole hour."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._hours: _Known[Hours] = _Known()
        self._apps: _Known[AppBaseline] = _Known()
        self._versions: _Known[Baseline] = _Known()

    def of_app(self, app_id: str, hour: int, read_at: int) -> AppBaseline:
        """What is expected of an hour since the epoch."""
        place = (app_id, hour, read_at)
        known = self._apps.get(place)
        if known is None:
            past = self.hours(keys.app_partition(app_id), read_at).crashes(hour)
            known = self._apps.keep(place, of_app(past, hour))
        return known

    def of_version(self, app: AppBaseline, version_id: int, read_at: int) -> Baseline:
        place = (str(version_id), app.hour, read_at)
        known = self._versions.get(place)
        if known is None:
            past = self.hours(keys.version_partition(version_id), read_at).crashes(app.hour)
            known = self._versions.keep(place, of_version(app, past))
        return known

    def hours(self, partition: str, read_at: int) -> Hours:
        known = self._hours.get((partition, read_at, 0))
        if known is None:
            today = moment_of(read_at).date()
            first = today - timedelta(days=hours.KEPT_DAYS)
            found = hours.read(self._table, partition, first, today)
            numbered = {_hour_named(name): total for name, total in found.items()}
            known = self._hours.keep((partition, read_at, 0), Hours(numbered))
        return known

    def of_groups(self, groups: Sequence[Group], today: date) -> dict[int, Daily]:
        """The days of groups, today's so far; one request for some fifty of them."""
        first_days = {group.group_id: _first_day(group, today) for group in groups}
        born = {
            group.group_id: minute_of(datetime.fromisoformat(group.created_at)) for group in groups
        }
        months = {
            group_id: {f"{day:%Y-%m}" for day in (first, today)}
            for group_id, first in first_days.items()
        }
        wanted = [
            keys.days(keys.group_partition(group_id), month)
            for group_id, names in months.items()
            for month in names
        ]
        found = get_all(self._table, wanted)
        daily: dict[int, Daily] = {}
        for group_id, first in first_days.items():
            counts: list[int] = []
            for number in range((today - first).days + 1):
                day = first + timedelta(days=number)
                key = keys.days(keys.group_partition(group_id), f"{day:%Y-%m}")
                counts.append(cast(int, found.get(key, {}).get(f"d{day:%d}", 0)))
            daily[group_id] = Daily((first - _EPOCH).days, counts, born[group_id])
        return daily


def _first_day(group: Group, today: date) -> date:
    """That of its first crash, or the first of four weeks."""
    born = date.fromisoformat(group.created_at[:10])
    return min(today, max(born, today - timedelta(days=_DAYS - 1)))


def _hour_named(name: str) -> int:
    """`YYYY-MM-DDTHH` in hours since the epoch."""
    return (date.fromisoformat(name[:10]) - _EPOCH).days * 24 + int(name[11:])


class _Known(Generic[V]):
    """The last values by their place; it starts anew when there are too many."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, int, int], V] = {}

    def get(self, place: tuple[str, int, int]) -> V | None:
        return self._values.get(place)

    def keep(self, place: tuple[str, int, int], value: V) -> V:
        if len(self._values) >= _MAX_KNOWN:
            self._values.clear()
        self._values[place] = value
        return value
