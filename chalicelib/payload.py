"""A crash as it was received, and how it is kept as one blob.

Layout: the magic `CBK1`, the header's length (4 bytes, big-endian), the header
(JSON), the log, the description, the attachments. The log comes first, so the
processing reads a beginning of the blob and never an attachment. Log and
description are deflated: a stack shrinks to a third.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from chalicelib import clock, correlation
from chalicelib.errors import FormatError
from chalicelib.storage.ports import Blobs

PARTYCRASHER = "partycrasher"  # the door whose log is the posted JSON, and that makes apps
OMAHA = "omaha"
MINIDUMP_DOORS = frozenset({OMAHA, "breakpad", "sentry", "upload"})  # their log is a minidump
ARCHIVE = "archive"  # the attachment that is an omaha client's whole archive
KEPT = "kept"  # the field of a crash that a person brought in: no quota leaves it out
ARCHIVE_FILES = "archive_files"  # the field that names its files, a line each

MAX_LOG_BLOB_BYTES = 128 * 1024 * 1024  # what a worker is to hold of one crash

_MAGIC = b"CBK1"
_PREFIX = struct.Struct(">4sI")
_FIRST_READ_BYTES = 64 * 1024  # holds header and log of nearly every report
_MAX_HEADER_BYTES = 4 * 1024 * 1024  # annotations and names of a full form, all escaped
_MAX_INFLATED_BYTES = 64 * 1024 * 1024  # far above every door's limit: only a forged blob is larger


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file sent along; `data` is empty where only the listing was read."""

    name: str
    filename: str
    content_type: str
    size_bytes: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Payload:
    """What a door took from one request for one crash.

    `fields` holds what the client said beside the log, under our names:
    user, contact, package, version, short_version, os_version, model,
    install_id, sdk, sdk_version, ... Fields beat what the log says.
    `annotations` are what it said beside them, under its own names. Where the
    log is a blob by itself (it came straight to the store), `log_key` names
    that and `log` is empty until it is read.
    """

    app_id: str
    door: str
    received_at: datetime
    log: bytes
    description: bytes = b""
    fields: Mapping[str, str] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    log_key: str | None = None
    correlation_id: str = field(default_factory=correlation.current)
    """The request that it came with: the one in hand when it is made."""


def encode(payload: Payload) -> bytes:
    log = zlib.compress(payload.log, 1)
    description = zlib.compress(payload.description, 1) if payload.description else b""
    told: dict[str, Any] = {
        "app": payload.app_id,
        "door": payload.door,
        "received_at": clock.to_stored(payload.received_at),
        "fields": dict(payload.fields),
        "log": len(log),
        "description": len(description),
        "attachments": [
            [item.name, item.filename, item.content_type, len(item.data)]
            for item in payload.attachments
        ],
    }
    if payload.annotations:
        told["annotations"] = dict(payload.annotations)
    if payload.log_key is not None:
        told["log_key"] = payload.log_key
    if payload.correlation_id:
        told["correlation_id"] = payload.correlation_id
    header = json.dumps(told, separators=(",", ":")).encode()
    parts = [_PREFIX.pack(_MAGIC, len(header)), header, log, description]
    parts.extend(item.data for item in payload.attachments)
    return b"".join(parts)


def read(
    blobs: Blobs,
    key: str,
    *,
    with_attachments: bool = False,
    max_log_bytes: int = MAX_LOG_BLOB_BYTES,
) -> Payload:
    """The payload under `key`, with its log; raises `BlobNotFound` or `FormatError`.

    `max_log_bytes` bounds a log that is a blob by itself.
    """
    received = read_as_stored(blobs, key, with_attachments)
    if received.log_key is None:
        return received
    log = blobs.get(received.log_key, length=max_log_bytes + 1)
    if len(log) > max_log_bytes:
        raise FormatError(f"the dump is larger than {max_log_bytes} bytes, the limit")
    return replace(received, log=log)


def read_as_stored(blobs: Blobs, key: str, with_attachments: bool = False) -> Payload:
    """The payload without its log where that is a blob by itself; raises as `read`."""
    if with_attachments:
        return decode(blobs.get(key), with_attachments=True)
    data = blobs.get(key, length=_FIRST_READ_BYTES)
    needed = _needed_bytes(data)
    if len(data) == _FIRST_READ_BYTES and needed > len(data):
        data = blobs.get(key, length=needed)
    return decode(data)


def decode(data: bytes, *, with_attachments: bool = False) -> Payload:
    """The inverse of `encode`; without `with_attachments` their data may be missing."""
    header, position = _header(data)
    try:
        log, position = _inflate(data, position, int(header["log"]))
        description, position = _inflate(data, position, int(header["description"]))
        attachments = []
        for name, filename, content_type, size in header["attachments"]:
            content = data[position : position + size] if with_attachments else b""
            attachments.append(Attachment(name, filename, content_type, size, content))
            position += size
        return Payload(
            app_id=header["app"],
            door=header["door"],
            received_at=clock.from_stored(header["received_at"]),
            log=log,
            description=description,
            fields=header["fields"],
            attachments=tuple(attachments),
            annotations=header.get("annotations", {}),
            log_key=header.get("log_key"),
            correlation_id=header.get("correlation_id", ""),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"the stored payload's header is not ours: {error}") from error


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    if len(data) < _PREFIX.size:
        raise FormatError("the stored payload is shorter than its prefix")
    magic, length = _PREFIX.unpack_from(data)
    if magic != _MAGIC or length > _MAX_HEADER_BYTES:
        raise FormatError("the stored payload does not begin as ours do")
    end = _PREFIX.size + length
    try:
        header = json.loads(data[_PREFIX.size : end])
    except ValueError as error:
        raise FormatError("the stored payload's header is damaged") from error
    if not isinstance(header, dict):
        raise FormatError("the stored payload's header is no object")
    return header, end


def _needed_bytes(data: bytes) -> int:
    if len(data) < _PREFIX.size:
        return 0
    magic, length = _PREFIX.unpack_from(data)
    end = _PREFIX.size + int(length)
    if magic != _MAGIC or length > _MAX_HEADER_BYTES:
        return 0
    if end > len(data):
        return end + _MAX_INFLATED_BYTES
    header, end = _header(data)
    try:
        return end + int(header["log"]) + int(header["description"])
    except (KeyError, TypeError, ValueError):
        return 0


def _inflate(data: bytes, position: int, size: int) -> tuple[bytes, int]:
    if not size:
        return b"", position
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(data[position : position + size], _MAX_INFLATED_BYTES)
    except zlib.error as error:
        raise FormatError("the stored payload is damaged", f"byte {position}") from error
    if inflater.unconsumed_tail or not inflater.eof:
        raise FormatError("the stored payload is cut off or too large", f"byte {position}")
    return text, position + size
