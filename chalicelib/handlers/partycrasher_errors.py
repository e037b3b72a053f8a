"""Failures in the shape and with the status of PartyCrasher's API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalice.app import Response

from chalicelib.errors import (
    CrashbucketError,
    Forbidden,
    FormatError,
    InvalidQuery,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    TooManyCrashes,
    TryAgain,
    Unauthenticated,
)
from chalicelib.formats.partycrasher_rules import BadKeyName, BadProperty
from chalicelib.handlers.answering import answering
from chalicelib.handlers.common import json_answer


class Refused(CrashbucketError):
    """A request that PartyCrasher's API has an error name of its own for."""

    def __init__(self, code: str, message: str, status: int = 400, **more: Any) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.more = more


def _answer(error: CrashbucketError) -> Response:
    status, body = told(error)
    return json_answer(body, status, _HEADERS.get(status))


partycrasher_errors = answering(_answer)
"""Answer every failure that a client can cause or mend as `{"error": NAME, ...}`."""


_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "Bearer"},
}


def told(error: CrashbucketError) -> tuple[int, dict[str, Any]]:
    """Status and body of an error; raises it again when no client can do anything about it."""
    message = str(error)
    match error:
        case Refused():
            return error.status, {"error": error.code, "message": message, **error.more}
        case Unauthenticated():
            return 401, {"error": "unauthenticated", "message": message}
        case Forbidden():
            return 403, {"error": "forbidden", "message": message}
        case NotFound():
            return 404, _missing(error)
        case BadKeyName():
            return 400, {
                "error": "BadKeyNameError",
                "message": message,
                "description": f"A period is not allowed in a key's name: {error.key[:200]!r}",
                "key": error.key[:200],
                "property": error.where,
            }
        case BadProperty():
            return 400, {"error": "bad_property", "message": message, "property": error.where}
        case FormatError():
            return 400, {"error": "invalid_json", "message": message}
        case InvalidQuery():
            return 400, {"error": "invalid_query", "message": message, "column": error.column}
        case InvalidRequest():
            name = next(iter(error.fields), None)
            return 400, {"error": f"bad_{name}", "message": message, "property": name}
        case PayloadTooLarge():
            return 413, {"error": "too_large", "message": message}
        case TooManyCrashes():
            return 429, {"error": "too_many_crashes", "message": message}
        case TryAgain():
            return 503, {"error": "busy", "message": message}
    raise error


def _missing(error: NotFound) -> dict[str, Any]:
    match error.kind:
        case "report":
            return {"not_found": error.identifier, "error": "not_found"}
        case "bucket":
            return {"error": "not_found", "bucket_id": error.identifier}
    return {"error": "not_found", error.kind: error.identifier, "message": str(error)}
