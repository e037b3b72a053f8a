"""What both parts of the embedded server read and write on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Answer: TypeAlias = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers, body."""

READ_BYTES = 256 * 1024  # at a time
_MAX_DISCARDED_BYTES = 100_000_000  # of a body that is refused


class Refused(Exception):
    """The request is not taken; the message tells the client why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def content_length(environ: Mapping[str, Any]) -> int | None:
    """The length that the client announced; None when it announced none."""
    text = str(environ.get("CONTENT_LENGTH") or environ.get("HTTP_CONTENT_LENGTH") or "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Refused(400, "Content-Length is no number")
    return int(text)


def body_of(environ: Mapping[str, Any], limit_bytes: int) -> bytes:
    """The body, of a known length or chunked, still in its Content-Encoding.

    Refuses one of more than `limit_bytes`, and one that ends before its
    announced length: half a crash must not be taken for a whole one.
    """
    length = content_length(environ)
    if length is None:
        if not environ.get("HTTP_TRANSFER_ENCODING"):
            return b""
        return _chunked(environ, limit_bytes)
    if length > limit_bytes:
        discard(environ)
        raise too_large(limit_bytes)
    body = bytes(environ["wsgi.input"].read(length)) if length else b""
    if len(body) < length:
        raise Refused(400, f"the body ends after {len(body)} of {length} bytes")
    return body


def discard(environ: Mapping[str, Any]) -> None:
    """Read what a client still sends, within reason.

    One that has not finished sending does not look for an answer yet, and
    would find its connection broken instead. A client that waits for leave to
    send (`Expect: 100-continue`) gets the answer at once.
    """
    if str(environ.get("HTTP_EXPECT") or "").lower() == "100-continue":
        return
    size = 0
    while size < _MAX_DISCARDED_BYTES and (part := environ["wsgi.input"].read(READ_BYTES)):
        size += len(part)


def too_large(limit_bytes: int) -> Refused:
    return Refused(413, f"the body is larger than {limit_bytes} bytes, the limit")


def _chunked(environ: Mapping[str, Any], limit_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := environ["wsgi.input"].read(READ_BYTES):
        size += len(part)
        if size > limit_bytes:
            discard(environ)
            raise too_large(limit_bytes)
        parts.append(bytes(part))
    return b"".join(parts)
