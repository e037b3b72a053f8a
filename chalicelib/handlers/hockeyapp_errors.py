"""Failures in the shape and with the status of the HockeyApp API."""

from __future__ import annotations

from chalice.app import Response

from chalicelib.errors import (
    CrashbucketError,
    Forbidden,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    Refused,
    TooManyCrashes,
    TryAgain,
    Unauthenticated,
)
from chalicelib.handlers.answering import answering
from chalicelib.handlers.common import json_answer


def _answer(error: CrashbucketError) -> Response:
    status, errors = _told(error)
    return json_answer({"errors": errors}, status)


hockeyapp_errors = answering(_answer)
"""Answer every failure that a client can cause as `{"errors": {FIELD: [...]}}`."""


def _told(error: CrashbucketError) -> tuple[int, dict[str, list[str]]]:
    match error:
        case Unauthenticated():
            return 401, {"credentials": [str(error)]}
        case Forbidden():
            return 403, {"credentials": [str(error)]}
        case NotFound():
            return 404, {error.kind.replace(" ", "_"): ["not found"]}
        case InvalidRequest():
            return 422, {name: list(texts) for name, texts in error.fields.items()}
        case Refused():
            return 409, {error.field: [error.problem]}
        case PayloadTooLarge():
            size = "" if error.size_bytes is None else f"{error.size_bytes} bytes, "
            told = f"is too large: {size}the limit is {error.limit_bytes}"
            return 413, {error.field: [f"{told}; {error.hint}" if error.hint else told]}
        case TooManyCrashes():
            return 429, {"crashes": [str(error)]}
        case TryAgain():
            return 503, {"service": [str(error)]}
    raise error
