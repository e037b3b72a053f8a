"""Dumps that come straight to the store: each becomes the payload of one crash, once.

They land under `dumps/APP_ID/`: by a signed form that `uploads.py` gave out,
or by any other means (`aws s3 cp a.dmp s3://BUCKET/dumps/APP_ID/`). The
store's event leads here. A landed dump is moved to a key of its own, where
nobody can put another one over it, and a payload that names it goes to
`raw/`, whose own event has it processed like any other.

Events are delivered again, and a worker may die after any line: the id of the
crash is claimed first, under the upload it came by or under key and content;
whoever comes later finds the claim, and puts only what is not there yet. What
landed is taken away last, and only as it was read.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import cast

from chalicelib import clock, keys, payload
from chalicelib.errors import CrashbucketError, FormatError, InvalidRequest, PayloadTooLarge
from chalicelib.ids import IdSource
from chalicelib.metrics import Metric, Metrics, NoMetrics
from chalicelib.minidump_payload import PostedDump, payload_of, unpacked
from chalicelib.payload import Payload
from chalicelib.records import DeadLetter, Landing, Upload
from chalicelib.storage.ports import (
    BlobExists,
    BlobNotFound,
    Blobs,
    ConditionFailed,
    Conflict,
    Put,
    Table,
    Update,
)

DOOR = "upload"
SUFFIX = ".dmp"

CLAIM = "landing"  # the field of a payload that says under which claim it was made
_MAX_ATTEMPTS = 20  # each failure means that another process made the same id, or claims it


class NoLanding(CrashbucketError):
    """A key under which no dump is expected."""


class Landings:
    """Makes payloads of what lands; several may run at once, on one machine or on many."""

    def __init__(
        self,
        table: Table,
        blobs: Blobs,
        ids: IdSource,
        max_dump_bytes: int,
        metrics: Metrics | None = None,
    ) -> None:
        self._table = table
        self._metrics = metrics or NoMetrics()
        self._blobs = blobs
        self._ids = ids
        self._max_dump_bytes = max_dump_bytes

    def land(self, blob_key: str, at: datetime | None = None) -> int | None:
        """Make a payload of what is under the key; the crash's id, None when nothing is there.

        A dump above the limit stays where it is, and its payload names it
        there: it can be read once the limit is raised. `at` is when it landed.
        Raises `NoLanding`.
        """
        app_id, name = _place(blob_key)
        try:
            found = self._blobs.fetch(blob_key, length=self._max_dump_bytes + 1)
        except BlobNotFound:  # an earlier delivery took it away
            return None
        upload = self._upload(app_id, name)
        is_moved = len(found.data) <= self._max_dump_bytes
        content = hashlib.sha256(found.data).hexdigest() if is_moved else found.version
        claim = claim_of_upload(upload.upload_id) if upload else _claim(blob_key, content)
        dump = self._unpacked(found.data) if is_moved else None
        annotations = upload.annotations if upload else {"filename": name}
        for _ in range(_MAX_ATTEMPTS):
            report_id = self._claimed(app_id, claim)
            received = payload_of(
                app_id,
                DOOR,
                PostedDump(b"", annotations),
                at or clock.now(),
                {CLAIM: claim},
                log_key=blob_key if dump is None else keys.dump_blob(report_id),
            )
            if upload:
                received = replace(received, correlation_id=upload.upload_id)
            if self._made_by(report_id) is None and self._put(report_id, dump, received):
                self._metrics.count(Metric.RECEIVED, app_id=app_id)
                break
            if self._made_by(report_id) == claim:
                break  # by an earlier delivery, or by another that runs now
            self._claim_another(app_id, claim, report_id)
        else:
            raise Conflict(f"no id was free for {blob_key}")
        if is_moved:
            self._blobs.delete(blob_key, version=found.version)
        return report_id

    def give_up(self, blob_key: str, reason: str) -> None:
        """Make a dead letter of what could not be landed, unless it was after all."""
        app_id, name = _place(blob_key)
        if self._blobs.size(blob_key) is None:
            return
        upload = self._upload(app_id, name)
        claim = claim_of_upload(upload.upload_id) if upload else _claim(blob_key, "given up")
        report_id = self._claimed(app_id, claim)
        if self._made_by(report_id) == claim:
            return  # the payload is there, and has an event of its own
        letter = DeadLetter(
            report_id,
            reason,
            clock.to_stored(clock.now()),
            app_id=app_id,
            door=DOOR,
            landed_key=blob_key,
        )
        self._table.write([Put(letter.item())])

    def _upload(self, app_id: str, name: str) -> Upload | None:
        """The upload in two steps whose dump this is, if it is one's."""
        item = self._table.get(keys.upload(app_id, name.removesuffix(SUFFIX)))
        return Upload.from_item(item) if item else None

    def _unpacked(self, data: bytes) -> bytes:
        """The dump without gzip; what is no gzip that can be read stays as it is."""
        try:
            return unpacked(data, self._max_dump_bytes)
        except (InvalidRequest, PayloadTooLarge):
            return data

    # --- claims ---

    def _claimed(self, app_id: str, claim: str) -> int:
        """The id of the crash, claimed now if nobody has yet."""
        known = self._known(app_id, claim)
        if known is not None:
            return known
        landing = Landing(claim, app_id, self._ids.next())
        try:
            self._table.write([Put(landing.item(), if_absent=True)])
        except ConditionFailed:
            known = self._known(app_id, claim)
            if known is None:
                raise Conflict("a claim was taken away as it was made") from None
            return known
        return landing.report_id

    def _known(self, app_id: str, claim: str) -> int | None:
        item = self._table.get(keys.landing(app_id, claim))
        return cast(int, item["report_id"]) if item else None

    def _claim_another(self, app_id: str, claim: str, taken: int) -> None:
        """Another process made the same id in the same millisecond, and used it first."""
        update = Update(
            keys.landing(app_id, claim),
            set={"report_id": self._ids.next()},
            require={"report_id": taken},
        )
        with suppress(ConditionFailed):  # another delivery of the same event did it
            self._table.write([update])

    # --- blobs ---

    def _made_by(self, report_id: int) -> str | None:
        """The claim that the payload of this id was made under; None when there is no payload."""
        try:
            stored = payload.read_as_stored(self._blobs, keys.raw_blob(report_id))
        except BlobNotFound:
            return None
        except FormatError:
            return ""
        return stored.fields.get(CLAIM, "")

    def _put(self, report_id: int, dump: bytes | None, received: Payload) -> bool:
        """Put the dump, then the payload that names it; False: another one has the id."""
        place = keys.dump_blob(report_id)
        try:
            if dump is not None:
                self._blobs.put(place, dump, if_absent=True)
        except BlobExists:  # from a worker that died here, or of another crash
            if self._blobs.get(place, length=self._max_dump_bytes + 1) != dump:
                return False
        try:
            self._blobs.put(keys.raw_blob(report_id), payload.encode(received), if_absent=True)
        except BlobExists:
            return False
        return True


def claim_of_upload(upload_id: str) -> str:
    """An upload is one crash, whatever is put under its form again."""
    return _claim("upload", upload_id)


def is_landing(blob_key: str) -> bool:
    try:
        _place(blob_key)
    except NoLanding:
        return False
    return True


def _claim(*told: str) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _place(blob_key: str) -> tuple[str, str]:
    """The app in a key, and the name below it."""
    app_id, _, name = blob_key.removeprefix(keys.LANDING_PREFIX).partition("/")
    is_ours = blob_key.startswith(keys.LANDING_PREFIX) and app_id
    if not is_ours or not name.lower().endswith(SUFFIX):
        raise NoLanding(f"{blob_key!r} is not {keys.LANDING_PREFIX}APP_ID/NAME{SUFFIX}")
    return app_id, name
