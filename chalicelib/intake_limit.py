"""How many crashes of an app are taken in a minute, where its owner set a limit.

A process that takes crashes counts them (quota.py). Who finds that the minute
has had as many as the limit notes in the app's own item that none is taken
until the minute is over. Every door reads that item anyway, once in some
seconds, so the limit costs a crash nothing; and what is above it is taken
until the others have read the note.
"""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import datetime, timedelta

from chalicelib import clock
from chalicelib.accounts import Accounts
from chalicelib.errors import TooManyCrashes, TryAgain
from chalicelib.metrics import Metric, Metrics
from chalicelib.quota import MinuteTotals, minute_of
from chalicelib.records import App
from chalicelib.storage.ports import Table

_SHARES = 200  # of a limit: what one process may have taken without telling the others
_MINUTE = timedelta(minutes=1)


class IntakeLimit:
    """Counts what is taken, and refuses what is above the limit."""

    def __init__(
        self, table: Table, accounts: Accounts, metrics: Metrics, refused_above_per_minute: int
    ) -> None:
        """`refused_above_per_minute`: of an app that has no limit of its own; 0: none."""
        self._accounts = accounts
        self._metrics = metrics
        self._default = refused_above_per_minute
        self._minutes = MinuteTotals(table, "received", shares=_SHARES)

    def check(self, app_id: str) -> None:
        """Raises `TooManyCrashes` while none is taken."""
        app = self._accounts.find_app(app_id)
        limit = self._limit(app)
        if app is None or not limit:
            return
        now = clock.now()
        minute = minute_of(clock.to_stored(now))
        end = _end_of(now)
        is_full = self._minutes.known(app_id, minute) >= limit
        # Of this minute, not of one that a clock which goes wrong believed in.
        if is_full or app.refused_until == clock.to_stored(end):
            self._metrics.count(Metric.REFUSED, app_id=app_id)
            left = end - now
            raise TooManyCrashes(limit, max(1, math.ceil(left.total_seconds())))

    def count(self, app_id: str) -> None:
        """One more was taken. Never fails for the store."""
        with suppress(TryAgain):  # the crash is durable: its client must not send it again
            limit = self._limit(self._accounts.find_app(app_id))
            if not limit:
                return
            now = clock.now()
            minute = minute_of(clock.to_stored(now))
            if self._minutes.add(app_id, minute, 1, limit) >= limit:
                self._accounts.refuse_until(app_id, clock.to_stored(_end_of(now)))

    def _limit(self, app: App | None) -> int:
        decided = app.refused_above_per_minute if app is not None else None
        return self._default if decided is None else decided


def _end_of(now: datetime) -> datetime:
    return now.replace(second=0, microsecond=0) + _MINUTE
