"""How many reports of a minute an app has had, over all workers, asked for only where it matters.

A worker counts for itself, and tells the others nothing until what it counted
is a notable share of the limit: so an app far below it costs no request. From
then on it adds its count to the minute's item, which is spread over shards,
and reads what all have told. What it knows is never more than what there is,
so nothing is held back before the limit is reached; above it, what workers
have not told yet may be let through, each less than a share.
"""

from __future__ import annotations

import logging
import random
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias, cast

from chalicelib import clock, keys
from chalicelib.errors import CrashbucketError
from chalicelib.storage.ports import Table, Update

_log = logging.getLogger(__name__)

Counted: TypeAlias = Literal["stored", "received"]

_KEPT = timedelta(days=1)  # a report may be processed some time after its minute
_MAX_MINUTES = 1_000  # known at a time, of all apps: then the oldest are forgotten


@dataclass
class _Minute:
    """What is known of an app's minute: what was told by all, and what this worker has not told."""

    told: int = 0
    untold: int = 0


class MinuteTotals:
    """Counts reports by app and minute (`YYYY-MM-DDTHH:MM`), together with all other workers."""

    def __init__(self, table: Table, counted: Counted, *, shares: int = 50) -> None:
        """A worker may have counted one of the `shares` of a limit without telling."""
        self._table = table
        self._shares = shares
        self._counted = counted
        self._minutes: dict[tuple[str, str], _Minute] = {}
        self._lock = threading.Lock()

    def known(self, app_id: str, minute: str) -> int:
        """How many there are at the least."""
        with self._lock:
            found = self._minutes.get((app_id, minute))
            return found.told + found.untold if found else 0

    def add(self, app_id: str, minute: str, reports: int, limit: int) -> int:
        """Count some, against a limit; how many there are at the least.

        Never fails: what could not be told is told with the next ones.
        """
        with self._lock:
            found = self._minute(app_id, minute)
            found.untold += reports
            known = found.told + found.untold
            if found.told >= limit or found.untold < max(1, limit // self._shares):
                return known
            telling, found.untold = found.untold, 0
            found.told += telling
        try:
            told = self._tell(app_id, minute, telling)
        except CrashbucketError:  # the item is contested, or the store is away
            _log.warning("%s reports of %s could not be told", telling, minute)
            with self._lock:
                found.told -= telling
                found.untold += telling
                return found.told + found.untold
        with self._lock:
            found.told = max(found.told, told)
            return found.told + found.untold

    def _minute(self, app_id: str, minute: str) -> _Minute:
        if (app_id, minute) not in self._minutes and len(self._minutes) >= _MAX_MINUTES:
            for oldest in list(self._minutes)[: _MAX_MINUTES // 2]:
                del self._minutes[oldest]
        return self._minutes.setdefault((app_id, minute), _Minute())

    def _tell(self, app_id: str, minute: str, reports: int) -> int:
        """Add to what was told of the minute; all that was told, this included."""
        shard = random.randrange(keys.QUOTA_SHARDS)  # noqa: S311 - spreads load, keeps no secret
        until = clock.now() + _KEPT
        self._table.write(
            [
                Update(
                    keys.quota(app_id, shard, minute),
                    add={self._counted: reports},
                    set={"expires_at": int(until.timestamp())},
                )
            ]
        )
        shards = [keys.quota(app_id, shard, minute) for shard in range(keys.QUOTA_SHARDS)]
        items = self._table.batch_get(shards).values()
        return sum(cast(int, item.get(self._counted, 0)) for item in items)


def minute_of(stored: str) -> str:
    """The minute of a time as it is stored."""
    return stored[: len("2026-11-21T12:00")]
