"""A person's data over HTTP: what is kept, in one app or in all of them, and its erasure."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from chalice.app import Blueprint, Request, Response

from chalicelib import hockeyapp_json
from chalicelib.access import Scope
from chalicelib.errors import Forbidden, InvalidRequest
from chalicelib.handlers.common import ANY_TYPE, Incoming, incoming, json_answer, services
from chalicelib.handlers.hockeyapp_access import authorised
from chalicelib.handlers.hockeyapp_errors import hockeyapp_errors
from chalicelib.persons import BEHIND_ALL, MAX_PAGE, Wanted, wanted_of
from chalicelib.records import App, StoredReport

routes = Blueprint(__name__)

_OF_APP = "/api/2/apps/{app_id}/persons"
_OF_ALL = "/api/2/persons"
_DEFAULT_PAGE = 25
_APP_ID_CHARS = 32
_APPS_A_REQUEST = 100  # that are looked at for one page of all
_SENT_AT_A_TIME = 16  # tasks: each waits for the queue, and apps may be thousands
_LOOKING_S = 10.0  # then no other app is begun: each may need a few seconds by itself


@routes.route(_OF_APP, methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def find_person(app_id: str) -> Response:
    """A page of what is kept of whom `identifier` names: each crash with all that came with it."""
    request, app = authorised(_incoming(), app_id, "read")
    wanted = _wanted(request, app.app_id)
    inside = services().persons
    found = inside.find(wanted, _limit(request), request.parameter("after") or None)
    letters = [] if request.parameter("after") else inside.dead_letters(wanted)
    return json_answer(
        {
            "crashes": [_told(report) for report in found.entries],
            "dead_letters": [letter.report_id for letter in letters],
            "after": found.after,
            "status": "success",
        }
    )


@routes.route(_OF_APP, methods=["DELETE"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def erase_person(app_id: str) -> Response:
    """All of it goes; 202 where there is more than a request has time for."""
    request, app = authorised(_incoming(), app_id, "admin")
    erased = services().persons.erase(_wanted(request, app.app_id))
    told = {"erased": erased.crashes, "status": "success" if erased.is_done else "queued"}
    return json_answer(told, 200 if erased.is_done else 202)


@routes.route(_OF_ALL, methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def find_person_everywhere() -> Response:
    """The same over all apps, with the account of that email, for who may see all apps."""
    request = _for_all("read")
    of_all = _wanted(request, "")
    at, _, after = (request.parameter("after") or "").partition("|")
    if len(at) > _APP_ID_CHARS:
        raise InvalidRequest({"after": ["is not where a page ended"]})
    limit = _limit(request)
    until = time.monotonic() + _LOOKING_S
    told: list[dict[str, Any]] = []
    going_on: str | None = None
    for looked_at, app in enumerate(_from(at), start=1):
        wanted = _wanted(request, app.app_id)
        found = services().persons.find(
            wanted, limit - len(told), after or None if app.app_id == at else None
        )
        told += [_told(report) for report in found.entries]
        # The first one may have been looked at before.
        is_late = looked_at == _APPS_A_REQUEST or (looked_at > 1 and time.monotonic() > until)
        if found.after is not None or len(told) == limit or is_late:
            going_on = f"{app.app_id}|{found.after or BEHIND_ALL}"
            break
    account = services().users.find(of_all.identifier)
    letters = [] if at else services().persons.dead_letters(of_all)
    return json_answer(
        {
            "crashes": told,
            "dead_letters": [letter.report_id for letter in letters],
            "account": {"email": account.email, "scope": account.scope} if account else None,
            "after": going_on,
            "status": "success",
        }
    )


@routes.route(_OF_ALL, methods=["DELETE"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def erase_person_everywhere() -> Response:
    """202: a task for each app; the account of that email goes at once."""
    request = _for_all("admin")
    identifier = _wanted(request, "").identifier
    inside = services()
    wanted = (_wanted(request, app.app_id) for app in inside.accounts.apps())
    with ThreadPoolExecutor(_SENT_AT_A_TIME) as pool:
        apps = len(list(pool.map(inside.persons.erase_later, wanted)))
    account = services().users.find(identifier)
    if account is not None:
        services().users.remove(account.email)
    return json_answer({"apps": apps, "account": account is not None, "status": "queued"}, 202)


def _from(app_id: str) -> Iterator[App]:
    """The apps behind an app, and that one before them."""
    if app_id:
        known = services().accounts.find_app(app_id)
        if known is not None:
            yield known
    yield from services().accounts.apps(after=app_id)


def _told(report: StoredReport) -> dict[str, Any]:
    kept = services().persons.kept_of(report)
    return {"app_id": report.app_id, "crash": hockeyapp_json.crash(report), **kept}


def _for_all(scope: Scope) -> Incoming:
    request = _incoming()
    access = services().accounts.authenticate(request.token)
    access.require(scope)
    if not access.opens(None):
        raise Forbidden("these credentials are for some apps: ask for one of them")
    return request


def _wanted(request: Incoming, app_id: str) -> Wanted:
    return wanted_of(app_id, request.parameter("identifier"), request.parameter("in"))


def _limit(request: Incoming) -> int:
    text = (request.parameter("per_page") or str(_DEFAULT_PAGE)).strip()
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= MAX_PAGE):
        raise InvalidRequest({"per_page": [f"must be a number from 1 to {MAX_PAGE}"]})
    return int(text)


def _incoming() -> Incoming:
    request = routes.current_request
    assert isinstance(request, Request)
    return incoming(request)
