"""The property list that QuincyKit and the HockeyApp SDKs take as the answer to a crash."""

from __future__ import annotations

import plistlib
from functools import lru_cache

from chalice.app import Response

QUEUED = -80  # "will be parsed later", BWQuincyServerAPI.h
_ID = "@id@"  # stands where a crash's id, which is digits, belongs
FEEDBACK_DELAY_MS = 1000  # what the document shows


def plist_answer(
    crash_id: str,
    status: int,
    delay_ms: int,
    http_status: int,
    *,
    location: str | None = None,
    message: str | None = None,
) -> Response:
    """`id` as a string, `delay` in milliseconds, `status` as the document numbers it.

    A refusal carries a `message`, which the document does not have, for the
    person who looks at it.
    """
    body = _property_list(status, delay_ms, message or "").replace(_ID, crash_id, 1)
    headers: dict[str, str | list[str]] = {"Content-Type": "text/xml; charset=utf-8"}
    if location:
        headers["Location"] = location
    return Response(body, status_code=http_status, headers=headers)


@lru_cache(maxsize=64)  # nearly every answer is the same but for the id
def _property_list(status: int, delay_ms: int, message: str) -> str:
    told: dict[str, str | int] = {"id": _ID, "delay": delay_ms, "status": status}
    if message:
        told["message"] = message
    return plistlib.dumps(told, sort_keys=False).decode()
