"""The property list that QuincyKit and the HockeyApp SDKs take as the answer to a crash."""

from __future__ import annotations

import plistlib

from chalice.app import Response

QUEUED = -80  # "will be parsed later", BWQuincyServerAPI.h
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
    told: dict[str, str | int] = {"id": crash_id, "delay": delay_ms, "status": status}
    if message:
        told["message"] = message
    body = plistlib.dumps(told, sort_keys=False).decode()
    headers: dict[str, str | list[str]] = {"Content-Type": "text/xml; charset=utf-8"}
    if location:
        headers["Location"] = location
    return Response(body, status_code=http_status, headers=headers)
