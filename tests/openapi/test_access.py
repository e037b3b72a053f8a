"""Who may ask for what: each route does what the OpenAPI document says of credentials."""

from __future__ import annotations

import pytest

from chalicelib.access import SCOPES, Access
from chalicelib.bootstrap import Services
from chalicelib.errors import Forbidden
from tests.described import DOCUMENT
from tests.infra.test_no_500 import known  # noqa: F401 - a fixture
from tests.wsgi_client import request

_OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
_CLOSED = [
    pytest.param(method, path, *operation["security"][0].values(), id=f"{method} {path}")
    for method, path, operation in _OPERATIONS
    if operation["security"]
    and {} not in operation["security"]
    # It asks the settings first, and they say no to anybody.
    and (method, path) != ("DELETE", "/reports")
]
_OPEN = [
    (method, path) for method, path, operation in _OPERATIONS if operation.get("security") == []
]


def _covers(held: str, asked: str) -> bool:
    try:
        Access(held, None).require(asked)  # type: ignore[arg-type]
    except Forbidden:
        return False
    return True


def _filled(path: str, there: dict[str, str]) -> str:
    for name, value in there.items():
        path = path.replace(f"{{{name}}}", value.split()[0])
    return path


@pytest.mark.parametrize(("method", "path", "scope"), _CLOSED)
def test_it_takes_a_token_of_the_scope_for_the_app(
    services: Services,
    known: dict[str, str],  # noqa: F811
    method: str,
    path: str,
    scope: list[str],
) -> None:
    """401 for none and for a wrong one, 404 for another app's, 403 for too small a scope."""
    asked = _filled(path, known)
    for headers in ({}, {"X-HockeyAppToken": "wrong"}, {"Authorization": "Bearer wrong"}):
        assert request(method, asked, headers=headers).status == 401
    if "{" in path:
        other = services.accounts.create_app("Other", bundle_id="other")
        token = services.accounts.create_token("write", app_id=other.app_id)
        only_refused = "405" in DOCUMENT["paths"][path][method.lower()]["responses"]
        answer = request(method, asked, headers={"X-HockeyAppToken": token})
        assert answer.status == (405 if only_refused else 404)
    (needed,) = scope
    # Whoever may delete comes last, when all others have been refused.
    for held in sorted(SCOPES, key=lambda held: _covers(held, needed)):
        token = services.accounts.create_token(held)
        answer = request(method, asked, headers={"X-HockeyAppToken": token})
        assert (answer.status == 403) is not _covers(held, needed), f"{held}: {answer.status}"
        assert answer.status != 401


def test_what_is_said_to_need_no_credentials_needs_none(
    known: dict[str, str],  # noqa: F811
) -> None:
    assert len(_OPEN) > 20
    for method, path in _OPEN:
        assert request(method, _filled(path, known)).status != 401, f"{method} {path}"
