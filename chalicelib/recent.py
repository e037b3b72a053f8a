"""The log of crashes that were counted lately, by the minute they are of.

Each fold puts one item, in the batch that takes the deltas away: so every new
crash is in the log once. What is deleted, or put into another group, is not in
it. An item goes after two days.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from chalicelib import clock, keys
from chalicelib.deltas import founded_by, new_crashes_of
from chalicelib.storage.ports import Item, Put, SortRange, Table, Value

KEPT = timedelta(days=2)
_LOGGED = timedelta(days=1)  # a crash that is older says nothing of how things are now
_PAGE = 200  # items: some kB each


class Crashes(NamedTuple):
    """New crashes of one minute (`YYYY-MM-DDTHH:MM`), of one group in one version."""

    minute: str
    group_id: int
    version_id: int
    crashes: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What one fold counted: `place` is another one for each, and rises with time in a shard.

    `founded` are the groups that some of the crashes founded.
    """

    place: str
    rows: tuple[Crashes, ...]
    founded: tuple[int, ...]


def logged(app_id: str, shard: int, deltas: Iterable[Item], now: datetime) -> Put | None:
    """What to write with the fold of the deltas; None: there is nothing new in them."""
    earliest = clock.to_stored(now - _LOGGED)[:16]
    counted = Counter[tuple[str, int, int]]()
    founded: list[int] = []
    for delta in deltas:
        founded += founded_by(delta)
        for row in new_crashes_of(delta):
            if row.minute is not None and row.minute >= earliest:
                counted[row.minute, row.group_id, row.version_id] += row.reports
    if not counted:
        return None
    minutes: dict[str, list[Value]] = {}
    for (minute, group_id, version_id), crashes in counted.items():
        minutes.setdefault(minute, []).append([group_id, version_id, crashes])
    key = keys.recent(app_id, shard, clock.to_stored(now), secrets.token_hex(4))
    item: dict[str, Value] = {
        "pk": key.pk,
        "sk": key.sk,
        "minutes": cast(Mapping[str, Value], minutes),
        "expires_at": int((now + KEPT).timestamp()),
    }
    if founded:
        item["founded"] = founded
    return Put(item)


@dataclass(frozen=True, slots=True)
class Found:
    """Entries of the log; `is_cut`: there are more, which are older."""

    entries: tuple[Entry, ...]
    is_cut: bool


def entries(table: Table, app_id: str, shard: int, since: datetime, max_pages: int) -> Found:
    """What was folded since a moment, the newest first, of at most that many pages."""
    partition = keys.recent_of_app(app_id)[shard]
    folded = SortRange(low=clock.to_stored(since))
    cursor: str | None = None
    found: list[Entry] = []
    for _ in range(max_pages):
        page = table.query(partition, sort=folded, limit=_PAGE, descending=True, cursor=cursor)
        found += map(_entry, page.items)
        cursor = page.cursor
        if cursor is None:
            break
    return Found(tuple(found), cursor is not None)


def _entry(item: Item) -> Entry:
    minutes = cast(Mapping[str, Sequence[Sequence[Any]]], item["minutes"])
    rows = tuple(Crashes(minute, *row) for minute, found in minutes.items() for row in found)
    return Entry(cast(str, item["sk"]), rows, tuple(cast(Sequence[int], item.get("founded", ()))))
