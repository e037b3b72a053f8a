"""Routes that belong to no API: health."""

from __future__ import annotations

from chalice.app import Blueprint, Response

from chalicelib.handlers.common import ANY_TYPE, json_answer, services

routes = Blueprint(__name__)


@routes.route("/healthz", methods=["GET"], content_types=ANY_TYPE)
def healthz() -> Response:
    """200 as long as the store answers; `waiting` is 0 when no report waits to be processed and
    no other work of the queue (symbols that came) is due."""
    return json_answer({"status": "ok", "waiting": services().queue.depth()})
