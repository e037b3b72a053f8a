"""How a caller says who it is, as OpenAPI's security schemes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.access import Scope
from chalicelib.openapi.declared import Security

SCHEMES: Mapping[str, Mapping[str, Any]] = {
    "HockeyAppToken": {
        "type": "apiKey",
        "in": "header",
        "name": "X-HockeyAppToken",
        "description": "`X-HockeyAppToken: TOKEN`",
    },
    "Bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer TOKEN`"},
    "Token": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Authorization: Token TOKEN`, as FollowAnalytics' clients say it",
    },
    "Basic": {
        "type": "http",
        "scheme": "basic",
        "description": "A user's email and password; or a token, as the password or as the name",
    },
    "Key": {
        "type": "apiKey",
        "in": "query",
        "name": "key",
        "description": "`?key=TOKEN`, as Breakpad's `sym_upload -k TOKEN` says it",
    },
}

# The first of each is what the page's examples show.
TOKEN: Security = ("HockeyAppToken", "Bearer", "Token")
TOKEN_OR_BASIC: Security = ("Token", "HockeyAppToken", "Bearer", "Basic")
BASIC_OR_TOKEN: Security = ("Basic", *TOKEN)
TOKEN_OR_KEY: Security = (*TOKEN, "Basic", "Key")
NOBODY: Security = ()
"""None is asked for."""
MAYBE_TOKEN: Security = ("", *TOKEN)
"""By the settings, or by what is asked for, it goes without."""


def requirement(security: Security, scope: Scope | None) -> list[dict[str, list[str]]]:
    """Any one of the schemes, with the scope as the role that is required; none at all for an
    empty list."""
    roles = [scope] if scope else []
    return [{name: list(roles)} if name else {} for name in security]
