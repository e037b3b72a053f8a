"""An app's alerts: listed, looked at, acknowledged; and what nobody got of them."""

from __future__ import annotations

from typing import Any

from chalice.app import Blueprint, Request, Response

from chalicelib import clock
from chalicelib.access import Scope
from chalicelib.alerts import alert_json
from chalicelib.alerts.attempts import Attempt
from chalicelib.handlers import hockeyapp_shape as shape
from chalicelib.handlers.common import ANY_TYPE, Incoming, incoming, json_answer, services
from chalicelib.handlers.hockeyapp_access import authorised
from chalicelib.handlers.hockeyapp_errors import hockeyapp_errors
from chalicelib.queries.paging import cut

routes = Blueprint(__name__)

_ALERTS = "/api/2/apps/{app_id}/alerts"
_UNDELIVERED = f"{_ALERTS}/undelivered"
_ALERT = f"{_ALERTS}/{{alert_id}}"


@routes.route(_ALERTS, methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def list_alerts(app_id: str) -> Response:
    """The app's alerts, the newest first: those that are open, or `state=all`."""
    request = _asked(app_id, "read")
    open_only = shape.choice(request, "state", ("open", "all")) == "open"
    listed = services().alerts.list(app_id, open_only=open_only, paging=shape.paging(request))
    alerts = [alert_json.alert(entry) for entry in listed.entries]
    return json_answer(shape.listing(listed, alerts=alerts))


@routes.route(_UNDELIVERED, methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def list_undelivered(app_id: str) -> Response:
    """Notifications that were given up after the last try, with the reason."""
    request = _asked(app_id, "read")
    listed = cut(services().notifier.undelivered(app_id), shape.paging(request))
    told = [_undelivered(entry) for entry in listed.entries]
    return json_answer(shape.listing(listed, undelivered=told))


@routes.route(f"{_UNDELIVERED}/replay", methods=["POST"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def replay_undelivered(app_id: str) -> Response:
    """Try them all again, or with `alert_id` those of one alert."""
    request = _asked(app_id, "write")
    lost = services().notifier.undelivered(app_id)
    wanted = request.parameter("alert_id")
    if wanted:
        lost = [entry for entry in lost if entry.alert_id == shape.identifier(wanted)]
    return json_answer({"replayed": services().notifier.replay(lost), "status": "success"})


@routes.route(_ALERT, methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def get_alert(app_id: str, alert_id: str) -> Response:
    """One alert, open or over."""
    _asked(app_id, "read")
    found = services().alerts.alert(app_id, shape.identifier(alert_id))
    return json_answer({"alert": alert_json.alert(found), "status": "success"})


@routes.route(f"{_ALERT}/acknowledge", methods=["POST"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def acknowledge_alert(app_id: str, alert_id: str) -> Response:
    """Say that somebody looks after it: no more is told of it.

    An alert that tells of a moment (a new group, one that is back) is over with
    that; a spike stays open until it is.
    """
    request = _asked(app_id, "write")
    who = services().accounts.authenticate(request.token).who
    said = services().alerts.acknowledge(app_id, shape.identifier(alert_id), who)
    return json_answer({"alert": alert_json.alert(said), "status": "success"})


def _asked(app_id: str, scope: Scope) -> Incoming:
    current = routes.current_request
    assert isinstance(current, Request)
    request, _ = authorised(incoming(current), app_id, scope)
    return request


def _undelivered(entry: Attempt) -> dict[str, Any]:
    return {
        "alert_id": entry.alert_id,
        "receiver": entry.receiver,
        "tries": entry.tries,
        "tried_at": None if entry.at is None else clock.stored_to_wire(entry.at),
        "problem": entry.problem,
    }
