"""Delete single crashes, with all that is kept of them.

One atomic batch takes the report away with its counts and whatever leads to
it, and puts a note in its place; then its blobs go, and the note says so and
expires. So nothing is ever listed or counted whose payload is gone, and
wherever a process stops, a second request or the message that was sent first
finishes it. The note also keeps the report from coming back: a worker that
took the crash's event before may still commit it, and finds the place taken.

What bucketing learned of a stack stays, as it is of many reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from chalicelib import clock, deltas, keys, payload
from chalicelib.belongings import blobs_of, delete_blobs, items_of
from chalicelib.counts import Counts
from chalicelib.errors import FormatError
from chalicelib.ids import IdSource, sortable
from chalicelib.landing import CLAIM, DOOR
from chalicelib.left_groups import left
from chalicelib.payload import Payload
from chalicelib.records import Deleted, StoredReport
from chalicelib.sampling import Weights
from chalicelib.storage.ports import (
    MAX_BATCH_ITEMS,
    BlobNotFound,
    Blobs,
    ConditionFailed,
    Conflict,
    Delete,
    Key,
    Operation,
    Put,
    Queue,
    Table,
    Update,
    Value,
    get_all,
)
from chalicelib.tasks import FinishDeletion, encode, settled_s

_TOGETHER = 11  # reports of one batch: nine items each at most, with the note of its group
_A_MESSAGE = 500  # reports; their ids fill a few kB
_MAX_ATTEMPTS = 10  # to delete one report while others move it
_INDEXED = ("app_pk", "app_sk", "group_pk", "group_sk", "user_pk", "user_sk")


class Deletion:
    """Deletes crashes; several may be at it, and doing it again changes nothing."""

    def __init__(
        self,
        table: Table,
        blobs: Blobs,
        queue: Queue,
        counts: Counts,
        ids: IdSource,
        visibility_s: int,
    ) -> None:
        self._table = table
        self._blobs = blobs
        self._queue = queue
        self._counts = counts
        self._ids = ids
        self._settled_s = settled_s(visibility_s)

    def delete(self, app_id: str, report_ids: Iterable[int]) -> int:
        """Delete those of the crashes that are the app's; how many there were.

        Also those that wait to be processed or could not be, and those whose
        deletion was begun and not finished. The groups they were in are
        settled some minutes later.
        """
        wanted = list(dict.fromkeys(report_ids))
        return sum(
            self._delete_some(app_id, wanted[start : start + _A_MESSAGE])
            for start in range(0, len(wanted), _A_MESSAGE)
        )

    def finish(self, app_id: str, report_ids: Iterable[int]) -> None:
        """Delete what is left of those whose deletion was begun."""
        items = get_all(self._table, map(keys.report, report_ids)).values()
        notes = (note for note in map(Deleted.at, items) if note is not None)
        self._finish([note for note in notes if note.app_id == app_id and not note.expires_at])

    def _delete_some(self, app_id: str, report_ids: Sequence[int]) -> int:
        items = get_all(self._table, map(keys.report, report_ids))
        stored: list[StoredReport] = []
        begun: list[Deleted] = []
        unprocessed: dict[int, Payload] = {}
        for report_id in report_ids:
            item = items.get(keys.report(report_id))
            report, note = StoredReport.at(item), Deleted.at(item)
            if report is not None and report.app_id == app_id:
                stored.append(report)
            elif note is not None and note.app_id == app_id and not note.expires_at:
                begun.append(note)
            elif item is None:
                received = self._received(app_id, report_id)
                if received is not None:
                    unprocessed[report_id] = received
        if not (stored or begun or unprocessed):
            return 0
        # Before anything is deleted: whoever gets it finishes what stops from here on.
        found = (*map(_id, stored), *map(_id, begun), *unprocessed)
        self._queue.send(encode(FinishDeletion(app_id, found)), delay_s=self._settled_s)
        counted = set(self._counts.of_stacks(app_id, {report.fingerprint for report in stored}))
        for start in range(0, len(stored), _TOGETHER):
            begun += self._begin(stored[start : start + _TOGETHER], counted)
        for report_id, received in unprocessed.items():
            begun += self._begin_unprocessed(report_id, received)
        self._finish(begun)
        return len(begun)

    # --- the report and its counts ---

    def _begin(self, reports: Sequence[StoredReport], counted: set[str]) -> list[Deleted]:
        """The notes in the place of the reports; those that another deleted just now are left
        out."""
        notes = [self._note(report) for report in reports]
        try:
            self._table.write(self._operations(reports, notes, counted))
        except (ConditionFailed, Conflict):
            if len(reports) > 1:  # one of them has moved, or is deleted by another
                return [note for report in reports for note in self._begin([report], counted)]
            return self._begin_again(reports[0], counted)
        return notes

    def _begin_again(self, report: StoredReport, counted: set[str]) -> list[Deleted]:
        for _ in range(_MAX_ATTEMPTS):
            item = self._table.get(keys.report(report.report_id))
            current = StoredReport.at(item)
            if current is None:
                note = Deleted.at(item)
                return [note] if note is not None and not note.expires_at else []
            note = self._note(current)
            if current.fingerprint not in counted:
                counted |= set(self._counts.of_stacks(current.app_id, [current.fingerprint]))
            with suppress(ConditionFailed, Conflict):
                self._table.write(self._operations([current], [note], counted))
                return [note]
        raise Conflict(f"report {report.report_id} keeps moving")

    def _operations(
        self, reports: Sequence[StoredReport], notes: Sequence[Deleted], counted: set[str]
    ) -> list[Operation]:
        operations: list[Operation] = []
        rows: list[deltas.Row] = []
        left_by: dict[int, set[int]] = {}
        weights = Weights(self._table, reports[0].app_id, reports)
        for report, note in zip(reports, notes, strict=True):
            operations.append(_replaced(report, note))
            operations += map(Delete, [*items_of(report), *self._claimed(report, note)])
            operations += weights.taken(report)
            stack = report.fingerprint if report.fingerprint in counted else ""
            place = (report.group_id, report.version_id, report.date, stack)
            rows.append(deltas.less(deltas.row_of(*place, weights.of(report))))
            left_by.setdefault(report.group_id, set()).add(report.version_id)
        app_id, shard = reports[0].app_id, reports[0].report_id % keys.DELTA_SHARDS
        batch = sortable(self._ids.next())
        counted_less = deltas.tally(rows)
        operations.append(deltas.delta_put(app_id, shard, batch, counted_less, 0, moved=True))
        operations += (left(app_id, group_id, ids) for group_id, ids in left_by.items())
        return operations

    def _claimed(self, report: StoredReport, note: Deleted) -> Iterator[Key]:
        """The id that its client gave it, and the claim it landed under: free again."""
        if report.database_id:
            alias = keys.database_id(report.database_id)
            item = self._table.get(alias)
            if item is not None and item["report_id"] == report.report_id:
                yield alias
        if note.claim is not None:
            yield keys.landing(report.app_id, note.claim)

    def _note(self, report: StoredReport) -> Deleted:
        landed = None
        if report.door == DOOR:
            landed = self._received(report.app_id, report.report_id)
        return Deleted(
            report.report_id,
            report.app_id,
            clock.to_stored(clock.now()),
            report.door,
            report.attachments,
            landed.log_key if landed else None,
            landed.fields.get(CLAIM) if landed else None,
        )

    # --- what has no report ---

    def _received(self, app_id: str, report_id: int) -> Payload | None:
        """The app's payload of that id, without a log that is a blob by itself."""
        with suppress(BlobNotFound, FormatError):
            received = payload.read_as_stored(self._blobs, keys.raw_blob(report_id))
            return received if received.app_id == app_id else None
        return None

    def _begin_unprocessed(self, report_id: int, received: Payload) -> list[Deleted]:
        note = Deleted(
            report_id,
            received.app_id,
            clock.to_stored(clock.now()),
            received.door,
            len(received.attachments),
            received.log_key,
            received.fields.get(CLAIM) if received.door == DOOR else None,
        )
        operations: list[Operation] = [
            Put(note.item(), if_absent=True),
            Delete(keys.feedback(report_id)),
            Delete(keys.deadletter(report_id)),
        ]
        if note.claim is not None:
            operations.append(Delete(keys.landing(received.app_id, note.claim)))
        try:
            self._table.write(operations)
        except ConditionFailed:  # it was processed just now, or deleted
            item = self._table.get(keys.report(report_id))
            report = StoredReport.at(item)
            if report is None:
                other = Deleted.at(item)
                return [other] if other is not None and not other.expires_at else []
            counted = set(self._counts.of_stacks(report.app_id, [report.fingerprint]))
            return self._begin([report], counted)
        return [note]

    # --- blobs ---

    def _finish(self, notes: Sequence[Deleted]) -> None:
        """Delete the blobs, and let the notes expire when no event can be in work any more."""
        delete_blobs(
            self._blobs,
            (
                key
                for note in notes
                for key in (
                    keys.export_blob(note.app_id, note.report_id),
                    *blobs_of(note.report_id, note.door, note.attachments, note.log_key),
                )
            ),
        )
        until = clock.now() + timedelta(seconds=2 * self._settled_s)
        expires_at = int(until.timestamp())
        done = [Put(replace(note, expires_at=expires_at).item()) for note in notes]
        for start in range(0, len(done), MAX_BATCH_ITEMS):
            self._table.write(done[start : start + MAX_BATCH_ITEMS])


def _replaced(report: StoredReport, note: Deleted) -> Update:
    """Puts the note in the report's place, if the report is where and what it was."""
    kept = note.item()
    gone = {*report.item(), *_INDEXED} - kept.keys()
    require: dict[str, Value] = {"group_id": report.group_id, "fingerprint": report.fingerprint}
    return Update(
        keys.report(report.report_id),
        set={name: value for name, value in kept.items() if name not in {"pk", "sk"}},
        remove=tuple(sorted(gone)),
        require=require,
        must_exist=True,
    )


def _id(entry: StoredReport | Deleted) -> int:
    return entry.report_id
