"""PartyCrasher's projects: apps that their first report made, known by their names."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import cast

from chalicelib import clock, keys
from chalicelib.accounts import Accounts
from chalicelib.errors import InvalidRequest, NotFound
from chalicelib.formats.partycrasher_rules import is_clean
from chalicelib.ids import IdSource
from chalicelib.payload import PARTYCRASHER
from chalicelib.records import App
from chalicelib.storage.ports import ConditionFailed, Put, Table, query_all

MAX_NAME_CHARS = 100

# A project's name is the first part of its paths, where these are other things: every door's first
# part, and names that a later page of ours may need.
RESERVED = frozenset({
    "api", "apps", "blobs", "breakpad", "buckets", "compare", "config", "crash_v200.php",
    "crash_v300.php", "dashboard", "docs", "favicon.ico", "groups", "healthz", "login", "logout",
    "metrics", "omaha", "openapi.json", "projects", "report", "reports", "robots.txt", "search",
    "service", "sparkle", "static", "summary", "symbols", "symfiles", "ui", "uploads", "users",
})  # fmt: skip


def check_name(name: str) -> None:
    """Raises `InvalidRequest`, saying why, for a name that no project can have."""
    if not name.strip():
        problem = "must not be empty"
    elif len(name) > MAX_NAME_CHARS:
        problem = f"must not be longer than {MAX_NAME_CHARS} characters"
    elif name.casefold() in RESERVED:
        problem = f"must not be {name!r}: this service has pages of its own below /{name}"
    elif name != name.strip() or not is_clean(name) or set(name) & set("/\\*"):
        problem = "must not hold /, \\, * or control characters, nor begin or end with a space"
    elif set(name) == {"."}:
        problem = "must not be dots only"
    else:
        return
    raise InvalidRequest({"project": [problem]})


class Projects:
    """Finds projects and makes them. None of them is an app that a person made."""

    def __init__(self, table: Table, ids: IdSource, accounts: Accounts) -> None:
        self._table = table
        self._ids = ids
        self._accounts = accounts

    def find(self, name: str) -> App | None:
        if not 0 < len(name) <= MAX_NAME_CHARS or not is_clean(name):
            return None
        item = self._table.get(keys.project(name))
        return self._accounts.find_app(cast(str, item["app_id"])) if item else None

    def project(self, name: str) -> App:
        found = self.find(name)
        if found is None:
            raise NotFound("project", name)
        return found

    def open(self, name: str) -> App:
        """The project of that name, made now if there is none.

        Of two callers at the same moment one makes it, and both get that one.
        Raises `InvalidRequest` for a name that cannot be.
        """
        found = self.find(name)
        if found is not None:
            return found
        check_name(name)
        app = App(
            app_id=secrets.token_hex(16),
            number=self._ids.next(),
            name=name,
            created_at=clock.to_stored(clock.now()),
            made_by=PARTYCRASHER,
            hourly=True,
        )
        place = keys.project(name)
        try:
            self._table.write(
                [
                    Put({"pk": place.pk, "sk": place.sk, "app_id": app.app_id}, if_absent=True),
                    Put(app.item(), if_absent=True),
                    Put(app.directory_item(), if_absent=True),
                    Put(app.number_item(), if_absent=True),
                ]
            )
        except ConditionFailed:
            return self.project(name)
        return app

    def all(self) -> Iterator[App]:
        """Every project, in the order of their names."""
        for item in query_all(self._table, keys.project("").pk):
            yield self._accounts.app(cast(str, item["app_id"]))
