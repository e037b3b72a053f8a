"""What users write about their crashes, once a crash."""

from __future__ import annotations

from chalicelib import clock, keys, payload
from chalicelib.errors import CrashbucketError, FormatError, InvalidRequest, NotFound
from chalicelib.payload import MINIDUMP_DOORS
from chalicelib.records import Feedback, StoredReport
from chalicelib.storage.ports import (
    BlobNotFound,
    Blobs,
    Check,
    ConditionFailed,
    Item,
    Put,
    Table,
)

MAX_SUMMARY_CHARS = 500  # omaha-server's column
MAX_DESCRIPTION_CHARS = 50_000  # there a text without a limit
_MAX_ATTEMPTS = 5  # a crash is processed once, and deleted once


class AlreadyReported(CrashbucketError):
    """The crash has its feedback, which nobody may change."""

    def __init__(self, summary: str) -> None:
        super().__init__(f'already reported as "{summary}"')


class FeedbackBook:
    """Takes and shows what users wrote; of crashes with a minidump only, as their clients ask."""

    def __init__(self, table: Table, blobs: Blobs) -> None:
        self._table = table
        self._blobs = blobs

    def find(self, report_id: int) -> Feedback | None:
        item = self._table.get(keys.feedback(report_id))
        return Feedback.from_item(item) if item else None

    def text(self, report_id: int) -> str:
        """What was written, as one text; empty where nothing was."""
        known = self.find(report_id)
        return f"{known.summary}\n\n{known.description}".strip() if known else ""

    def require_open(self, report_id: int) -> None:
        """Raises `NotFound`, or `AlreadyReported`: nothing can be written about this crash."""
        known = self.find(report_id)
        if known is not None:
            raise AlreadyReported(known.summary)
        if not self._is_crash(report_id, self._table.get(keys.report(report_id))):
            raise NotFound("crash", str(report_id))

    def add(self, report_id: int, summary: str, description: str) -> None:
        """Keep it; raises as `require_open`, or `InvalidRequest` by field."""
        wrong: dict[str, list[str]] = {}
        if not summary:
            wrong["summary"] = ["This field is required."]
        for name, text, limit in (
            ("summary", summary, MAX_SUMMARY_CHARS),
            ("description", description, MAX_DESCRIPTION_CHARS),
        ):
            if len(text) > limit:
                told = f"Ensure this value has at most {limit} characters (it has {len(text)})."
                wrong[name] = [told]
        self.require_open(report_id)
        if wrong:
            raise InvalidRequest(wrong)
        written = Feedback(report_id, summary, description, clock.to_stored(clock.now()))
        for _ in range(_MAX_ATTEMPTS):
            item = self._table.get(keys.report(report_id))
            # As it is decided just now whether the crash is kept, with what its user wrote.
            as_it_is = Check(keys.report(report_id), exists=item is not None)
            if not self._is_crash(report_id, item):
                break
            try:
                self._table.write([Put(written.item(), if_absent=True), as_it_is])
            except ConditionFailed:
                self.require_open(report_id)
            else:
                return
        raise NotFound("crash", str(report_id))

    def _is_crash(self, report_id: int, item: Item | None) -> bool:
        """Whether a minidump's crash has this id, be it processed, waiting or a dead letter; `item`
        is what stands at its report's key."""
        if item is not None:
            found = StoredReport.at(item)
            return found is not None and found.door in MINIDUMP_DOORS
        try:
            received = payload.read_as_stored(self._blobs, keys.raw_blob(report_id))
        except (BlobNotFound, FormatError):
            return False
        return received.door in MINIDUMP_DOORS
