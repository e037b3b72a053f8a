"""Take old reports away for less than deleting them costs.

A report whose event may still be delivered again needs a note in its place
(deletion.py). One that was received before that needs none: its blobs go
first, then it goes itself, with its counts and what leads to it, in one atomic
batch. Wherever a process stops, the report is still in the lists of old ones,
and the next run takes it away: nothing has to be remembered. For that moment a
list may show a report whose payload is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from chalicelib import clock, deltas, keys, payload
from chalicelib.belongings import blobs_of, delete_blobs, items_of
from chalicelib.counts import Counts
from chalicelib.deletion import Deletion
from chalicelib.errors import FormatError
from chalicelib.ids import IdSource, sortable
from chalicelib.landing import CLAIM, DOOR
from chalicelib.left_groups import left
from chalicelib.payload import Payload
from chalicelib.records import StoredReport
from chalicelib.sampling import NOTE_KEPT, Weights
from chalicelib.storage.ports import (
    MAX_BATCH_ITEMS,
    BlobNotFound,
    Blobs,
    ConditionFailed,
    Conflict,
    Delete,
    Key,
    Operation,
    Table,
    get_all,
)


@dataclass
class _Batch:
    """Reports that go together, and what they leave."""

    reports: list[StoredReport] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    rows: list[deltas.Row] = field(default_factory=list)
    left_by: dict[int, set[int]] = field(default_factory=dict)

    def has_room(self, operations: int) -> bool:
        """For so many more, and the note of a group, and the delta."""
        return len(self.operations) + len(self.left_by) + operations + 2 <= MAX_BATCH_ITEMS

    def take(self, report: StoredReport, operations: Sequence[Operation], row: deltas.Row) -> None:
        self.reports.append(report)
        self.operations += operations
        self.rows.append(row)
        self.left_by.setdefault(report.group_id, set()).add(report.version_id)


class Expiry:
    """Takes reports of one app away; several may be at it, and doing it again changes nothing."""

    def __init__(
        self, table: Table, blobs: Blobs, counts: Counts, ids: IdSource, deletion: Deletion
    ) -> None:
        self._table = table
        self._blobs = blobs
        self._counts = counts
        self._ids = ids
        self._deletion = deletion

    def expire(self, app_id: str, reports: Sequence[StoredReport]) -> int:
        """How many went. Their groups are to be settled afterwards."""
        surely_done = clock.to_stored(clock.now() - NOTE_KEPT)
        young = [r.report_id for r in reports if r.received_at >= surely_done]
        old = [report for report in reports if report.received_at < surely_done]
        gone = self._deletion.delete(app_id, young) if young else 0
        landed = {r.report_id: self._landed(r) for r in old if r.door == DOOR}
        beside = self._beside(old)
        delete_blobs(self._blobs, self._blobs_of(old, landed, beside))
        counted = set(self._counts.of_stacks(app_id, {report.fingerprint for report in old}))
        weights = Weights(self._table, app_id, old)
        batch = _Batch()
        for report in old:
            doomed = [key for key in items_of(report) if key in beside or key.sk not in _MAYBE]
            doomed += self._claimed(report, landed.get(report.report_id))
            operations: list[Operation] = [
                Delete(
                    keys.report(report.report_id),
                    require={"group_id": report.group_id, "fingerprint": report.fingerprint},
                ),
                *map(Delete, doomed),
                *weights.taken(report),
            ]
            if not batch.has_room(len(operations)):
                gone += self._write(app_id, batch)
                batch = _Batch()
            stack = report.fingerprint if report.fingerprint in counted else ""
            place = (report.group_id, report.version_id, report.date, stack)
            row = deltas.less(deltas.row_of(*place, weights.of(report)))
            batch.take(report, operations, row)
        return gone + (self._write(app_id, batch) if batch.reports else 0)

    def _write(self, app_id: str, batch: _Batch) -> int:
        shard = batch.reports[0].report_id % keys.DELTA_SHARDS
        rows, number = deltas.tally(batch.rows), sortable(self._ids.next())
        notes = (left(app_id, group_id, ids) for group_id, ids in batch.left_by.items())
        delta = deltas.delta_put(app_id, shard, number, rows, 0, moved=True)
        try:
            self._table.write([*batch.operations, delta, *notes])
        except (ConditionFailed, Conflict):  # one has moved, or is deleted by another
            return self._deletion.delete(app_id, [report.report_id for report in batch.reports])
        return len(batch.reports)

    def _beside(self, reports: Sequence[StoredReport]) -> set[Key]:
        """What there is of the items that few reports have: reading is cheaper than deleting."""
        wanted = (key for report in reports for key in items_of(report) if key.sk in _MAYBE)
        return set(get_all(self._table, wanted))

    def _landed(self, report: StoredReport) -> Payload | None:
        with suppress(BlobNotFound, FormatError):
            return payload.read_as_stored(self._blobs, keys.raw_blob(report.report_id))
        return None

    def _blobs_of(
        self,
        reports: Sequence[StoredReport],
        landed: dict[int, Payload | None],
        beside: set[Key],
    ) -> Iterator[str]:
        for report in reports:
            if keys.export(report.report_id) in beside:
                yield keys.export_blob(report.app_id, report.report_id)
            received = landed.get(report.report_id)
            log_key = received.log_key if received else None
            yield from blobs_of(report.report_id, report.door, report.attachments, log_key)

    def _claimed(self, report: StoredReport, landed: Payload | None) -> list[Key]:
        """The id that its client gave it, and the claim it landed under: free again."""
        doomed = []
        if report.database_id:
            alias = keys.database_id(report.database_id)
            item = self._table.get(alias)
            if item is not None and item["report_id"] == report.report_id:
                doomed.append(alias)
        claim = landed.fields.get(CLAIM) if landed else None
        if claim is not None:
            doomed.append(keys.landing(report.app_id, claim))
        return doomed


_MAYBE = frozenset({keys.export(0).sk, keys.feedback(0).sk})
