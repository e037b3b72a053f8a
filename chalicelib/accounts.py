"""Apps and the tokens that open them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import cast

from chalicelib import clock, keys
from chalicelib.access import SCOPES, Access
from chalicelib.errors import InvalidRequest, NotFound, Unauthenticated
from chalicelib.ids import IdSource
from chalicelib.omaha_ids import MAX_CHARS, omaha_id_put
from chalicelib.records import App, SignIn, Token, User
from chalicelib.storage.ports import (
    ConditionFailed,
    Delete,
    Item,
    Put,
    SortRange,
    Table,
    Update,
    query_all,
)
from chalicelib.ttl_cache import TtlCache

PLATFORMS = ("Android", "iOS", "Mac OS", "Windows", "Windows Phone", "Linux", "Custom")

_LOOKUP_CHARS = 8  # of the token, to find its hash; the other 24 stay secret
_KNOWN_APP_S = 5.0  # how long a process may go on with an app as it was


class Accounts:
    """Creates and finds apps and tokens, those of users who signed in too."""

    def __init__(self, table: Table, ids: IdSource, now: Callable[[], float] | None = None) -> None:
        self._table = table
        self._ids = ids
        self._apps: TtlCache[str, App] = TtlCache(_KNOWN_APP_S, now)
        self._bundles: TtlCache[str, tuple[App, ...]] = TtlCache(_KNOWN_APP_S, now)

    # --- apps ---

    def create_app(
        self,
        name: str,
        *,
        bundle_id: str | None = None,
        platform: str = "Custom",
        omaha_id: str | None = None,
    ) -> App:
        """A new app. Raises `InvalidRequest`, also for an `omaha_id` that another app has."""
        if not name.strip():
            raise InvalidRequest({"name": ["must not be empty"]})
        if omaha_id is not None and not 0 < len(omaha_id.strip()) <= MAX_CHARS:
            raise InvalidRequest({"omaha_id": [f"must have 1 to {MAX_CHARS} characters"]})
        if platform not in PLATFORMS:
            raise InvalidRequest({"platform": [f"must be one of {', '.join(PLATFORMS)}"]})
        app = App(
            app_id=secrets.token_hex(16),
            number=self._ids.next(),
            name=name.strip(),
            created_at=clock.to_stored(clock.now()),
            bundle_id=bundle_id or None,
            platform=platform,
            omaha_id=omaha_id.strip() if omaha_id else None,
            hourly=True,
        )
        puts = [
            Put(app.item(), if_absent=True),
            Put(app.directory_item(), if_absent=True),
            Put(app.number_item(), if_absent=True),
        ]
        if bundle_id:
            place = keys.bundle_entry(bundle_id, app.app_id)
            puts.append(Put({"pk": place.pk, "sk": place.sk}))
        if omaha_id:
            puts.append(omaha_id_put(omaha_id.strip(), app.app_id))
        try:
            self._table.write(puts)
        except ConditionFailed as error:
            raise InvalidRequest({"omaha_id": ["another app has it already"]}) from error
        return app

    def find_app(self, app_id: str) -> App | None:
        known = self._apps.get(app_id)
        if known is None:
            item = self._table.get(keys.app(app_id))
            if item is None:
                return None
            known = App.from_item(item)
            self._apps.put(app_id, known)
        return known

    def forget_app(self, app_id: str) -> None:
        """Read the app anew when it is asked for next: it has changed."""
        self._apps.forget(app_id)

    def refuse_until(self, app_id: str, until: str) -> None:
        """Take no crashes of the app before that time (as stored); other processes know it when
        they read the app again, some seconds later."""
        app = self.find_app(app_id)
        if app is not None and app.refused_until != until:
            self._apps.put(app_id, replace(app, refused_until=until))
            change = Update(keys.app(app_id), set={"refused_until": until}, must_exist=True)
            with suppress(ConditionFailed):  # erased just now
                self._table.write([change])

    def app(self, app_id: str) -> App:
        found = self.find_app(app_id)
        if found is None:
            raise NotFound("app", app_id)
        return found

    def app_of_number(self, text: str) -> App | None:
        """The app whose number a text is; None for any other text."""
        if not (text.isascii() and text.isdigit() and len(text) <= 16):
            return None
        item = self._table.get(keys.app_number(int(text)))
        return self.find_app(cast(str, item["app_id"])) if item else None

    def apps(self, *, after: str = "") -> Iterator[App]:
        """Every app, in the order of their ids; those behind the id `after`."""
        behind = SortRange(low=f"{after}\0" if after else None)
        items = query_all(self._table, keys.apps_entry("").pk, sort=behind)
        return map(App.from_item, items)

    def apps_with_bundle(self, bundle_id: str) -> tuple[App, ...]:
        """The apps registered under a bundle identifier, usually one."""
        known = self._bundles.get(bundle_id)
        if known is None:
            entries = query_all(self._table, keys.bundle_entry(bundle_id, "").pk)
            known = tuple(self.app(cast(str, entry["sk"])) for entry in entries)
            if known:
                self._bundles.put(bundle_id, known)
        return known

    # --- tokens ---

    def create_token(
        self, scope: str, *, app_id: str | None = None, name: str | None = None
    ) -> str:
        """A new token of 32 hex digits, shown this once; without `app_id` it is for every app."""
        if scope not in SCOPES:
            raise InvalidRequest({"scope": [f"must be one of {', '.join(SCOPES)}"]})
        if app_id is not None:
            self.app(app_id)
        token = secrets.token_hex(16)
        stored = Token(
            digest=_digest(token),
            scope=scope,
            created_at=clock.to_stored(clock.now()),
            app_id=app_id,
            name=name,
        )
        self._table.write([Put(stored.item(token[:_LOOKUP_CHARS]), if_absent=True)])
        return token

    def create_sign_in(self, user: User, until: datetime) -> str:
        """A token that opens what the user may see, as `create_token` makes them."""
        token = secrets.token_hex(16)
        stored = SignIn(
            digest=_digest(token),
            email=user.email,
            mark=user.mark,
            created_at=clock.to_stored(clock.now()),
            expires_at=int(until.timestamp()),
        )
        self._table.write([Put(stored.item(token[:_LOOKUP_CHARS]), if_absent=True)])
        return token

    def revoke_token(self, token: str) -> None:
        self._table.write([Delete(keys.token(token[:_LOOKUP_CHARS], _digest(token)))])

    def authenticate(self, token: str | None) -> Access:
        """What a token opens; raises `Unauthenticated` for none, or one that is no good.

        A token of a user who signed in opens what the user may see now.
        """
        if token:
            digest = _digest(token)
            lookup = keys.token(token[:_LOOKUP_CHARS], "").pk
            for item in query_all(self._table, lookup):
                if hmac.compare_digest(cast(str, item["digest"]), digest):
                    return self._opened_by(item)
        raise Unauthenticated("api token invalid")

    def _opened_by(self, token: Item) -> Access:
        if "email" not in token:
            return Access.of_token(Token.from_item(token))
        sign_in = SignIn.from_item(token)
        item = self._table.get(keys.user(sign_in.email))
        user = User.from_item(item) if item else None
        if user is None or not hmac.compare_digest(user.mark, sign_in.mark):
            raise Unauthenticated("api token invalid")
        return Access.of_user(user)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
