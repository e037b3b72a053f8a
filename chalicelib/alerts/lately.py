"""The last two hours of an app by the minute: of itself, its versions and its groups.

Read from the log of what was folded (recent.py). A process goes on from what
it knows and reads what came since; one that knows nothing reads two hours.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from chalicelib import keys, recent
from chalicelib.alerts.baseline import MINUTES
from chalicelib.storage.ports import Table

_log = logging.getLogger(__name__)

SPAN = 2 * MINUTES  # minutes: an hour that is judged minute by minute, and the hour before each
_BEHIND = timedelta(minutes=2)  # what is folded by other clocks may come to lie before our own
_MAX_PAGES = 25  # of a shard: 25 MB at the most, as when a storm meets a process that knows nothing
_MAX_SUBJECTS = 100_000  # of all apps: 600 bytes each
_MAX_OF_APP = 20_000  # whoever sends made-up stacks founds a group with each

APP = "app"  # the subject of an app as a whole


def of_version(version_id: int) -> str:
    return f"version:{version_id}"


def of_group(group_id: int) -> str:
    return f"group:{group_id}"


def minute_of(moment: datetime) -> int:
    """In minutes since the epoch."""
    return int(moment.timestamp() // 60)


def moment_of(minute: int) -> datetime:
    """When the minute begins."""
    return datetime.fromtimestamp(minute * 60, UTC)


@dataclass
class Series:
    """Crashes by minute of everything in one app, from `first` on.

    `looked` says up to which minute the detector judged them, `is_watched` that
    something was not over then. `touched` is the earliest minute that was added
    to since; None: none. `founded` are the groups whose founding was read since.
    """

    first: int
    counts: dict[str, array[int]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    read_at: datetime | None = None
    touched: int | None = None
    founded: tuple[int, ...] = ()
    looked: int | None = None
    is_watched: bool = False

    def hour_until(self, subject: str, minute: int) -> Sequence[int]:
        """The crashes of the 60 minutes that end with this one, oldest first."""
        counts = self.counts.get(subject)
        if counts is None:
            return _NOTHING
        end = minute - self.first + 1
        return counts[end - MINUTES : end]

    def most(self, subject: str, since: int) -> int:
        """No hour that ends in the minute `since` or later has more crashes than that."""
        counts = self.counts.get(subject)
        return sum(counts[max(0, since - MINUTES + 1 - self.first) :]) if counts else 0

    def subjects(self, kind: str) -> Iterator[tuple[str, int]]:
        """The versions, or the groups, that crashed, with their ids."""
        for subject in self.counts:
            name, _, identifier = subject.partition(":")
            if name == kind:
                yield subject, int(identifier)

    def move_to(self, first: int) -> None:
        """Forget what was before a minute."""
        gone = first - self.first
        if gone <= 0:
            return
        self.first = first
        for subject, counts in list(self.counts.items()):
            kept = counts[gone:]
            if any(kept):
                self.counts[subject] = kept + array("I", bytes(4 * (len(counts) - len(kept))))
            else:
                del self.counts[subject]

    def add(self, subject: str, minute: int, crashes: int) -> None:
        counts = self.counts.get(subject)
        if counts is None:
            counts = self.counts[subject] = array("I", bytes(4 * (SPAN + 1)))
        counts[minute - self.first] += crashes

    def was_looked_at(self, last: int, *, is_watched: bool) -> None:
        """Up to the minute `last`, and told of what is new; where that failed it is done again."""
        self.looked, self.is_watched = last, is_watched
        self.touched, self.founded = None, ()


_NOTHING = array("I", bytes(4 * MINUTES))


class Lately:
    """Reads the last minutes of apps, and remembers them."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known: dict[str, Series] = {}

    def known(self, app_id: str) -> Series | None:
        """As it was read last."""
        return self._known.get(app_id)

    def read(self, app_id: str, now: datetime) -> Series:
        """The last `SPAN` minutes and the one that runs; late crashes are in the minute they are
        of."""
        series = self._known.get(app_id)
        first = minute_of(now) - SPAN
        if series is None or series.first > first:
            if sum(len(other.counts) for other in self._known.values()) > _MAX_SUBJECTS:
                self._known.clear()
            series = self._known[app_id] = Series(first)
        series.move_to(first)
        self._read_on(app_id, series, now)
        return series

    def forget(self, app_id: str) -> None:
        self._known.pop(app_id, None)

    def _read_on(self, app_id: str, series: Series, now: datetime) -> None:
        since = series.read_at or now - timedelta(minutes=SPAN)
        read = [
            entry
            for shard in range(keys.RECENT_SHARDS)
            for entry in self._entries(app_id, shard, since - _BEHIND)
        ]
        founded = set(series.founded)
        for entry in read:
            if entry.place in series.seen:
                continue
            founded.update(entry.founded)
            for row in entry.rows:
                minute = minute_of(datetime.fromisoformat(f"{row.minute}:00Z"))
                if series.first <= minute <= series.first + SPAN:
                    touched = series.touched
                    series.touched = minute if touched is None else min(touched, minute)
                    series.add(APP, minute, row.crashes)
                    for subject in (of_version(row.version_id), of_group(row.group_id)):
                        if subject in series.counts or len(series.counts) < _MAX_OF_APP:
                            series.add(subject, minute, row.crashes)
        series.seen = {entry.place for entry in read}
        series.read_at = now
        series.founded = tuple(sorted(founded))

    def _entries(self, app_id: str, shard: int, since: datetime) -> Iterator[recent.Entry]:
        found = recent.entries(self._table, app_id, shard, since, _MAX_PAGES)
        yield from found.entries
        if found.is_cut:
            _log.warning("of the latest crashes of app %s only the last are looked at", app_id)
