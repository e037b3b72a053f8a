"""Sessions of an app's users, counted by the hour beside its crashes: how many went without one.

Sessions come in batches, each with an id of its sender's: a batch that is sent
again counts once. They are counted as crashes are, by a delta that is folded,
so no two senders write to one count.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from chalicelib import clock, hours, keys
from chalicelib.activity import Activity
from chalicelib.counts import Counts
from chalicelib.deltas import HourCount, sessions_put
from chalicelib.errors import InvalidRequest
from chalicelib.formats.dates import MAX_DATE_CHARS
from chalicelib.hours import HourTotal
from chalicelib.ids import IdSource, sortable
from chalicelib.queries.histograms import Days, latest
from chalicelib.queries.paging import Listing, Paging, cut
from chalicelib.records import Version
from chalicelib.storage.ports import EXPIRES_AT, ConditionFailed, Put, Table
from chalicelib.versions import Versions

MAX_ENTRIES = 25  # each changes two items of an hour, and a fold has a hundred
MAX_SESSIONS = 1_000_000_000  # of one entry
MAX_CHARS = 100  # of a batch's id, and of what a version is called
_AHEAD = timedelta(hours=1)  # of clocks that are not right
_FIELDS = ("bundle_version", "bundle_short_version", "started_at", "count")


@dataclass(frozen=True, slots=True)
class Started:
    """So many sessions of a version began in an hour (`YYYY-MM-DDTHH`)."""

    number: str
    name: str
    hour: str
    sessions: int


@dataclass(frozen=True, slots=True)
class DayOfSessions:
    """Sessions and crashes of a day (UTC)."""

    day: date
    sessions: int
    crashes: int

    @property
    def crash_free(self) -> float | None:
        """Percent of the sessions that went without a crash; None where none are known."""
        if self.sessions <= 0:
            return None
        crashed = min(max(self.crashes, 0), self.sessions)
        return round(100 * (self.sessions - crashed) / self.sessions, 3)


@dataclass(frozen=True, slots=True)
class CrashFree:
    """The days of an app, and of a page of its versions."""

    days: tuple[DayOfSessions, ...]
    versions: Listing[tuple[Version, tuple[DayOfSessions, ...]]]


class Sessions:
    """Takes and tells the sessions of apps."""

    def __init__(self, table: Table, counts: Counts, versions: Versions, ids: IdSource) -> None:
        self._table = table
        self._counts = counts
        self._versions = versions
        self._ids = ids
        self._activity = Activity(table)

    def take(self, app_id: str, batch_id: str, started: Sequence[Started]) -> bool:
        """Count a batch; False: it was counted before, and is not again."""
        by_hour: dict[tuple[int, str], int] = {}
        for entry in started:
            version = self._versions.ensure(app_id, entry.number, entry.name)
            place = version.version_id, entry.hour
            by_hour[place] = by_hour.get(place, 0) + entry.sessions
        counted = [HourCount(version, hour, 0, many) for (version, hour), many in by_hour.items()]
        key = keys.session_batch(
            app_id, hashlib.sha256(batch_id.encode("utf-8", "backslashreplace")).hexdigest()
        )
        # Sessions that are older are not taken, so then the batch could not be taken again either.
        gone = clock.now() + timedelta(days=hours.KEPT_DAYS + 1)
        known: dict[str, str | int] = {
            "pk": key.pk,
            "sk": key.sk,
            EXPIRES_AT: int(gone.timestamp()),
        }
        self._activity.note(app_id)
        while True:
            shard = secrets.randbelow(keys.DELTA_SHARDS)
            delta = sessions_put(app_id, shard, sortable(self._ids.next()), counted)
            try:
                self._table.write([Put(known, if_absent=True), delta])
            except ConditionFailed as failure:
                if 0 in failure.indexes:
                    return False
                continue  # another process made the same id
            return True

    def crash_free(
        self, app_id: str, versions: Sequence[Version], days: Days, paging: Paging
    ) -> CrashFree:
        """Of an app and of a page of the versions given; of the last days if there are too many."""
        page = cut(versions, paging)
        return self._counts.unfolded(app_id, lambda: self._crash_free(app_id, page, latest(days)))

    def _crash_free(self, app_id: str, page: Listing[Version], days: Days) -> CrashFree:
        pending = self._counts.pending(app_id).hours
        of_versions = tuple(
            (
                version,
                self._days(
                    keys.version_partition(version.version_id),
                    (row for row in pending if row.version_id == version.version_id),
                    days,
                ),
            )
            for version in page.entries
        )
        of_app = self._days(keys.app_partition(app_id), pending, days)
        return CrashFree(of_app, Listing(of_versions, page.total_entries, page.paging))

    def _days(
        self, partition: str, pending: Iterable[HourCount], days: Days
    ) -> tuple[DayOfSessions, ...]:
        folded = hours.read(self._table, partition, days.first, days.last)
        return tuple(_by_day(hours.added_to(folded, pending), day) for day in days.all())


def _by_day(found: Mapping[str, HourTotal], day: date) -> DayOfSessions:
    of_day = [found.get(f"{day}T{hour:02d}", HourTotal()) for hour in range(24)]
    return DayOfSessions(
        day, sum(hour.sessions for hour in of_day), sum(hour.crashes for hour in of_day)
    )


# --- what is posted ---


def read_batch(posted: Mapping[str, object], now: datetime) -> tuple[str, tuple[Started, ...]]:
    """A batch's id and its sessions; raises `InvalidRequest` with a message for each field."""
    wrong: dict[str, list[str]] = {}
    batch_id = posted.get("batch_id")
    if not isinstance(batch_id, str) or not 0 < len(batch_id) <= MAX_CHARS:
        wrong["batch_id"] = [f"is required: a text of 1 to {MAX_CHARS} characters"]
    entries = posted.get("sessions")
    started: list[Started] = []
    if not isinstance(entries, list) or not 0 < len(entries) <= MAX_ENTRIES:
        wrong["sessions"] = [f"is required: a list of 1 to {MAX_ENTRIES} objects"]
    else:
        for entry in entries:
            read = _started(entry, now)
            if isinstance(read, str):
                wrong["sessions"] = [read]
                break
            started.append(read)
    if wrong or not isinstance(batch_id, str):
        raise InvalidRequest(wrong)
    return batch_id, tuple(started)


def _started(entry: object, now: datetime) -> Started | str:
    """What an entry says, or what is wrong with it."""
    if not isinstance(entry, dict) or not entry.keys() <= set(_FIELDS):
        return f"must be objects of {', '.join(_FIELDS)}"
    number, name = (entry.get(field) or "" for field in _FIELDS[:2])
    for text in (number, name):
        if not isinstance(text, str) or len(text) > MAX_CHARS or not text.isprintable():
            return f"a version's number and name are texts of at most {MAX_CHARS} characters"
    if not (number or name):
        return "bundle_version or bundle_short_version is required"
    at = _moment(entry.get("started_at"))
    if at is None:
        return "started_at is required: a time as 2026-11-21T12:00:00Z"
    oldest = now - timedelta(days=hours.KEPT_DAYS - 1)
    if not oldest < at < now + _AHEAD:
        return f"started_at must be of the last {hours.KEPT_DAYS - 1} days"
    many = entry.get("count", 1)
    if isinstance(many, bool) or not isinstance(many, int) or not 0 < many <= MAX_SESSIONS:
        return f"count must be a whole number from 1 to {MAX_SESSIONS}"
    return Started(number, name, clock.to_stored(at)[:13], many)


def _moment(told: object) -> datetime | None:
    if not isinstance(told, str) or len(told) > MAX_DATE_CHARS:
        return None
    try:
        moment = datetime.fromisoformat(told)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
