"""What is decided about an app over HTTP: its quota, its retention, its alerts."""

from __future__ import annotations

from typing import Any

from chalice.app import Blueprint, Request, Response

from chalicelib.errors import FormatError, InvalidRequest
from chalicelib.formats import bounded_json
from chalicelib.handlers.common import ANY_TYPE, incoming, json_answer, services
from chalicelib.handlers.hockeyapp_access import authorised
from chalicelib.handlers.hockeyapp_errors import hockeyapp_errors
from chalicelib.policies import told_policy

routes = Blueprint(__name__)

_POLICY = "/api/2/apps/{app_id}/policy"


@routes.route(_POLICY, methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def get_policy(app_id: str) -> Response:
    """What holds for the app, and what of it was decided for this app alone."""
    authorised(incoming(_request(), with_form=False), app_id, "read")
    return _told(app_id)


@routes.route(_POLICY, methods=["PUT"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def put_policy(app_id: str) -> Response:
    """Decides what the body names; null goes back to the service's setting."""
    request, _ = authorised(incoming(_request(), with_form=False), app_id, "admin")
    try:
        changes = bounded_json.read_object(request.body.decode("utf-8", "replace").strip())[0]
    except FormatError as error:
        raise InvalidRequest({"body": [str(error)]}) from error
    services().policies.change(app_id, changes)
    return _told(app_id)


def _told(app_id: str) -> Response:
    policy, decided = services().policies.now(app_id)
    told: dict[str, Any] = {
        "policy": told_policy(policy),
        "decided": sorted(decided),
        "status": "success",
    }
    return json_answer(told)


def _request() -> Request:
    current = routes.current_request
    assert isinstance(current, Request)
    return current
