"""Files that single reports are written to for those who take them along.

A reader asks, a worker writes the file, the reader asks again and gets a link.
The state is one item beside the report, the file one blob; both are gone some
time later. The worker's message is sent after the item is there: whoever asks
for a file that has been waiting for too long has the message sent anew, so
none is lost when a process dies between the two. Writing the file a second
time changes nothing but the moment that it names.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime, timedelta

from chalicelib import clock, export_json, keys
from chalicelib.accounts import Accounts
from chalicelib.downloads import MAX_INLINE_BYTES, Download
from chalicelib.errors import FormatError, NotFound
from chalicelib.feedback import FeedbackBook
from chalicelib.formats.text import as_sent
from chalicelib.occurrences import occurrence_of
from chalicelib.queries.crashes import CrashQueries
from chalicelib.reading import Reader
from chalicelib.records import DONE, FAILED, WAITING, Export, StoredReport
from chalicelib.storage.ports import (
    BlobNotFound,
    Blobs,
    ConditionFailed,
    Conflict,
    Delete,
    Key,
    Put,
    Queue,
    Table,
    Update,
    Value,
    get_all,
)
from chalicelib.tasks import ExportReport, encode, settled_s

_FAILED_S = 300  # a failure is told for as long; then whoever asks has it tried again
_LINK_S = 300  # of the store, for a large file; a client follows it at once
_LOOKED_AT_ONCE = 1000  # files, when what has expired is swept away


class Exports:
    """Starts, runs and hands out exports; each file is kept for `kept_s` seconds."""

    def __init__(
        self,
        table: Table,
        blobs: Blobs,
        queue: Queue,
        crashes: CrashQueries,
        accounts: Accounts,
        feedback: FeedbackBook,
        reader: Reader,
        *,
        kept_s: int,
        visibility_s: int,
        max_inline_bytes: int = MAX_INLINE_BYTES,
    ) -> None:
        self._table = table
        self._blobs = blobs
        self._queue = queue
        self._crashes = crashes
        self._accounts = accounts
        self._feedback = feedback
        self._reader = reader
        self._kept_for = timedelta(seconds=kept_s)
        self._lost_after = timedelta(seconds=settled_s(visibility_s))
        self._max_inline_bytes = max_inline_bytes

    # --- for who asks ---

    def start(self, report: StoredReport) -> Export:
        """The report's export, asked for now unless it is there already."""
        known = self._find(report.report_id)
        if known is None:
            now = clock.now()
            made = Export(
                report_id=report.report_id,
                app_id=report.app_id,
                state=WAITING,
                asked_at=clock.to_stored(now),
                expires_at=_end_of(now + self._kept_for),
            )
            try:
                self._table.write([Put(made.item(), if_absent=True)])
            except ConditionFailed:  # somebody else asked at the same moment
                return self.state(report.report_id)
            self._send(report.report_id)
            return made
        return self._followed(known)

    def state(self, report_id: int) -> Export:
        """How far the report's export is; raises `NotFound` when nobody asked for it of late."""
        known = self._find(report_id)
        if known is None:
            raise NotFound("export", str(report_id))
        return self._followed(known)

    def open(self, report_id: int) -> Download:
        """The file; raises `NotFound` when it is not there, or its report is there no more."""
        known = self._find(report_id)
        if known is None or known.state != DONE:
            raise NotFound("export", str(report_id))
        filename = f"{occurrence_of(self._crashes.report(report_id)).id}.json"
        size = self._blobs.size(known.blob())
        if size is not None and size > self._max_inline_bytes:
            url = self._blobs.signed_download(known.blob(), expires_in_s=_LINK_S, filename=filename)
            return Download(filename, url=url)
        try:
            return Download(filename, self._blobs.get(known.blob()))
        except BlobNotFound as error:
            raise NotFound("export", str(report_id)) from error

    # --- for workers ---

    def run(self, report_id: int) -> None:
        """Write the file; nothing to do where that is done, or nobody waits for it any more."""
        known = self._find(report_id)
        if known is None or known.state != WAITING:
            return
        try:
            data = self._content(report_id)
        except (NotFound, FormatError) as error:
            self._end(report_id, FAILED, str(error))
            return
        self._blobs.put(known.blob(), data, content_type="application/json")
        try:  # who deletes reports deletes their exports after them: one of us sees the other
            self._crashes.report(report_id)
        except NotFound:
            self.forget(known.app_id, report_id)
        else:
            self._end(report_id, DONE)

    def give_up(self, report_id: int, reason: str) -> None:
        """Say that the export failed, unless it was done after all."""
        self._end(report_id, FAILED, reason)

    def sweep(self) -> None:
        """Take away the files whose time is over; looks at every file there is."""
        waiting: list[str] = []
        for blob_key in self._blobs.keys(keys.EXPORTS):
            waiting.append(blob_key)
            if len(waiting) == _LOOKED_AT_ONCE:
                self._sweep(waiting)
                waiting = []
        self._sweep(waiting)

    # --- for who deletes ---

    def forget(self, app_id: str, report_id: int) -> None:
        """Take the export of a report away; to be called when the report is gone."""
        self._table.write([Delete(keys.export(report_id))])
        self._blobs.delete(keys.export_blob(app_id, report_id))

    # --- helpers ---

    def _find(self, report_id: int) -> Export | None:
        item = self._table.get(keys.export(report_id))
        return Export.from_item(item) if item else None

    def _followed(self, known: Export) -> Export:
        """The same; where its message must have been lost, it is sent again, by one who asks."""
        now = clock.now()
        if known.state != WAITING or known.asked_at >= clock.to_stored(now - self._lost_after):
            return known
        asked_at = clock.to_stored(now)
        require: dict[str, Value] = {"state": WAITING, "asked_at": known.asked_at}
        with suppress(ConditionFailed, Conflict):
            self._table.write([Update(known.key(), set={"asked_at": asked_at}, require=require)])
            self._send(known.report_id)
        return self._find(known.report_id) or known

    def _content(self, report_id: int) -> bytes:
        stored = self._crashes.report(report_id)
        received = self._crashes.payload(report_id)
        app = self._accounts.find_app(stored.app_id)
        described = export_json.as_json(
            stored,
            received,
            self._reader.report(received),
            app_name=app.name if app else "",
            description=as_sent(received.description) or self._feedback.text(report_id),
        )
        told = {**described, "exported_at": clock.to_stored(clock.now())}
        return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")

    def _end(self, report_id: int, state: str, reason: str | None = None) -> None:
        kept_for = timedelta(seconds=_FAILED_S) if state == FAILED else self._kept_for
        change: dict[str, Value] = {
            "state": state,
            "expires_at": _end_of(clock.now() + kept_for),
        }
        if reason is not None:
            change["reason"] = reason
        with suppress(ConditionFailed):  # done, or taken away meanwhile
            self._table.write(
                [Update(keys.export(report_id), set=change, require={"state": WAITING})]
            )

    def _sweep(self, blob_keys: list[str]) -> None:
        places: dict[str, Key] = {}
        for blob_key in blob_keys:
            with suppress(ValueError):  # none of ours
                places[blob_key] = keys.export(keys.report_id_of_export(blob_key))
        alive = get_all(self._table, places.values())
        for blob_key, place in places.items():
            if place in alive:
                continue
            with suppress(BlobNotFound):
                found = self._blobs.fetch(blob_key, length=1)
                if self._table.get(place) is None:  # a file written from now on is another version
                    self._blobs.delete(blob_key, version=found.version)

    def _send(self, report_id: int) -> None:
        self._queue.send(encode(ExportReport(report_id)))


def _end_of(moment: datetime) -> int:
    """As an item's time to live says it: seconds since 1970."""
    return int(moment.timestamp())
