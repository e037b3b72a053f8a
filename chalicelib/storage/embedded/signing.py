"""Signed links of the embedded server: HMAC-SHA256 with a secret of the data folder."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from chalicelib.storage.ports import InvalidSignature

_SECRET_BYTES = 32


class Signer:
    """Signs a purpose with its fields until a moment, and checks what comes back."""

    def __init__(self, secret: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock

    def signed(
        self, purpose: str, fields: Mapping[str, str], *, expires_in_s: int
    ) -> dict[str, str]:
        """The fields with `expires` (seconds since 1970) and `signature` added."""
        covered = {**fields, "expires": str(int(self._clock()) + expires_in_s)}
        return {**covered, "signature": self._signature(purpose, covered)}

    def checked(
        self, purpose: str, fields: Mapping[str, str], names: tuple[str, ...]
    ) -> dict[str, str]:
        """The named fields, once they are proven; `InvalidSignature` otherwise.

        Fields that were not signed (a form may carry more) are left out.
        """
        covered = {name: fields[name] for name in (*names, "expires") if name in fields}
        given = fields.get("signature", "")
        expected = self._signature(purpose, covered)
        if not hmac.compare_digest(given.encode(errors="replace"), expected.encode()):
            raise InvalidSignature("the link was changed")
        if int(covered["expires"]) <= self._clock():
            raise InvalidSignature("the link has expired")
        return covered

    def _signature(self, purpose: str, fields: Mapping[str, str]) -> str:
        text = json.dumps([purpose, *sorted(fields.items())])
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


def kept_secret(path: Path) -> bytes:
    """The secret in the file, which only its owner can read; made at first use.

    Processes that start at once agree: a link to a finished file either is
    the first or fails.
    """
    with suppress(FileNotFoundError):
        return path.read_bytes()
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    return path.read_bytes()
