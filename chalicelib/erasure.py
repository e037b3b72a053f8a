"""Delete all that an app's reports left behind; the app itself stays, as it is set up: its tokens,
its policy, its webhooks, its symbols."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import cast

from chalicelib import group_places, keys, waiting
from chalicelib.belongings import blobs_of, delete_blobs, items_of
from chalicelib.bucketing.forgetting import Forgetting
from chalicelib.counts import Counts
from chalicelib.queries.crashes import CrashQueries
from chalicelib.records import App, StoredReport
from chalicelib.storage.ports import (
    MAX_BATCH_ITEMS,
    Blobs,
    Delete,
    Item,
    Key,
    Table,
    get_all,
    query_all,
)

_CHUNK = 1000  # reports at a time: about 1 MB of items


class Eraser:
    """Deletes reports with everything that was derived from them."""

    def __init__(
        self,
        table: Table,
        blobs: Blobs,
        crashes: CrashQueries,
        counts: Counts,
        apps: Callable[[], Iterable[App]],
    ) -> None:
        self._table = table
        self._blobs = blobs
        self._crashes = crashes
        self._counts = counts
        self._apps = apps
        self._forgetting = Forgetting(table)

    def erase(self, app_ids: Sequence[str], within_s: float = math.inf) -> bool:
        """Every report of the apps: payload, item, id; their groups, versions, counts; their
        dead letters; and the stacks that no other app has.

        False: there was more than could be deleted in `within_s` seconds.
        Can be run again where it was interrupted: what leads to other items goes after them.
        """
        until = time.monotonic() + within_s
        erased = set(app_ids)
        others = (app for app in self._apps() if app.app_id not in erased)
        alone = all(next(self._crashes.of_app(app.app_id), None) is None for app in others)
        for app_id in app_ids:
            while True:
                if not self._erase_reports(app_id, erased, alone, until):
                    return False
                self._delete(self._groups(app_id))
                self._delete(self._totals(app_id))
                # What was committed meanwhile is counted nowhere: it goes, too.
                if next(self._crashes.of_app(app_id), None) is None:
                    break
            self._delete_exports(app_id)
            self._delete_landed(app_id)
            self._delete_alerts(app_id)
        self._erase_dead_letters(erased)
        return True

    def _erase_reports(self, app_id: str, erased: set[str], alone: bool, until: float) -> bool:
        self._counts.fold_all(app_id)  # what a stack's reports were counted for is known then
        while reports := list(islice(self._crashes.of_app(app_id), _CHUNK)):
            if time.monotonic() > until:
                return False
            fingerprints = {report.fingerprint for report in reports}
            self._forgetting.forget(fingerprints, erased, nothing_stays=alone)
            self._delete(self._reports(reports))
        stacks = set(waiting.every_stack(self._table, app_id))  # also those without reports now
        self._forgetting.forget(stacks, erased, nothing_stays=alone)
        self._delete(waiting.every_note(self._table, app_id))
        return True

    def _reports(self, reports: Sequence[StoredReport]) -> Iterator[Key]:
        delete_blobs(
            self._blobs,
            (
                key
                for report in reports
                for key in blobs_of(report.report_id, report.door, report.attachments)
            ),
        )
        for report in reports:
            if report.database_id:
                yield keys.database_id(report.database_id)
            if report.sample:
                yield keys.sample(report.app_id, report.sample)
            yield from items_of(report)
            yield keys.report(report.report_id)

    def _groups(self, app_id: str) -> Iterator[Key]:
        listed = list(group_places.listed(self._table, app_id))
        decided = list(query_all(self._table, keys.merge(app_id, 0).pk))  # those are in no list
        merged = get_all(self._table, (keys.group(cast(int, it["group_id"])) for it in decided))
        for group in (*listed, *merged.values()):
            yield keys.group_of_bucket(cast(str, group["bucket_id"]), app_id)
            partition = keys.group_partition(cast(int, group["group_id"]))
            yield from map(_key, list(query_all(self._table, partition)))
        yield from map(_key, decided)
        by_class = keys.group_by_class(app_id, "", 0).pk
        yield from map(_key, list(query_all(self._table, by_class)))

    def _totals(self, app_id: str) -> Iterator[Key]:
        for version in list(query_all(self._table, keys.version(app_id, "", "").pk)):
            yield _key(version)
            partition = keys.version_partition(cast(int, version["version_id"]))
            yield from map(_key, list(query_all(self._table, partition)))
        kept = {keys.app(app_id), keys.policy(app_id)}
        for partition in (
            keys.app_partition(app_id),
            *keys.deltas_of_app(app_id),
            *keys.recent_of_app(app_id),
            *keys.session_batches_of_app(app_id),
            keys.watch(app_id, "").pk,
            *keys.places_of_app(app_id),
            keys.regressed(app_id, "", "").pk,
        ):
            yield from (
                key for key in map(_key, query_all(self._table, partition)) if key not in kept
            )
        yield keys.active(app_id)

    def _erase_dead_letters(self, erased: set[str]) -> None:
        letters = [letter for letter in self._crashes.dead_letters() if letter.app_id in erased]
        delete_blobs(
            self._blobs,
            (key for letter in letters for key in blobs_of(letter.report_id, letter.door, 0)),
        )
        for letter_key in (keys.deadletter, keys.feedback):
            self._delete(letter_key(letter.report_id) for letter in letters)

    def _delete_exports(self, app_id: str) -> None:
        """The files that reports were exported to; after the reports (see exports.py)."""
        delete_blobs(self._blobs, self._blobs.keys(keys.exports_prefix(app_id)))

    def _delete_landed(self, app_id: str) -> None:
        """What landed and is still there, and what is known of uploads and landings."""
        delete_blobs(self._blobs, self._blobs.keys(keys.landing_prefix(app_id)))
        for partition in keys.landings_of_app(app_id):
            self._delete(map(_key, query_all(self._table, partition)))

    def _delete_alerts(self, app_id: str) -> None:
        """Its alerts, and how far the telling is."""
        for partition in keys.alerts_of_app(app_id):
            self._delete(map(_key, query_all(self._table, partition)))

    def _delete(self, doomed: Iterable[Key]) -> None:
        waiting: dict[Key, Delete] = {}
        for key in doomed:
            waiting[key] = Delete(key)
            if len(waiting) == MAX_BATCH_ITEMS:
                self._table.write(list(waiting.values()))
                waiting.clear()
        if waiting:
            self._table.write(list(waiting.values()))


def _key(item: Item) -> Key:
    return Key(cast(str, item["pk"]), cast(str, item["sk"]))
