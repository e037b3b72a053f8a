"""Sentry's minidump endpoint, as sentry-native's Crashpad backend and Electron's SDK post to it.

A DSN `https://ANYTHING@HOST/PROJECT` leads here; the project is an app's id or
its number, as some SDKs take numbers only. Its key is not looked at: posting
a crash needs none.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import wraps

from chalice.app import Blueprint, Request, Response

from chalicelib import crash_uuid
from chalicelib.errors import InvalidRequest, NotFound, PayloadTooLarge, TryAgain
from chalicelib.formats import sentry_event
from chalicelib.handlers import minidump_posts
from chalicelib.handlers.answering import busy_status, timed
from chalicelib.handlers.common import (
    ANY_TYPE,
    TELLS_OF_LARGE_BODIES,
    Incoming,
    json_answer,
    services,
    text_answer,
)
from chalicelib.minidump_payload import PostedDump, bounded_annotations, checked_dump
from chalicelib.records import App

routes = Blueprint(__name__)

_MINIDUMP = "/api/{project}/minidump"
TELLS_OF_LARGE_BODIES.add(_MINIDUMP)
# A minidump that is the body itself, in the types that Sentry knows for it.
_RAW_TYPES = frozenset({"application/octet-stream", "application/x-dmp"})


def _sentry_errors(view: Callable[[str], Response]) -> Callable[[str], Response]:
    """Answer every failure that a client can cause as `{"detail": TEXT}`."""

    @wraps(view)
    def answered(project: str) -> Response:
        try:
            return view(project)
        except PayloadTooLarge as error:
            told = minidump_posts.two_steps(_app(project).app_id, error)
            return json_answer({"detail": told}, 413)
        except NotFound as error:
            return json_answer({"detail": str(error)}, 404)
        except InvalidRequest as error:
            return json_answer({"detail": str(error)}, 400)
        except TryAgain as error:
            return timed(json_answer({"detail": str(error)}, busy_status(error)), error)

    return answered


@routes.route(_MINIDUMP, methods=["POST"], content_types=ANY_TYPE)
@_sentry_errors
def minidump(project: str) -> Response:
    """200 and the event's id, with dashes: the client's own where it gave one."""
    app = _app(project)
    current = routes.current_request
    assert isinstance(current, Request)
    request = minidump_posts.dump_request(current)
    posted = _posted(request)
    packed = request.form.get(sentry_event.EVENT_FILE)
    fields = {name: part.text for name, part in request.form.parts.items() if not part.filename}
    event = sentry_event.read(fields, packed.data if packed else None)
    kept, filed = bounded_annotations({**posted.annotations, **event.annotations})
    posted = replace(posted, annotations=kept, attachments=(*posted.attachments, *filed))
    client = _client(request)
    crash_id = minidump_posts.receive(
        app.app_id, "sentry", posted, {"sdk": client} if client else None
    )
    if event.event_id is None:
        return text_answer(crash_uuid.plain(crash_id))
    return text_answer(str(uuid.UUID(event.event_id)))


def _app(project: str) -> App:
    accounts = services().accounts
    found = accounts.find_app(project) or accounts.app_of_number(project)
    if found is None:
        raise NotFound("project", project)
    return found


def _posted(request: Incoming) -> PostedDump:
    kind = request.header("content-type").partition(";")[0].strip().lower()
    if kind in _RAW_TYPES:
        limit = services().settings.max_body_bytes
        return PostedDump(checked_dump(request.body, limit, name="body"))
    return minidump_posts.posted_dump(request)


def _client(request: Incoming) -> str:
    """The SDK's name and version (`sentry.native/0.7.6`), which the query or a header says."""
    told = request.query.get("sentry_client")
    if not told:
        parts = request.header("x-sentry-auth").removeprefix("Sentry ").split(",")
        pairs = (part.strip().partition("=") for part in parts)
        told = next((value for name, _, value in pairs if name == "sentry_client"), "")
    return " ".join(told.split())[:255]
