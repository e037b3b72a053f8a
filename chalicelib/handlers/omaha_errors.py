"""Failures in the shape and with the status of omaha-server's API: Django REST framework's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalice.app import Response

from chalicelib.errors import (
    CrashbucketError,
    Forbidden,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    TooManyCrashes,
    TryAgain,
    Unauthenticated,
)
from chalicelib.handlers.answering import answering
from chalicelib.handlers.common import json_answer
from chalicelib.handlers.minidump_posts import DUMP_PART, two_steps
from chalicelib.storage.ports import InvalidSignature
from chalicelib.users import TooManyLogins

_ANY_APP = "APP_ID"  # in a hint, where the app is not known


class InvalidPage(CrashbucketError):
    """The page asked for is none of the list."""


def _answer(error: CrashbucketError) -> Response:
    status, body = _told(error)
    return json_answer(body, status, _HEADERS.get(status))


omaha_errors = answering(_answer)
"""Answer every failure that a client can cause or mend as `{"detail": ...}` or by field."""


_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": 'Basic realm="api"'},
}


def method_not_allowed(method: str, allowed: str) -> Response:
    told = {"detail": f'Method "{method}" not allowed.'}
    return json_answer(told, 405, {"Allow": allowed})


def _told(error: CrashbucketError) -> tuple[int, dict[str, Any]]:
    """Status and body of an error; raises it again when no client can do anything about it."""
    match error:
        case Unauthenticated():
            return 401, {"detail": str(error)}
        case Forbidden() | InvalidSignature():
            return 403, {"detail": str(error)}
        case InvalidPage():
            return 404, {"detail": "Invalid page."}
        case NotFound():
            return 404, {"detail": "Not found."}
        case InvalidRequest():
            return 400, {name: list(texts) for name, texts in error.fields.items()}
        case PayloadTooLarge():
            return 413, {DUMP_PART: [two_steps(_ANY_APP, error)]}
        case TooManyLogins() | TooManyCrashes():
            return 429, {"detail": str(error)}
        case TryAgain():
            return 503, {"detail": str(error)}
    raise error
