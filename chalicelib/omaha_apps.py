"""The apps that omaha-server's clients report to, made for the first report where need be.

A report needs no credentials, so anybody may have apps made: up to a number,
which bounds what every list of apps costs. Reports of later unknown ids are
taken all the same, into the one app of the clients that name none.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import cast

from chalicelib import clock, keys
from chalicelib.accounts import Accounts
from chalicelib.ids import IdSource
from chalicelib.omaha_ids import app_with_omaha_id, omaha_id_put
from chalicelib.payload import OMAHA
from chalicelib.records import App
from chalicelib.storage.ports import ConditionFailed, Put, Table, Update
from chalicelib.ttl_cache import TtlCache

_KNOWN_S = 5.0  # as long as an app itself is known (accounts.py)
_NAMELESS = "omaha (no appid)"  # of clients that name no app, which omaha-server took too


class OmahaApps:
    """Finds apps by what clients send as `appid`: an app's own id, or its `omaha_id`."""

    def __init__(
        self,
        table: Table,
        ids: IdSource,
        accounts: Accounts,
        *,
        max_made: int,
        now: Callable[[], float] | None = None,
    ) -> None:
        """`max_made` bounds the apps that are made here."""
        self._table = table
        self._ids = ids
        self._accounts = accounts
        self._max_made = max_made
        self._known: TtlCache[str, str] = TtlCache(_KNOWN_S, now)

    def find(self, appid: str) -> App | None:
        app_id = self._known.get(appid)
        if app_id is None:
            app_id = app_with_omaha_id(self._table, appid) or appid.lower()
        app = self._accounts.find_app(app_id)
        if app is not None:
            self._known.put(appid, app_id)
        return app

    def open(self, appid: str) -> App:
        """The app, made now if there is none; one for all when enough were made.

        Of two callers at the same moment one makes it, and both get that one.
        """
        found = self.find(appid)
        if found is not None:
            return found
        if appid and self._made() >= self._max_made:
            return self.open("")
        app = App(
            app_id=secrets.token_hex(16),
            number=self._ids.next(),
            name=appid or _NAMELESS,
            created_at=clock.to_stored(clock.now()),
            made_by=OMAHA,
            omaha_id=appid or None,
            hourly=True,
        )
        try:
            self._table.write(
                [
                    omaha_id_put(appid, app.app_id),
                    Put(app.item(), if_absent=True),
                    Put(app.directory_item(), if_absent=True),
                    Put(app.number_item(), if_absent=True),
                    Update(keys.omaha_apps_made(), add={"apps": 1}),
                ]
            )
        except ConditionFailed:
            made = self.find(appid)
            if made is None:
                raise
            return made
        return app

    def _made(self) -> int:
        item = self._table.get(keys.omaha_apps_made())
        return cast(int, item["apps"]) if item else 0
