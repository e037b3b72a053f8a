"""ProGuard's and R8's `mapping.txt`: the original names behind obfuscated ones.

Format: ProGuard manual, "ReTrace"; R8's comments are JSON after `#`, and its
builds may name their mapping in place of a source file (`r8-map-id-...`).
"""

from __future__ import annotations

import hashlib
import re
import uuid

R8_SOURCE_FILE = "r8-map-id-"
_FIRST_CLASS = re.compile(rb"\S[^\r\n]{0,2000}? -> [^\s:]{1,2000}:[ \t]*\r?(?:\n|\Z)")
_COMMENTS_OR_BLANK = re.compile(rb"(?:[ \t]*(?:#[^\n]*)?\r?\n)*")
_R8_ID = re.compile(rb"^# pg_map_id: *([0-9A-Za-z._-]{1,128}) *\r?$", re.MULTILINE)
_HEAD_BYTES = 64 * 1024  # R8 begins with a dozen lines of comments
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "guardsquare.com")


def is_mapping(raw: bytes) -> bool:
    """Whether the first line that is no comment maps a class (`com.example.Name -> a.b:`)."""
    head = raw[:_HEAD_BYTES].removeprefix(b"\xef\xbb\xbf")
    comments = _COMMENTS_OR_BLANK.match(head)
    return comments is not None and _FIRST_CLASS.match(head, comments.end()) is not None


def mapping_id(raw: bytes) -> str:
    """The UUID that Sentry's tools write into an app for its mapping, in Breakpad's form."""
    digest = hashlib.sha1(_NAMESPACE.bytes + raw, usedforsecurity=False).digest()
    return uuid.UUID(bytes=digest[:16], version=5).hex.upper() + "0"


def r8_id(raw: bytes) -> str | None:
    """R8's own id of a mapping, from its comments."""
    found = _R8_ID.search(raw[:_HEAD_BYTES])
    return found[1].decode() if found else None
