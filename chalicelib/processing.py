"""One raw payload becomes one committed report, however often it is asked for.

`Processor.process` takes report ids (the queue's events name them), reads the
payloads, and commits report, assignment and counts in one atomic batch. The
report's put is conditional, so a second delivery of the same event changes
nothing, wherever and whenever it runs.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from chalicelib import clock, keys, payload
from chalicelib.activity import Activity
from chalicelib.belongings import delete_blobs, received_blobs_of
from chalicelib.bucketing.engine import Bucketing
from chalicelib.bucketing.stack import normalise
from chalicelib.claims import claim, release
from chalicelib.commit import Batch
from chalicelib.companions import Companions
from chalicelib.correlation import correlated, take_up
from chalicelib.counts import Counts
from chalicelib.crash import Crash
from chalicelib.errors import CrashbucketError, FormatError, TryAgain
from chalicelib.ids import IdSource
from chalicelib.metrics import Metric, Metrics, NoMetrics
from chalicelib.model import Report
from chalicelib.payload import MINIDUMP_DOORS, Payload
from chalicelib.quota import MinuteTotals
from chalicelib.records import App, DeadLetter, Deleted
from chalicelib.storage.ports import (
    BlobNotFound,
    Blobs,
    ConditionFailed,
    Delete,
    Put,
    Table,
    get_all,
)

_log = logging.getLogger(__name__)

_MAX_REASON_CHARS = 2000  # of a dead letter: enough for any message of ours
_CHUNK = 25  # reports a batch: one write each when known, six at most when all is new
_FOLD_AT = 32  # deltas of one app: what a reader adds up at most for each process that writes
_MAX_ATTEMPTS = 20  # each failure means that another worker got further


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the asked ids: each is in exactly one of the six.

    A duplicate came with a `database_id` that another report has; it is not
    stored, and its payload is deleted. So is that of one that is `sampled`: it
    came above its app's quota, and is counted and not kept.
    """

    stored: tuple[int, ...] = ()
    already_stored: tuple[int, ...] = ()
    dead: tuple[int, ...] = ()
    gone: tuple[int, ...] = ()
    duplicates: tuple[int, ...] = ()
    sampled: tuple[int, ...] = ()


_NOTHING = Outcome()


class Contention(TryAgain):
    """Other workers changed the same items again and again; deliver the event once more."""


class Processor:
    """The processing step; several may run at once, on one machine or on many."""

    def __init__(
        self,
        table: Table,
        blobs: Blobs,
        bucketing: Bucketing,
        ids: IdSource,
        parse: Callable[[Payload], Report],
        app_of: Callable[[str], App | None],
        *,
        max_dump_bytes: int = payload.MAX_LOG_BLOB_BYTES,
        land: Callable[[str], int | None] = lambda _: None,
        counts: Counts | None = None,
        stored_per_minute: int = 0,
        metrics: Metrics | None = None,
    ) -> None:
        """`stored_per_minute`: of an app that has no quota of its own; 0: any number."""
        self._table = table
        self._blobs = blobs
        self._bucketing = bucketing
        self._ids = ids
        self._parse = parse
        self._app_of = app_of
        self._max_dump_bytes = max_dump_bytes
        self._land = land
        self._counts = counts or Counts(table, bucketing.count_reports)
        self._metrics = metrics or NoMetrics()
        self._activity = Activity(table)
        self._shard = secrets.randbelow(keys.DELTA_SHARDS)  # workers keep apart by chance
        self._unfolded: dict[str, int] = {}
        self._stored_per_minute = stored_per_minute
        self._minutes = MinuteTotals(table, "stored")
        # Some doors have a report processed before they answer; its event comes all the same. Where
        # the last batch had such ones, looking first is cheaper than reading their payloads.
        self._may_be_stored = False

    def process(
        self, report_ids: Iterable[int], at_hand: Mapping[int, Payload] | None = None
    ) -> Outcome:
        """Process the payloads under these ids; those `at_hand` need not be fetched."""
        begun = time.perf_counter()
        with correlated():
            outcome = self._process(report_ids, at_hand or {})
        if outcome != _NOTHING:
            self._metrics.observe(Metric.PROCESSING_MS, (time.perf_counter() - begun) * 1000)
        return outcome

    def _process(self, report_ids: Iterable[int], at_hand: Mapping[int, Payload]) -> Outcome:
        crashes: list[Crash] = []
        dead: list[int] = []
        gone: list[int] = []
        wanted = dict.fromkeys(report_ids)
        is_announced = not at_hand  # by an event, else by the door that has just put it
        may_be_stored = is_announced and self._may_be_stored
        stored_before = self._stored_among(wanted) if may_be_stored else ()
        for report_id in wanted:
            if report_id in stored_before:
                continue
            try:
                received = at_hand.get(report_id) or payload.read(
                    self._blobs, keys.raw_blob(report_id), max_log_bytes=self._max_dump_bytes
                )
            except BlobNotFound as error:
                stored = self._as_stored(report_id)
                if stored is None:  # deleted since, with its report
                    gone.append(report_id)
                else:  # its dump is a blob by itself, which somebody took away
                    self._bury(report_id, stored, str(error))
                    dead.append(report_id)
                continue
            except FormatError as error:
                self._bury(report_id, self._as_stored(report_id), str(error))
                dead.append(report_id)
                continue
            take_up(received.correlation_id)
            try:
                crashes.append(self.read(report_id, received))
            except TryAgain:  # the store's fault: the event comes again
                raise
            except Exception as error:  # a report that breaks the reader stops nothing
                if not isinstance(error, CrashbucketError):
                    _log.exception("report %s could not be read", report_id)
                self._bury(report_id, received, _why(error))
                dead.append(report_id)
        # What fails from now on belongs to no crash of several.
        take_up(crashes[0].received.correlation_id if len(crashes) == 1 else "")
        outcome = self._commit(crashes)
        self.fold(at_least=_FOLD_AT)
        already_stored = (*stored_before, *outcome.already_stored)
        if is_announced and wanted:
            self._may_be_stored = bool(already_stored)
        return replace(outcome, already_stored=already_stored, dead=tuple(dead), gone=tuple(gone))

    def fold(self, at_least: int = 1) -> None:
        """Fold the counts of every app of which this worker wrote that many deltas."""
        for app_id, unfolded in list(self._unfolded.items()):
            if unfolded >= at_least:
                while self._counts.fold(app_id, self._shard):
                    pass
                self._unfolded.pop(app_id, None)

    def replay(self, report_id: int) -> Outcome:
        """Process a dead letter's payload again; the letter goes unless it fails again.

        A dump that could not be landed is landed first, and may get another id by that.
        """
        item = self._table.get(keys.deadletter(report_id))
        landed_key = DeadLetter.from_item(item).landed_key if item else None
        processed = self._land(landed_key) if landed_key is not None else report_id
        outcome = self.process([] if processed is None else [processed])
        if report_id not in outcome.dead:
            self._table.write([Delete(keys.deadletter(report_id))])
        return outcome

    def tidy(self, report_id: int) -> None:
        """Delete what is left of the payload of a report that is counted and not kept."""
        note = Deleted.at(self._table.get(keys.report(report_id)))
        if note is not None and note.counted_by is not None:
            received = self._as_stored(report_id)
            if received is not None:
                delete_blobs(self._blobs, received_blobs_of(report_id, received.log_key))

    # --- reading ---

    def read_again(self, report_id: int) -> Crash:
        """The crash as its payload reads now. Raises `BlobNotFound`, `FormatError`, and whatever
        breaks its reader."""
        key = keys.raw_blob(report_id)
        return self.read(
            report_id, payload.read(self._blobs, key, max_log_bytes=self._max_dump_bytes)
        )

    def read(self, report_id: int, received: Payload) -> Crash:
        """The crash in a payload. Raises `FormatError`, and whatever breaks its reader."""
        app = self._app_of(received.app_id)
        if app is None:
            raise FormatError(f"app {received.app_id} does not exist any more")
        report = _with_fields(self._parse(received), received.fields)
        companions = Companions.of_payload(received)
        if received.door in MINIDUMP_DOORS:  # a batch of crashes must not hold all their dumps
            received = replace(received, log=b"")
        return Crash(report_id, received, companions, report, app, normalise(report))

    def _stored_among(self, report_ids: Iterable[int]) -> tuple[int, ...]:
        """Those that are stored; not those that are deleted, of which something may be left."""
        wanted = {keys.report(report_id): report_id for report_id in report_ids}
        found = get_all(self._table, wanted)
        return tuple(wanted[key] for key, item in found.items() if Deleted.at(item) is None)

    def _as_stored(self, report_id: int) -> Payload | None:
        """The payload without its log, where only that cannot be read."""
        try:
            return payload.read_as_stored(self._blobs, keys.raw_blob(report_id))
        except (BlobNotFound, FormatError):
            return None

    def _bury(self, report_id: int, received: Payload | None, reason: str) -> None:
        if self._table.get(keys.report(report_id)) is not None:
            self.tidy(report_id)
            return  # an earlier delivery could read it
        letter = DeadLetter(
            report_id,
            reason[:_MAX_REASON_CHARS],
            clock.to_stored(clock.now()),
            app_id=received.app_id if received else None,
            door=received.door if received else None,
        )
        self._table.write([Put(letter.item())])
        self._metrics.count(Metric.FAILED, app_id=letter.app_id)

    # --- committing ---

    def _commit(self, crashes: Sequence[Crash]) -> Outcome:
        stored: list[int] = []
        sampled: list[int] = []
        already_stored: list[int] = []
        duplicates = claim(self._table, (crash.alias for crash in crashes if crash.alias))
        for report_id in duplicates:
            self._blobs.delete(keys.raw_blob(report_id))
        waiting = [crash for crash in crashes if crash.report_id not in duplicates]
        attempts = 0
        while waiting:
            batch = Batch(self._table, self._bucketing, self._ids, self._room)
            taken = batch.plan(waiting[:_CHUNK], self._shard)
            for app_id in batch.apps:
                self._activity.note(app_id)
            try:
                self._table.write(batch.operations)
            except ConditionFailed as failure:
                known = batch.reports_among(failure.indexes)
                already_stored.extend(known)
                self._tidy_known([crash for crash in waiting if crash.report_id in known])
                waiting = [crash for crash in waiting if crash.report_id not in known]
                attempts += 1
                if attempts > _MAX_ATTEMPTS and not known:
                    raise Contention(str(failure)) from failure
                continue
            attempts = 0
            for app_id in batch.apps:
                self._unfolded[app_id] = self._unfolded.get(app_id, 0) + 1
            self._measure(waiting[:taken], batch)
            self._count_kept(batch)
            self._delete_payloads(batch.keeping.counted.values())
            sampled.extend(batch.keeping.counted)
            done = (crash.report_id for crash in waiting[:taken])
            stored.extend(report_id for report_id in done if report_id not in sampled)
            waiting = waiting[taken:]
        return Outcome(
            tuple(stored),
            tuple(already_stored),
            duplicates=tuple(sorted(duplicates)),
            sampled=tuple(sampled),
        )

    def _measure(self, stored: Sequence[Crash], batch: Batch) -> None:
        oldest = min(crash.received.received_at for crash in stored)
        self._metrics.observe(Metric.QUEUE_AGE_S, (clock.now() - oldest).total_seconds())
        for app_id, number in Counter(crash.app.app_id for crash in stored).items():
            self._metrics.count(Metric.PROCESSED, number, app_id=app_id)
        for app_id, founded in batch.new_groups.items():
            self._metrics.count(Metric.NEW_GROUPS, len(founded), app_id=app_id)

    def _tidy_known(self, crashes: Sequence[Crash]) -> None:
        """Of crashes that were deleted while this worker had them, or that were counted by one
        that was stopped before it deleted their payloads."""
        items = get_all(self._table, (keys.report(crash.report_id) for crash in crashes))
        for crash in crashes:
            note = Deleted.at(items.get(keys.report(crash.report_id)))
            if note is not None and crash.alias is not None:
                release(self._table, crash.alias)
            if note is not None and note.counted_by is not None:
                self._delete_payloads([crash])

    # --- quotas ---

    def _limit(self, app: App) -> int:
        decided = app.stored_per_minute
        return self._stored_per_minute if decided is None else decided

    def _room(self, app: App, minute: str) -> int | None:
        limit = self._limit(app)
        return limit - self._minutes.known(app.app_id, minute) if limit else None

    def _count_kept(self, batch: Batch) -> None:
        for (app_id, minute), reports in batch.keeping.kept.items():
            app = self._app_of(app_id)
            limit = self._limit(app) if app is not None else 0
            if limit:
                self._minutes.add(app_id, minute, reports, limit)
        counted = Counter(crash.app.app_id for crash in batch.keeping.counted.values())
        for app_id, crashes in counted.items():
            self._metrics.count(Metric.SAMPLED_OUT, crashes, app_id=app_id)

    def _delete_payloads(self, crashes: Iterable[Crash]) -> None:
        delete_blobs(
            self._blobs,
            (
                key
                for crash in crashes
                for key in received_blobs_of(crash.report_id, crash.received.log_key)
            ),
        )


def _with_fields(report: Report, fields: Mapping[str, str]) -> Report:
    """The report with what the client said beside the log, where it said something."""
    if not fields:
        return report
    said = fields.get
    app, os, device = report.app, report.os, report.device
    return replace(
        report,
        user=said("user") or report.user,
        contact=said("contact") or report.contact,
        install_id=said("install_id") or report.install_id,
        app=replace(
            app,
            package=said("package") or app.package,
            name=said("app_name") or app.name,
            version=said("version") or app.version,
            short_version=said("short_version") or app.short_version,
        ),
        os=replace(os, version=said("os_version") or os.version),
        device=replace(device, model=said("model") or device.model),
    )


def _why(error: Exception) -> str:
    if isinstance(error, CrashbucketError):
        return str(error)
    return f"{type(error).__name__}: {error}"
