"""Request bodies as clients meant them: inflated, and bounded before and after."""

from __future__ import annotations

import zlib

from chalicelib.errors import InvalidRequest, PayloadTooLarge

_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_CODINGS = {"gzip": _GZIP_WINDOW, "x-gzip": _GZIP_WINDOW, "deflate": zlib.MAX_WBITS}


def inflate(body: bytes, content_encoding: str | None, limit_bytes: int) -> bytes:
    """The body without its `Content-Encoding` (gzip, deflate or none).

    Raises `PayloadTooLarge` when it has more than `limit_bytes`, as sent or
    inflated, and `InvalidRequest` when it is damaged or in another coding.
    """
    if len(body) > limit_bytes:
        raise PayloadTooLarge("body", len(body), limit_bytes)
    coding = (content_encoding or "identity").strip().lower()
    if coding in {"identity", ""} or not body:
        return body
    window = _CODINGS.get(coding)
    if window is None:
        raise InvalidRequest({"content-encoding": ["must be gzip, deflate or identity"]})
    return _inflated(body, window, limit_bytes)


def _inflated(body: bytes, window: int, limit_bytes: int) -> bytes:
    if window == zlib.MAX_WBITS and body[0] & 0x0F != zlib.DEFLATED:
        window = -zlib.MAX_WBITS  # "deflate" without zlib's header, as many clients send it
    parts: list[bytes] = []
    size, rest = 0, body
    try:
        while rest:  # a gzip body may be several members, one after another
            inflater = zlib.decompressobj(window)
            part = inflater.decompress(rest, limit_bytes + 1 - size)
            parts.append(part)
            size += len(part)
            if size > limit_bytes:
                raise PayloadTooLarge("body", None, limit_bytes)
            if not inflater.eof:
                raise InvalidRequest({"body": ["ends in the middle of its compressed data"]})
            rest = inflater.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise InvalidRequest({"body": [f"is not what Content-Encoding says: {error}"]}) from error
    return b"".join(parts)
