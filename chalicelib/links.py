"""Signed links to what this service itself serves, the same on every store.

A link is a path with `expires` (seconds since 1970) and `signature`: whoever
has it may get what is there until then, without credentials. The secret is an
item of the table, made once.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import cast
from urllib.parse import urlencode

from chalicelib import keys
from chalicelib.storage.ports import ConditionFailed, InvalidSignature, Put, Table

_SECRET_BYTES = 32
_MAX_EXPIRES_CHARS = 12


class Links:
    """Signs paths, and checks what comes back."""

    def __init__(self, table: Table, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._clock = clock
        self._known_secret: bytes | None = None

    def signed(self, path: str, *, expires_in_s: int) -> str:
        """The path with the query that opens it; `path` begins with a slash and has no query."""
        return self.signed_until(path, int(self._clock()) + expires_in_s)

    def signed_until(self, path: str, moment: int) -> str:
        """The same, good until a moment in seconds since 1970."""
        expires = str(moment)
        query = urlencode({"expires": expires, "signature": self._signature(path, expires)})
        return f"{path}?{query}"

    def check(self, path: str, query: Mapping[str, str]) -> None:
        """Raises `InvalidSignature` unless the query opens the path now."""
        expires = query.get("expires", "")[: _MAX_EXPIRES_CHARS + 1]
        given = query.get("signature", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, self._signature(path, expires).encode()):
            raise InvalidSignature("the link was changed")
        if int(expires) <= self._clock():
            raise InvalidSignature("the link has expired")

    def _signature(self, path: str, expires: str) -> str:
        text = json.dumps([path, expires])
        return hmac.new(self._secret(), text.encode(), hashlib.sha256).hexdigest()

    def _secret(self) -> bytes:
        if self._known_secret is None:
            self._known_secret = self._kept_secret()
        return self._known_secret

    def _kept_secret(self) -> bytes:
        """The secret of this table; of processes that start at once the first one makes it."""
        place = keys.link_secret()
        item = self._table.get(place)
        if item is None:
            made = secrets.token_bytes(_SECRET_BYTES)
            with suppress(ConditionFailed):
                self._table.write(
                    [Put({"pk": place.pk, "sk": place.sk, "secret": made}, if_absent=True)]
                )
            item = self._table.get(place)
            assert item is not None
        return cast(bytes, item["secret"])
