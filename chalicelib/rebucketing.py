"""Put reports that were grouped by an earlier form of bucketing where the present one puts them.

Report by report, the oldest first (see `regrouping`). Interrupted, it goes on
where it was.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import cast

from chalicelib import keys
from chalicelib.bootstrap import Services
from chalicelib.records import StoredReport
from chalicelib.regrouping import Regrouping, Unreadable
from chalicelib.reordering import Reordering
from chalicelib.storage.ports import Delete, Item, Put, SortRange, query_all
from chalicelib.storage.schema import BY_APP
from chalicelib.tasks import Settle, encode

_log = logging.getLogger(__name__)

_REMEMBERED = 100  # reports between two notes of how far it is


@dataclass(frozen=True, slots=True)
class Rebucketed:
    """What a run did: reports looked at, moved to another group, and those that cannot be read."""

    reports: int = 0
    moved: int = 0
    unreadable: int = 0


class Rebucketing:
    """Moves the reports of one app. One run at a time for an app; crashes may come meanwhile."""

    def __init__(self, services: Services, app_id: str) -> None:
        self._services = services
        self._table = services.table
        self._app_id = app_id
        self._regrouping = Regrouping(services, app_id)

    def run(self, progress: Callable[[], object] = lambda: None) -> Rebucketed:
        """Look at every report that is there now; `progress` is called for each."""
        done = Rebucketed()
        note = self._table.get(keys.rebucketing(self._app_id)) or {}
        place = cast(str, note.get("place", ""))
        for number, item in enumerate(self._oldest_first(place), 1):
            report = StoredReport.from_item(item)
            try:
                moved = self._regrouping.put_anew(report)
            except Unreadable as error:  # one bad report stops nothing
                _log.warning("%s", error)
                done = replace(done, unreadable=done.unreadable + 1)
            else:
                done = replace(done, moved=done.moved + moved)
            done = replace(done, reports=done.reports + 1)
            progress()
            if number % _REMEMBERED == 0:
                self._remember(cast(str, item["app_sk"]))
        # By the workers, as a crash may be on its way into a group that has no report now.
        self._services.queue.send(encode(Settle(self._app_id)))
        Reordering(self._table, self._app_id).run()
        self._table.write([Delete(keys.rebucketing(self._app_id))])
        return done

    def _oldest_first(self, place: str) -> Iterator[Item]:
        """The app's reports behind a place that was noted."""
        low = f"{place}\0" if place else None
        shards = [
            query_all(self._table, partition, index=BY_APP, sort=SortRange(low=low))
            for partition in keys.reports_of_app(self._app_id)
        ]
        return heapq.merge(*shards, key=lambda item: str(item["app_sk"]))

    def _remember(self, place: str) -> None:
        key = keys.rebucketing(self._app_id)
        self._table.write([Put({"pk": key.pk, "sk": key.sk, "place": place})])
