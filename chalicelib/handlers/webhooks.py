"""Webhooks over HTTP: of an app, and (with a token for every app) of all apps.

Their addresses are often secrets themselves, so reading them takes an admin too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from chalice.app import Blueprint, Request, Response

from chalicelib import clock
from chalicelib.alerts.posting import NotPosted
from chalicelib.alerts.webhooks import Webhook
from chalicelib.errors import FormatError, InvalidRequest, NotFound
from chalicelib.formats import bounded_json
from chalicelib.handlers import hockeyapp_shape as shape
from chalicelib.handlers.common import ANY_TYPE, Incoming, incoming, json_answer, services
from chalicelib.handlers.hockeyapp_errors import hockeyapp_errors
from chalicelib.handlers.public_url import public_url

routes = Blueprint(__name__)

View = TypeVar("View", bound=Callable[..., Response])


def _route(tail: str, method: str) -> Callable[[View], View]:
    """The path below an app, and the one of all apps."""

    def register(view: View) -> View:
        for base in ("/api/2/apps/{app_id}", "/api/2"):
            path = f"{base}/webhooks{tail}"
            routes.route(path, methods=[method], content_types=ANY_TYPE, cors=True)(view)
        return view

    return register


@_route("", "GET")
@hockeyapp_errors
def list_webhooks(app_id: str | None = None) -> Response:
    """The webhooks of the app, or those that are told of every app."""
    _asked(app_id)
    told = [_shaped(webhook) for webhook in services().webhooks.listed(app_id)]
    return json_answer({"webhooks": told, "status": "success"})


@_route("", "POST")
@hockeyapp_errors
def create_webhook(app_id: str | None = None) -> Response:
    """201 with the webhook and, this once, the secret that its posts are signed with."""
    request = _asked(app_id)
    url, kinds, active = _told(request)
    if url is None:
        raise InvalidRequest({"url": ["is required"]})
    more = {} if kinds is None else {"kinds": kinds}
    made = services().webhooks.create(
        url,
        app_id=app_id,
        active=active is not False,
        base_url=public_url(_current(), services().settings.base_url),
        **more,
    )
    secret = services().webhooks.secret(made)
    answer = {"webhook": _shaped(made), "secret": secret, "status": "success"}
    return json_answer(answer, 201)


@_route("/{webhook_id}", "GET")
@hockeyapp_errors
def get_webhook(webhook_id: str, app_id: str | None = None) -> Response:
    """One webhook, and whether what is posted gets there."""
    _asked(app_id)
    return _answer(_found(app_id, webhook_id))


@_route("/{webhook_id}", "PUT")
@hockeyapp_errors
def change_webhook(webhook_id: str, app_id: str | None = None) -> Response:
    """What is not sent stays as it is, the secret too; what has failed so far is forgotten."""
    request = _asked(app_id)
    url, kinds, active = _told(request)
    found = _found(app_id, webhook_id)
    return _answer(services().webhooks.change(found, url=url, kinds=kinds, active=active))


@_route("/{webhook_id}", "DELETE")
@hockeyapp_errors
def delete_webhook(webhook_id: str, app_id: str | None = None) -> Response:
    """It is told of nothing any more, nor of what was under way."""
    _asked(app_id)
    services().webhooks.delete(_found(app_id, webhook_id))
    return json_answer({"status": "success"})


@_route("/{webhook_id}/ping", "POST")
@hockeyapp_errors
def ping_webhook(webhook_id: str, app_id: str | None = None) -> Response:
    """Post a ping at once, also where it is off: 422 tells what came of it if it was no success."""
    _asked(app_id)
    try:
        status = services().notifier.ping(_found(app_id, webhook_id))
    except NotPosted as error:
        raise InvalidRequest({"url": [str(error)]}) from error
    return json_answer({"answered": status, "status": "success"})


# --- helpers -------------------------------------------------------------


def _asked(app_id: str | None) -> Incoming:
    """The request, once its token is an admin's: of the app, or of every app."""
    request = incoming(_current(), with_form=False)
    access = services().accounts.authenticate(request.token)
    if not access.opens(app_id):
        raise NotFound("app", app_id) if app_id else NotFound("webhook", "of every app")
    if app_id is not None:
        services().accounts.app(app_id)
    access.require("admin")
    return request


def _found(app_id: str | None, webhook_id: str) -> Webhook:
    return services().webhooks.webhook(app_id, shape.identifier(webhook_id))


def _told(request: Incoming) -> tuple[str | None, list[str] | None, bool | None]:
    """What the body says, a JSON object: `url`, `kinds`, `active`; None for what it does not."""
    try:
        told = bounded_json.read_object(request.body.decode("utf-8", "replace").strip())[0]
    except FormatError as error:
        raise InvalidRequest({"body": [str(error)]}) from error
    url, kinds, active = (told.get(name) for name in ("url", "kinds", "active"))
    wrong: dict[str, list[str]] = {}
    if not (url is None or isinstance(url, str)):
        wrong["url"] = ["must be text"]
    if not (
        kinds is None or (isinstance(kinds, list) and all(isinstance(kind, str) for kind in kinds))
    ):
        wrong["kinds"] = ["must be a list of texts"]
    if not (active is None or isinstance(active, bool)):
        wrong["active"] = ["must be true or false"]
    if wrong:
        raise InvalidRequest(wrong)
    return url, kinds, active  # type: ignore[return-value]


def _answer(webhook: Webhook) -> Response:
    return json_answer({"webhook": _shaped(webhook), "status": "success"})


def _shaped(webhook: Webhook) -> dict[str, Any]:
    since = webhook.failing_since
    return {
        "id": webhook.webhook_id,
        "public_identifier": webhook.app_id,
        "url": webhook.url,
        "kinds": list(webhook.kinds),
        "active": webhook.active,
        "state": webhook.state,
        "failing_since": None if since is None else clock.stored_to_wire(since),
        "failure": webhook.failure,
        "switched_off": webhook.switched_off,
        "created_at": clock.stored_to_wire(webhook.created_at),
    }


def _current() -> Request:
    current = routes.current_request
    assert isinstance(current, Request)
    return current
