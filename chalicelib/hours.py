"""Crashes and sessions by hour, of an app and of a version: exact, as every count, for ten weeks.

One item a day, with `h00` to `h23` for crashes and `s00` to `s23` for sessions
(UTC). Folding adds to them in the batch that takes the deltas away; what is
deleted, or moved to another version, is taken from its hour again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import cast

from chalicelib import keys
from chalicelib.deltas import HourCount, hours_of
from chalicelib.storage.ports import Item, Key, SortRange, Table, Update, query_all

KEPT_DAYS = 70  # ten weeks: a season by the week needs four
_MAX_ITEMS = 24  # of one fold, which has a hundred for all it changes
_SURELY_KEPT_DAYS = KEPT_DAYS - 2  # whatever the time of day, and whenever the item goes


@dataclass(frozen=True, slots=True)
class HourTotal:
    """What an hour had."""

    crashes: int = 0
    sessions: int = 0


Additions = dict[Key, Counter[str]]


def as_many_as_fit(
    app_id: str, deltas: Sequence[Item], today: date
) -> tuple[Sequence[Item], Additions]:
    """The first of the deltas, one at least, and what they add to hours: to few items."""
    together: Additions = {}
    for taken, delta in enumerate(deltas):
        added = _additions(app_id, hours_of(delta), today)
        if taken and len({*together, *added}) > _MAX_ITEMS:
            return deltas[:taken], _effective(together)
        for key, counters in added.items():
            together.setdefault(key, Counter()).update(counters)
    return deltas, _effective(together)


def add(additions: Additions, app_id: str, counted: HourCount, today: date) -> None:
    """Add one more to what is to be added."""
    for key, counters in _additions(app_id, [counted], today).items():
        additions.setdefault(key, Counter()).update(counters)


def items_of(app_id: str, counted: HourCount) -> tuple[Key, Key]:
    """The two items that count it."""
    partitions = keys.app_partition(app_id), keys.version_partition(counted.version_id)
    of_app, of_version = (keys.hours(partition, counted.hour[:10]) for partition in partitions)
    return of_app, of_version


def updates(additions: Additions) -> Iterator[Update]:
    for key, counters in _effective(additions).items():
        day = date.fromisoformat(key.sk.partition("#")[2])
        gone = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=KEPT_DAYS + 1)
        yield Update(key, add=counters, set={"expires_at": int(gone.timestamp())})


def read(table: Table, partition: str, first: date, last: date) -> dict[str, HourTotal]:
    """The folded hours of an app or a version by their name (`YYYY-MM-DDTHH`), from one day to
    another, both inclusive. An hour that had nothing may be missing."""
    days = SortRange(keys.hours("", first.isoformat()).sk, keys.hours("", last.isoformat()).sk)
    found: dict[str, HourTotal] = {}
    for item in query_all(table, partition, sort=days):
        found.update(of_item(item))
    return found


def of_item(item: Item) -> Iterator[tuple[str, HourTotal]]:
    """The hours of one day."""
    day = cast(str, item["sk"]).partition("#")[2]
    for hour in range(24):
        crashes = cast(int, item.get(f"h{hour:02d}", 0))
        sessions = cast(int, item.get(f"s{hour:02d}", 0))
        if crashes or sessions:
            yield f"{day}T{hour:02d}", HourTotal(crashes, sessions)


def added_to(
    found: Mapping[str, HourTotal], pending: Iterable[HourCount]
) -> Mapping[str, HourTotal]:
    """The hours with what is not folded yet."""
    together = dict(found)
    for row in pending:
        before = together.get(row.hour, HourTotal())
        together[row.hour] = HourTotal(before.crashes + row.crashes, before.sessions + row.sessions)
    return together


def surely_kept_since(today: date) -> str:
    """The first day (`YYYY-MM-DD`) of which every hour is counted and still there."""
    return (today - timedelta(days=_SURELY_KEPT_DAYS)).isoformat()


def _additions(app_id: str, rows: Iterable[HourCount], today: date) -> Additions:
    added: Additions = {}
    oldest = (today - timedelta(days=KEPT_DAYS)).isoformat()
    for version_id, hour, crashes, sessions in rows:
        if hour < oldest:
            continue
        for partition in (keys.app_partition(app_id), keys.version_partition(version_id)):
            counters = added.setdefault(keys.hours(partition, hour[:10]), Counter())
            counters[f"h{hour[11:]}"] += crashes
            counters[f"s{hour[11:]}"] += sessions
    return added


def _effective(additions: Additions) -> Additions:
    """Without what comes to nothing, as where a report changed its group."""
    changed = {
        key: Counter({name: number for name, number in counters.items() if number})
        for key, counters in additions.items()
    }
    return {key: counters for key, counters in changed.items() if counters}
