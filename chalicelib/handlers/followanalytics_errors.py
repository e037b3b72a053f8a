"""Failures in the shape and with the status of FollowAnalytics' API."""

from __future__ import annotations

from collections.abc import Mapping

from chalice.app import Response

from chalicelib.errors import (
    CrashbucketError,
    Forbidden,
    FormatError,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    TooManyCrashes,
    TryAgain,
    Unauthenticated,
)
from chalicelib.handlers.answering import answering
from chalicelib.handlers.followanalytics_shape import answer, failure
from chalicelib.storage.ports import InvalidSignature
from chalicelib.users import TooManyLogins

_MAX_ECHOED_CHARS = 200


class NoAccess(CrashbucketError):
    """The crash is there, and belongs to an app that the caller may not see."""


def _answer(error: CrashbucketError) -> Response:
    code, status, message = _told(error)
    return answer(failure(status, message), code, _HEADERS.get(code))


followanalytics_errors = answering(_answer)
"""Answer every failure that a client can cause or mend as
`{"success": false, "status": WORD, "error_message": TEXT}`."""


_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": 'Token realm="api"'},
}


def _told(error: CrashbucketError) -> tuple[int, str, str]:
    """The status code, its word and the message; raises what no client can do anything about."""
    match error:
        case Unauthenticated():
            return 401, "unauthorized", str(error)
        case Forbidden() | InvalidSignature():
            return 403, "forbidden", str(error)
        case NoAccess():
            return 404, "not_found", "You have no access to this app crash"
        case NotFound():
            identifier = error.identifier[:_MAX_ECHOED_CHARS]
            return 404, "not_found", f"{error.kind} with identifier {identifier}."
        case InvalidRequest():
            # The document's message is a sentence of its own, without a field's name before it.
            return 400, "bad_request", " ".join(t for texts in error.fields.values() for t in texts)
        case FormatError():
            return 400, "bad_request", str(error)
        case PayloadTooLarge():
            return 413, "request_entity_too_large", str(error)
        case TooManyLogins() | TooManyCrashes():
            return 429, "too_many_requests", str(error)
        case TryAgain():
            return 503, "service_unavailable", str(error)
    raise error
