"""Reports go when they are older than their app's owner decided.

Every hour one process looks at the old end of each app's reports, and has a
task sent where there are some that are too old; a worker does a bounded part
of it and sends the rest on. So crashes that come are not held up, several apps
are worked off side by side, and a backlog of any size goes in time. Retention
goes by whole days (UTC): all of a day goes after midnight, and its groups are
settled once. A look that finds nothing reads eight ends of an index.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice

from chalicelib import clock, keys, payload
from chalicelib.belongings import blobs_of, delete_blobs
from chalicelib.bootstrap import Services
from chalicelib.errors import FormatError
from chalicelib.ids import first_of, sortable
from chalicelib.metrics import Metric
from chalicelib.records import App, DeadLetter, StoredReport
from chalicelib.storage.ports import (
    BlobNotFound,
    ConditionFailed,
    Conflict,
    Delete,
    SortRange,
    Update,
    query_all,
)
from chalicelib.storage.schema import BY_APP
from chalicelib.tasks import Expire, Settle, encode, settled_s, work_s

_WORK_S = 5.0  # of one message: who works on it takes no crashes meanwhile
_PART = 200  # reports between two looks at the clock
_LETTERS = 1000  # that go in a run, of one shard
_LOST_AFTER = timedelta(hours=2)  # a part that nobody went on with in that time is begun anew


@dataclass(frozen=True, slots=True)
class _Limits:
    """Before which day each app's reports are too old."""

    by_app: dict[str, str]
    default: str | None

    def of(self, app_id: str | None) -> str | None:
        return self.by_app.get(app_id, None) if app_id is not None else self.default


class Retention:
    """Looks for what is too old, and takes it away part by part."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._table = services.table
        self._work_s = min(work_s(services.settings.visibility_s), _WORK_S)
        self._settled_s = settled_s(services.settings.visibility_s)

    # --- every hour ---

    def look(self) -> None:
        """Have what is too old of every app taken away; and dead letters, here and now."""
        found: dict[str, str] = {}
        for app in self._services.accounts.apps():
            before = self._before(app)
            if before is None:
                continue
            found[app.app_id] = before
            if self._is_due(app.app_id, before) and self._begin(app.app_id):
                self._services.queue.send(encode(Expire(app.app_id, before)))
        days = self._services.settings.retention_days
        self._expire_letters(_Limits(found, _day_before(days) if days else None))

    def _before(self, app: App) -> str | None:
        decided = app.retention_days
        days = self._services.settings.retention_days if decided is None else decided
        return _day_before(days) if days else None

    def _is_due(self, app_id: str, before: str) -> bool:
        return any(
            self._table.query(
                partition, index=BY_APP, sort=SortRange(high=before), limit=1
            ).items
            for partition in keys.reports_of_app(app_id)
        )  # fmt: skip

    def _begin(self, app_id: str) -> bool:
        """Whether nobody is at it: then this one is."""
        key = keys.expiring(app_id)
        item = self._table.get(key)
        now = clock.now()
        if item is not None and str(item.get("at")) > clock.to_stored(now - _LOST_AFTER):
            return False
        try:
            self._table.write([_at_work(app_id, item["at"] if item else None)])
        except (ConditionFailed, Conflict):
            return False
        return True

    # --- the task ---

    def run(self, task: Expire) -> None:
        """Take a part away, and send the rest on: of what is too old by what holds at this moment,
        as who decided may have thought better of it."""
        until = time.monotonic() + self._work_s
        days = self._services.policies.now(task.app_id)[0].retention_days
        if days is None:
            self._table.write([Delete(keys.expiring(task.app_id))])
            return
        reports = self._older(task.app_id, min(task.before, _day_before(days)))
        gone = 0
        while part := list(islice(reports, _PART)):
            gone += self._services.expiry.expire(task.app_id, part)
            if time.monotonic() > until:
                break
        is_done = len(part) < _PART
        if gone:
            self._services.metrics.count(Metric.EXPIRED, gone, app_id=task.app_id)
            self._services.counts.fold_all(task.app_id)
            self._services.queue.send(encode(Settle(task.app_id)), delay_s=self._settled_s)
        if is_done:
            self._table.write([Delete(keys.expiring(task.app_id))])
        else:
            self._table.write([replace(_at_work(task.app_id, None), require={})])
            self._services.queue.send(encode(task))

    def _older(self, app_id: str, before: str) -> Iterator[StoredReport]:
        """Shard after shard, the oldest first; the index may show some that are gone."""
        for partition in keys.reports_of_app(app_id):
            items = query_all(
                self._table,
                partition,
                index=BY_APP,
                sort=SortRange(high=before),
                page_size=_PART,
            )
            yield from map(StoredReport.from_item, items)

    # --- dead letters ---

    def _expire_letters(self, limits: _Limits) -> None:
        days = [day for day in (*limits.by_app.values(), limits.default) if day is not None]
        if not days:
            return
        newest = SortRange(high=sortable(first_of(clock.from_stored(f"{max(days)}{_MIDNIGHT}"))))
        for partition in keys.deadletters():
            letters = map(DeadLetter.from_item, query_all(self._table, partition, sort=newest))
            doomed = (
                letter for letter in letters if letter.failed_at < (limits.of(letter.app_id) or "")
            )
            for letter in islice(doomed, _LETTERS):
                self._forget_letter(letter)

    def _forget_letter(self, letter: DeadLetter) -> None:
        log_key: str | None = None
        with suppress(BlobNotFound, FormatError):  # it says where a dump above the limit lies
            log_key = payload.read_as_stored(
                self._services.blobs, keys.raw_blob(letter.report_id)
            ).log_key
        doomed = blobs_of(letter.report_id, letter.door, 0, log_key)
        landed = [letter.landed_key] if letter.landed_key else []
        delete_blobs(self._services.blobs, [*landed, *doomed])
        self._table.write([
            Delete(keys.deadletter(letter.report_id)), Delete(keys.feedback(letter.report_id)),
        ])  # fmt: skip


_MIDNIGHT = "T00:00:00.000000Z"


def _day_before(days: int) -> str:
    """The first day that is kept."""
    return (clock.now() - timedelta(days=days)).date().isoformat()


def _at_work(app_id: str, before: object) -> Update:
    at = clock.to_stored(clock.now())
    return Update(keys.expiring(app_id), set={"at": at}, require={"at": before})  # type: ignore[dict-item]
