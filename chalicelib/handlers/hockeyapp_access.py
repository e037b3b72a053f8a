"""Who may ask HockeyApp's API for what."""

from __future__ import annotations

from chalicelib.accounts import Scope
from chalicelib.errors import NotFound
from chalicelib.handlers.common import Incoming, services
from chalicelib.records import App


def authorised(request: Incoming, app_id: str, scope: Scope) -> tuple[Incoming, App]:
    """The request and the app, once the token covers `scope` on it.

    A token for another app learns no more than that there is no such app.
    """
    accounts = services().accounts
    known = accounts.authenticate(request.token)
    if known.app_id not in {None, app_id}:
        raise NotFound("app", app_id)
    app = accounts.app(app_id)
    accounts.authorise(request.token, scope, app_id)
    return request, app
