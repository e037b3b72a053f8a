"""What people download of a crash: its minidump, the archive that it came in, its attachments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from chalicelib import keys, payload
from chalicelib.errors import NotFound
from chalicelib.payload import ARCHIVE, ARCHIVE_FILES, MINIDUMP_DOORS, Attachment, Payload
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
        return self._given(keys.download_blob(report_id, kind), filename, received.log)

    def attachments(self, report_id: int) -> tuple[Attachment, ...]:
        """What came with the crash beside its log, without the data."""
        return self._read(report_id).attachments

    def attachment(self, report_id: int, name: str) -> Download:
        """The first attachment of that name; raises `NotFound`."""
        listed = self.attachments(report_id)
        number = next((n for n, sent in enumerate(listed) if sent.name == name), None)
        if number is None:
            raise NotFound("attachment", name)
        filename = listed[number].filename or name
        copy = keys.attachment_blob(report_id, number)
        is_large = listed[number].size_bytes > self._max_inline_bytes
        if is_large and self._blobs.size(copy) is not None:
            return Download(filename, url=self._link(copy, filename))
        whole = self._read(report_id, with_attachments=True).attachments[number]
        return self._given(copy, filename, whole.data)

    def _archive(self, report_id: int, received: Payload) -> Download:
        if ARCHIVE_FILES in received.fields:
            for attachment in received.attachments:
                if attachment.name == ARCHIVE:
                    gzipped = attachment.data.startswith(b"\x1f\x8b")
                    filename = f"{report_id}.tar.gz" if gzipped else f"{report_id}.tar"
                    copy = keys.download_blob(report_id, "archive")
                    return self._given(copy, filename, attachment.data)
        raise NotFound("archive of crash", str(report_id))

    def _given(self, copy: str, filename: str, data: bytes) -> Download:
        if len(data) <= self._max_inline_bytes:
            return Download(filename, data)
        if self._blobs.size(copy) is None:
            self._blobs.put(copy, data)
        return Download(filename, url=self._link(copy, filename))

    def _link(self, key: str, filename: str) -> str:
        return self._blobs.signed_download(key, expires_in_s=_LINK_S, filename=filename)

    def _payload(self, report_id: int, *, with_attachments: bool) -> Payload:
        received = self._read(report_id, with_attachments=with_attachments)
        if received.door not in MINIDUMP_DOORS:
            raise NotFound("minidump of crash", str(report_id))
        return received

    def _read(self, report_id: int, *, with_attachments: bool = False) -> Payload:
        try:
            return payload.read_as_stored(self._blobs, keys.raw_blob(report_id), with_attachments)
        except BlobNotFound as error:
            raise NotFound("crash", str(report_id)) from error
