"""Sessions over HTTP: how many there were, and how many of them went without a crash."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chalice.app import Blueprint, Request, Response

from chalicelib import clock
from chalicelib.errors import FormatError, InvalidRequest
from chalicelib.formats import bounded_json
from chalicelib.handlers import hockeyapp_shape as shape
from chalicelib.handlers.common import ANY_TYPE, incoming, json_answer, services
from chalicelib.handlers.hockeyapp_access import authorised
from chalicelib.handlers.hockeyapp_errors import hockeyapp_errors
from chalicelib.handlers.hockeyapp_histograms import days_asked
from chalicelib.sessions import DayOfSessions, read_batch

routes = Blueprint(__name__)

_APP = "/api/2/apps/{app_id}"


@routes.route(f"{_APP}/sessions", methods=["POST"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def post_sessions(app_id: str) -> Response:
    """201 for a batch that is counted now, 200 for one that was counted before."""
    request, app = authorised(incoming(_request(), with_form=False), app_id, "upload")
    try:
        posted = bounded_json.read_object(request.body.decode("utf-8", "replace").strip())[0]
    except FormatError as error:
        raise InvalidRequest({"body": [str(error)]}) from error
    batch_id, started = read_batch(posted, clock.now())
    is_new = services().sessions.take(app.app_id, batch_id, started)
    counted = sum(entry.sessions for entry in started) if is_new else 0
    return json_answer({"status": "success", "counted": counted}, 201 if is_new else 200)


@routes.route(f"{_APP}/crash_free", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def crash_free(app_id: str) -> Response:
    """The share of sessions without a crash by day: of the app, and of its versions."""
    request, app = authorised(incoming(_request()), app_id, "read")
    days, paging = days_asked(request), shape.paging(request)
    versions = services().groups.versions(app.app_id)
    found = services().sessions.crash_free(app.app_id, versions, days, paging)
    of_versions = [
        {
            "id": version.version_id,
            "version": version.number,
            "shortversion": version.name,
            "crash_free": _days(counted),
        }
        for version, counted in found.versions.entries
    ]
    told = {"crash_free": _days(found.days), "app_versions": of_versions}
    return json_answer(shape.listing(found.versions, **told))


def _days(counted: Iterable[DayOfSessions]) -> list[dict[str, Any]]:
    return [
        {
            "day": entry.day.isoformat(),
            "sessions": entry.sessions,
            "crashes": entry.crashes,
            "crash_free": entry.crash_free,
        }
        for entry in counted
    ]


def _request() -> Request:
    current = routes.current_request
    assert isinstance(current, Request)
    return current
