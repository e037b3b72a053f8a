"""Users: people who sign in with an email and a password.

A password is kept as its salted scrypt hash (RFC 7914), with the costs it was
made with, so that later versions may raise them.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, get_args

from chalicelib import clock, keys
from chalicelib.accounts import Accounts
from chalicelib.errors import InvalidRequest, NotFound, TryAgain, Unauthenticated
from chalicelib.records import User
from chalicelib.storage.ports import ConditionFailed, Delete, Put, Table, Update, Value, query_all
from chalicelib.ttl_cache import TtlCache

UserScope: TypeAlias = Literal["read", "write", "admin"]
USER_SCOPES: tuple[UserScope, ...] = get_args(UserScope)

MIN_PASSWORD_CHARS = 8  # NIST SP 800-63B
MAX_PASSWORD_CHARS = 1024  # bounds what is hashed
_MAX_EMAIL_CHARS = 254  # RFC 5321

# OWASP's second least memory-hungry choice: 16 MB for a fifth of a second.
_COST, _BLOCK_SIZE, _PARALLEL = 2**14, 8, 5
_MAX_MEMORY_BYTES = 64 * 1024 * 1024
_SALT_BYTES = 16
_DIGEST_BYTES = 32

_VERIFIED_S = 10.0
_HASHING_AT_ONCE = 2  # in a process: who guesses passwords must not take every processor
_WAITING_AT_MOST = 8  # nor every thread

_NOBODY = User("", "read", "", b"\0" * _SALT_BYTES, b"", _COST, _BLOCK_SIZE, _PARALLEL)


class TooManyLogins(TryAgain):
    """More passwords are being checked than this process has time for; try again."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A token that stands for a user's password until `expires_at`; shown this once."""

    token: str
    expires_at: datetime


class Users:
    """Creates, lists, removes users, checks their passwords and signs them in.

    A sign-in is good for `sign_in_s` seconds.
    """

    def __init__(
        self,
        table: Table,
        accounts: Accounts,
        now: Callable[[], float] | None = None,
        *,
        sign_in_s: int = 2_592_000,
    ) -> None:
        self._table = table
        self._accounts = accounts
        self._sign_in_for = timedelta(seconds=sign_in_s)
        # Marks of passwords that were right a moment ago; made with a key of this process only,
        # so that nothing can be learned from them elsewhere.
        self._mark_key = secrets.token_bytes(32)
        self._verified: TtlCache[bytes, bool] = TtlCache(_VERIFIED_S, now)
        self._waiting = threading.BoundedSemaphore(_WAITING_AT_MOST)
        self._hashing = threading.BoundedSemaphore(_HASHING_AT_ONCE)

    def create(
        self,
        email: str,
        password: str,
        *,
        app_ids: Sequence[str] | None = None,
        scope: str = "write",
    ) -> User:
        """A new user, for these apps or (None) for every app.

        Raises `InvalidRequest` naming what is wrong, or `NotFound` for an app.
        """
        wrong: dict[str, list[str]] = {}
        name = _normalised(email)
        if not _is_email(name):
            wrong["email"] = ["must be an address such as jo@example.com"]
        wrong |= _wrong_with(password)
        if scope not in USER_SCOPES:
            wrong["scope"] = [f"must be one of {', '.join(USER_SCOPES)}"]
        if wrong:
            raise InvalidRequest(wrong)
        apps = None
        if app_ids is not None:
            apps = sorted({self._accounts.app(app_id).app_id for app_id in app_ids})
        named = replace(
            _NOBODY, email=name, scope=scope, created_at=clock.to_stored(clock.now()), app_ids=apps
        )
        user = _with_password(named, password)
        try:
            self._table.write([Put(user.item(), if_absent=True)])
        except ConditionFailed as error:
            raise InvalidRequest({"email": [f"there is a user {name} already"]}) from error
        return user

    def all(self) -> Iterator[User]:
        """Every user, in the order of their addresses."""
        return map(User.from_item, query_all(self._table, keys.user("").pk))

    def find(self, email: str) -> User | None:
        """The user of that address, in whatever case it is written."""
        return self._find(_normalised(email))

    def remove(self, email: str) -> None:
        """Take the user away, at once; raises `NotFound`."""
        name = _normalised(email)
        if self._find(name) is None:
            raise NotFound("user", email)
        self._table.write([Delete(keys.user(name))])

    def change_password(self, email: str, password: str) -> None:
        """From now on that is the password, and who signed in with the old one is signed out.

        Raises `NotFound`, or `InvalidRequest` for what can be no password.
        """
        wrong = _wrong_with(password)
        if wrong:
            raise InvalidRequest(wrong)
        user = self._find(_normalised(email))
        if user is None:
            raise NotFound("user", email)
        changed = _with_password(user, password)
        hashed: dict[str, Value] = {
            "salt": changed.salt,
            "digest": changed.digest,
            "cost": changed.cost,
            "block_size": changed.block_size,
            "parallel": changed.parallel,
        }
        try:
            self._table.write([Update(keys.user(user.email), set=hashed, must_exist=True)])
        except ConditionFailed as error:  # removed at the same moment
            raise NotFound("user", email) from error

    def sign_in(self, email: str, password: str) -> SignedIn:
        """A token for the user, accepted like any other; raises as `authenticate`."""
        user = self.authenticate(email, password)
        until = clock.now() + self._sign_in_for
        return SignedIn(self._accounts.create_sign_in(user, until), until)

    def authenticate(self, email: str, password: str) -> User:
        """The user, if that is the password.

        Raises `Unauthenticated`, in the same time whether or not there is such
        a user, or `TooManyLogins`. A password that was right is known for some
        seconds; the user is read each time.
        """
        user = self._find(_normalised(email)) or _NOBODY
        if len(password) <= MAX_PASSWORD_CHARS and self._is_password(user, password):
            return user
        raise Unauthenticated("Invalid username/password.")

    def _find(self, name: str) -> User | None:
        if not _is_email(name):
            return None
        item = self._table.get(keys.user(name))
        return User.from_item(item) if item else None

    def _is_password(self, user: User, password: str) -> bool:
        mark = hmac.digest(
            self._mark_key, user.salt + user.digest + _bytes(password), hashlib.sha256
        )
        if self._verified.get(mark):
            return True
        with self._turn():
            if self._verified.get(mark):  # the same, asked several times at once
                return True
            made = _scrypt(password, user.salt, user.cost, user.block_size, user.parallel)
        if user is _NOBODY or not hmac.compare_digest(made, user.digest):
            return False
        self._verified.put(mark, True)
        return True

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._waiting.acquire(blocking=False):
            raise TooManyLogins("Request was throttled.")
        try:
            with self._hashing:
                yield
        finally:
            self._waiting.release()


def _normalised(email: str) -> str:
    return email.strip().casefold()


def _is_email(name: str) -> bool:
    local, _, domain = name.partition("@")
    return (
        len(name) <= _MAX_EMAIL_CHARS
        and bool(local and domain)
        and "@" not in domain
        and name.isprintable()
        and " " not in name
    )


def _wrong_with(password: str) -> dict[str, list[str]]:
    if MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS and password.strip():
        return {}
    return {"password": [f"must have {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters"]}


def _with_password(user: User, password: str) -> User:
    """The same user with the password hashed anew, at today's costs."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return replace(
        user,
        salt=salt,
        digest=_scrypt(password, salt, _COST, _BLOCK_SIZE, _PARALLEL),
        cost=_COST,
        block_size=_BLOCK_SIZE,
        parallel=_PARALLEL,
    )


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def _scrypt(password: str, salt: bytes, cost: int, block_size: int, parallel: int) -> bytes:
    return hashlib.scrypt(
        _bytes(password),
        salt=salt,
        n=cost,
        r=block_size,
        p=parallel,
        maxmem=_MAX_MEMORY_BYTES,
        dklen=_DIGEST_BYTES,
    )
