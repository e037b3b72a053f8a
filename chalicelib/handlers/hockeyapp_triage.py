"""What people decide about groups over HockeyApp's API: status, ticket, annotation.

Each route is there for the app and below one of its versions, as clients ask for either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from chalice.app import Blueprint, Request, Response

from chalicelib import hockeyapp_json
from chalicelib.access import Scope
from chalicelib.errors import InvalidRequest
from chalicelib.handlers import hockeyapp_shape as shape
from chalicelib.handlers.common import ANY_TYPE, Incoming, incoming, json_answer, services
from chalicelib.handlers.hockeyapp_access import authorised
from chalicelib.handlers.hockeyapp_errors import hockeyapp_errors
from chalicelib.queries.groups import CountedGroup
from chalicelib.records import IGNORED, OPEN, RESOLVED, Version

routes = Blueprint(__name__)

_APP = "/api/2/apps/{app_id}"
_STATUSES = {str(status): status for status in (OPEN, RESOLVED, IGNORED)}

View = TypeVar("View", bound=Callable[..., Response])


def _route(tail: str, method: str) -> Callable[[View], View]:
    """The path of a group, of the app and of a version."""

    def register(view: View) -> View:
        for base in (_APP, f"{_APP}/app_versions/{{version_id}}"):
            path = f"{base}/crash_reasons/{{group_id}}{tail}"
            routes.route(path, methods=[method], content_types=ANY_TYPE, cors=True)(view)
        return view

    return register


@_route("", "POST")
@hockeyapp_errors
def update_group(app_id: str, group_id: str, version_id: str | None = None) -> Response:
    """`status` 0, 1 or 2, and `ticket_url` (empty: none); what is not sent stays as it is."""
    request, version, group = _asked("write", app_id, group_id, version_id)
    services().triage.update(
        app_id,
        group.group.group_id,
        status=_status(request),
        ticket_url=_stripped(request.parameter("ticket_url")),
        version=version,
    )
    changed = _group(app_id, group.group.group_id, version)
    return json_answer({"crash_reason": hockeyapp_json.group(changed), "status": "success"})


@_route("/crash_annotations", "GET")
@hockeyapp_errors
def get_annotation(app_id: str, group_id: str, version_id: str | None = None) -> Response:
    """What was noted about the group."""
    _, _, group = _asked("read", app_id, group_id, version_id)
    noted = services().triage.annotation(app_id, group.group.group_id)
    return json_answer(hockeyapp_json.annotation(noted))


@_route("/crash_annotations", "POST")
@hockeyapp_errors
def set_annotation(app_id: str, group_id: str, version_id: str | None = None) -> Response:
    """`text` takes the place of what was noted; an empty one takes it away."""
    request, _, group = _asked("write", app_id, group_id, version_id)
    text = _stripped(request.parameter("text"))
    triage, identifier = services().triage, group.group.group_id
    if text is None:
        noted = triage.annotation(app_id, identifier)
    else:
        noted = triage.annotate(app_id, identifier, text)
    return json_answer(hockeyapp_json.annotation(noted))


@_route("/crash_annotations", "DELETE")
@hockeyapp_errors
def delete_annotation(app_id: str, group_id: str, version_id: str | None = None) -> Response:
    """Nothing is noted afterwards, whatever was before."""
    _, _, group = _asked("write", app_id, group_id, version_id)
    services().triage.remove_annotation(app_id, group.group.group_id)
    return json_answer({"status": "success", "crash_annotations": None})


# --- helpers -------------------------------------------------------------


def _asked(
    scope: Scope, app_id: str, group_id: str, version_id: str | None
) -> tuple[Incoming, Version | None, CountedGroup]:
    """The request, the version in its path, and the group."""
    current = routes.current_request
    assert isinstance(current, Request)
    request, _ = authorised(incoming(current), app_id, scope)
    version = None
    if version_id is not None:
        version = services().groups.version(app_id, shape.identifier(version_id))
    return request, version, _group(app_id, shape.identifier(group_id), version)


def _group(app_id: str, group_id: int, version: Version | None) -> CountedGroup:
    if version is None:
        return services().groups.group(app_id, group_id)
    return services().groups.group_in_version(version, group_id)


def _status(request: Incoming) -> int | None:
    text = _stripped(request.parameter("status"))
    if text is None:
        return None
    if text not in _STATUSES:
        raise InvalidRequest({"status": ["must be 0 (open), 1 (resolved) or 2 (ignored)"]})
    return _STATUSES[text]


def _stripped(text: str | None) -> str | None:
    return None if text is None else text.strip()
