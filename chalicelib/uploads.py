"""Uploads in two steps, for dumps above what one post may have.

A client asks for a signed form, and puts the dump straight into the store
with it; `landing.py` makes the crash of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from chalicelib import clock, keys
from chalicelib.errors import InvalidRequest, NotFound, PayloadTooLarge
from chalicelib.landing import SUFFIX, claim_of_upload
from chalicelib.minidump_payload import MAX_NAME_CHARS
from chalicelib.records import DeadLetter, Deleted, Landing, Upload
from chalicelib.storage.ports import Blobs, Put, SignedUpload, Table

State: TypeAlias = Literal["waiting", "received", "processed", "failed"]

MAX_ANNOTATIONS = 512  # as many as a form may have
MAX_ANNOTATIONS_CHARS = 64_000  # all names and values; an item may have 400 kB

# What lands in the last moment may wait in the queue as long as SQS keeps a message.
_KEPT_AFTER_LINK = timedelta(days=15)
_LATEST_ARRIVAL = timedelta(hours=1)  # an upload that began in time may take its time


@dataclass(frozen=True, slots=True)
class BegunUpload:
    """Where the dump goes: `form` is good until `expires_at`, for at most the bytes it says."""

    upload_id: str
    form: SignedUpload
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class UploadState:
    """How far an upload is; `crash_id` is known once it landed, `reason` when it failed."""

    state: State
    crash_id: int | None = None
    reason: str | None = None


class Uploads:
    """Gives out signed forms, and tells what came of them."""

    def __init__(self, table: Table, blobs: Blobs, *, max_dump_bytes: int, link_s: int) -> None:
        self._table = table
        self._blobs = blobs
        self._max_dump_bytes = max_dump_bytes
        self._link_s = link_s

    def begin(
        self, app_id: str, size_bytes: int | None, annotations: Mapping[str, str]
    ) -> BegunUpload:
        """A form for one dump, of `size_bytes` if that is known.

        Raises `PayloadTooLarge` for a dump above the limit, or `InvalidRequest`.
        """
        limit = self._max_dump_bytes
        if size_bytes is not None:
            if size_bytes > limit:
                raise PayloadTooLarge("size", size_bytes, limit)
            limit = size_bytes
        _check(annotations)
        until = clock.now() + timedelta(seconds=self._link_s)
        upload = Upload(
            upload_id=secrets.token_hex(16),
            app_id=app_id,
            link_until=clock.to_stored(until),
            expires_at=int((until + _KEPT_AFTER_LINK).timestamp()),
            annotations=dict(annotations),
        )
        self._table.write([Put(upload.item(), if_absent=True)])
        form = self._blobs.signed_upload(
            self._landing(upload), max_bytes=limit, expires_in_s=self._link_s
        )
        return BegunUpload(upload.upload_id, form, until)

    def state(self, app_id: str, upload_id: str) -> UploadState:
        """Raises `NotFound` for an upload that is not the app's, or too old to be known."""
        item = self._table.get(keys.upload(app_id, upload_id)) if upload_id else None
        if item is None:
            raise NotFound("upload", upload_id)
        upload = Upload.from_item(item)
        landed = self._table.get(keys.landing(app_id, claim_of_upload(upload_id)))
        if landed is not None:
            return self._of_crash(Landing.from_item(landed).report_id)
        if self._blobs.size(self._landing(upload)) is not None:
            return UploadState("received")
        if clock.now() > clock.from_stored(upload.link_until) + _LATEST_ARRIVAL:
            return UploadState("failed", reason="nothing was uploaded before the link expired")
        return UploadState("waiting")

    def _of_crash(self, report_id: int) -> UploadState:
        item = self._table.get(keys.report(report_id))
        if item is not None:
            note = Deleted.at(item)
            if note is not None and note.counted_by is None:
                return UploadState("failed", report_id, "the crash was deleted")
            return UploadState("processed", report_id)
        letter = self._table.get(keys.deadletter(report_id))
        if letter is not None:
            return UploadState("failed", report_id, DeadLetter.from_item(letter).reason)
        return UploadState("received", report_id)

    @staticmethod
    def _landing(upload: Upload) -> str:
        return keys.landing_blob(upload.app_id, f"{upload.upload_id}{SUFFIX}")


def _check(annotations: Mapping[str, str]) -> None:
    if len(annotations) > MAX_ANNOTATIONS:
        problem = f"must not be more than {MAX_ANNOTATIONS}"
    elif any(not 0 < len(name) <= MAX_NAME_CHARS for name in annotations):
        problem = f"must have names of 1 to {MAX_NAME_CHARS} characters"
    elif sum(len(name) + len(value) for name, value in annotations.items()) > MAX_ANNOTATIONS_CHARS:
        problem = f"must not have more than {MAX_ANNOTATIONS_CHARS} characters in all"
    else:
        return
    raise InvalidRequest({"annotations": [problem]})
