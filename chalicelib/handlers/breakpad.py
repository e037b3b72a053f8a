"""The door of Breakpad's minidump_upload, Crashpad, Electron and Mozilla's crash reporter."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from chalice.app import Blueprint, Request, Response

from chalicelib import crash_uuid
from chalicelib.errors import InvalidRequest, NotFound, PayloadTooLarge, TryAgain
from chalicelib.handlers import minidump_posts
from chalicelib.handlers.answering import busy_status, timed
from chalicelib.handlers.common import (
    ANY_TYPE,
    TELLS_OF_LARGE_BODIES,
    services,
    text_answer,
)

routes = Blueprint(__name__)

_UPLOAD = "/breakpad/{app_id}/upload"
TELLS_OF_LARGE_BODIES.add(_UPLOAD)


def _plain_errors(view: Callable[[str], Response]) -> Callable[[str], Response]:
    """Answer every failure that a client can cause as a line of text."""

    @wraps(view)
    def answered(app_id: str) -> Response:
        try:
            return view(app_id)
        except PayloadTooLarge as error:
            return text_answer(minidump_posts.two_steps(app_id, error), 413)
        except NotFound as error:
            return text_answer(str(error), 404)
        except InvalidRequest as error:
            return text_answer(str(error), 400)
        except TryAgain as error:
            return timed(text_answer(str(error), busy_status(error)), error)

    return answered


@routes.route(_UPLOAD, methods=["POST"], content_types=ANY_TYPE)
@_plain_errors
def upload(app_id: str) -> Response:
    """200 and nothing but the crash's id: Crashpad keeps the body, whole, as the report's id.

    Mozilla's reporter, known by its part `extra`, looks for a line `CrashID=` instead.
    """
    app = services().accounts.app(app_id)
    current = routes.current_request
    assert isinstance(current, Request)
    request = minidump_posts.dump_request(current)
    posted = minidump_posts.posted_dump(request)
    crash_id = minidump_posts.receive(app.app_id, "breakpad", posted)
    if minidump_posts.is_socorro(request.form):
        return text_answer(f"CrashID={crash_uuid.socorro(crash_id)}\n")
    return text_answer(str(crash_id))
