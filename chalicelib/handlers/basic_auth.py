"""Who asks, by HTTP Basic (RFC 7617) or by a token as at every door."""

from __future__ import annotations

import base64
import binascii
import re

from chalicelib.access import Access
from chalicelib.errors import Unauthenticated
from chalicelib.handlers.common import Incoming, services

_MAX_CREDENTIALS_CHARS = 4000  # base64 of the longest email and password, and more
_TOKEN = re.compile(r"[0-9a-f]{32}")  # as `Accounts.create_token` makes them


def access_of(request: Incoming) -> Access:
    """What the caller may do.

    Basic takes a user's email and password; or a token, as the password with
    any user name, or as the user name. Raises `Unauthenticated` or
    `TooManyLogins`.
    """
    token = request.token
    if token is not None:
        return services().accounts.authenticate(token)
    kind, _, encoded = request.header("authorization").partition(" ")
    if kind.lower() != "basic":
        raise Unauthenticated("Authentication credentials were not provided.")
    name, password = _credentials(encoded.strip())
    for candidate in (password, name):
        if _TOKEN.fullmatch(candidate):
            try:
                return services().accounts.authenticate(candidate)
            except Unauthenticated:  # a password may look like a token
                continue
    return Access.of_user(services().users.authenticate(name, password))


def _credentials(encoded: str) -> tuple[str, str]:
    """User name and password; UTF-8, as Latin-1 where it is not."""
    if not encoded:
        raise Unauthenticated("Invalid basic header. No credentials provided.")
    try:
        decoded = base64.b64decode(encoded[:_MAX_CREDENTIALS_CHARS], validate=True)
    except (binascii.Error, ValueError) as error:
        told = "Invalid basic header. Credentials not correctly base64 encoded."
        raise Unauthenticated(told) from error
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        text = decoded.decode("latin-1")
    name, _, password = text.partition(":")
    return name, password
