"""Who may ask HockeyApp's API for what."""

from __future__ import annotations

from chalicelib.access import Scope
from chalicelib.errors import NotFound
from chalicelib.handlers.common import Incoming, services
from chalicelib.records import App


def authorised(request: Incoming, app_id: str, scope: Scope) -> tuple[Incoming, App]:
    """The request and the app, once the token covers `scope` on it.

    A token for another app learns no more than that there is no such app.
    """
    accounts = services().accounts
    access = accounts.authenticate(request.token)
    if not access.opens(app_id):
        raise NotFound("app", app_id)
    app = accounts.app(app_id)
    access.require(scope)
    return request, app
