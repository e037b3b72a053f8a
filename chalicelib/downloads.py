"""What people download of a crash: its minidump, and the archive that it came in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from chalicelib import keys, payload
from chalicelib.errors import NotFound
from chalicelib.payload import ARCHIVE, ARCHIVE_FILES, MINIDUMP_DOORS, Payload
from chalicelib.storage.ports import BlobNotFound, Blobs

Kind: TypeAlias = Literal["minidump", "archive"]

# An answer of Lambda has at most 6 MB, in base64 where it is binary: what is larger goes by a
# link of the store.
MAX_INLINE_BYTES = 4_000_000
_LINK_S = 300  # a client follows it at once


@dataclass(frozen=True, slots=True)
class Download:
    """A file to save under `filename`: `data`, or, where it is large, a `url` that gives it."""

    filename: str
    data: bytes = b""
    url: str | None = None


class Downloads:
    """Takes files out of payloads."""

    def __init__(self, blobs: Blobs, max_inline_bytes: int = MAX_INLINE_BYTES) -> None:
        self._blobs = blobs
        self._max_inline_bytes = max_inline_bytes

    def open(self, report_id: int, kind: Kind) -> Download:
        """The file; raises `NotFound` when the crash is gone or has none of that kind."""
        received = self._payload(report_id, with_attachments=kind == "archive")
        if kind == "archive":
            return self._archive(report_id, received)
        filename = f"{report_id}.dmp"
        if received.log_key is not None:
            return Download(filename, url=self._link(received.log_key, filename))
        if not received.log:
            raise NotFound("minidump of crash", str(report_id))
        return self._given(report_id, kind, filename, received.log)

    def _archive(self, report_id: int, received: Payload) -> Download:
        if ARCHIVE_FILES in received.fields:
            for attachment in received.attachments:
                if attachment.name == ARCHIVE:
                    gzipped = attachment.data.startswith(b"\x1f\x8b")
                    filename = f"{report_id}.tar.gz" if gzipped else f"{report_id}.tar"
                    return self._given(report_id, "archive", filename, attachment.data)
        raise NotFound("archive of crash", str(report_id))

    def _given(self, report_id: int, kind: Kind, filename: str, data: bytes) -> Download:
        if len(data) <= self._max_inline_bytes:
            return Download(filename, data)
        copy = keys.download_blob(report_id, kind)
        if self._blobs.size(copy) is None:
            self._blobs.put(copy, data)
        return Download(filename, url=self._link(copy, filename))

    def _link(self, key: str, filename: str) -> str:
        return self._blobs.signed_download(key, expires_in_s=_LINK_S, filename=filename)

    def _payload(self, report_id: int, *, with_attachments: bool) -> Payload:
        try:
            received = payload.read_as_stored(
                self._blobs, keys.raw_blob(report_id), with_attachments
            )
        except BlobNotFound as error:
            raise NotFound("crash", str(report_id)) from error
        if received.door not in MINIDUMP_DOORS:
            raise NotFound("minidump of crash", str(report_id))
        return received
