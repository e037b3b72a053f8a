"""ProGuard's and R8's `mapping.txt`: the original names behind obfuscated ones.

Format: ProGuard manual, "ReTrace"; R8's comments are JSON after `#`.
"""

from __future__ import annotations

import hashlib
import re
import uuid

_FIRST_CLASS = re.compile(rb"\S[^\r\n]{0,2000}? -> [^\s:]{1,2000}:[ \t]*\r?(?:\n|\Z)")
_COMMENTS_OR_BLANK = re.compile(rb"(?:[ \t]*(?:#[^\n]*)?\r?\n)*")
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
