"""Which blob keys both adapters take, and the name a download is saved under."""

from __future__ import annotations

from urllib.parse import quote

from chalicelib.errors import InvalidRequest

MAX_KEY_BYTES = 1024  # S3's limit


def checked_blob_key(key: str) -> str:
    """The key; `InvalidRequest` for one that S3 or a file system could read as something else."""
    parts = key.split("/")
    if not key or len(key.encode(errors="replace")) > MAX_KEY_BYTES:
        problem = f"must have 1 to {MAX_KEY_BYTES} bytes"
    elif any(part in ("", ".", "..") for part in parts):
        problem = "has an empty or relative part"
    elif "\\" in key or not all(map(_is_plain, key)):
        problem = "has a backslash or a control character"
    elif "${filename}" in key:
        problem = "has ${filename}, which S3 would replace in an upload form"
    else:
        return key
    raise InvalidRequest({"key": [problem]})


def attachment(filename: str) -> str:
    """A Content-Disposition header that saves under `filename` (RFC 6266), whatever is in it."""
    return f"attachment; filename*=UTF-8''{quote(filename, safe='')}"


def _is_plain(character: str) -> bool:
    return character >= " " and character != "\x7f" and not "\ud800" <= character <= "\udfff"
