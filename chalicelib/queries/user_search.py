"""The crashes of one user, by what identifies them: their id, or how to reach them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from chalicelib import keys
from chalicelib.described import MAX_NAME_CHARS
from chalicelib.errors import InvalidRequest
from chalicelib.queries.paging import Listing, Paging, cut
from chalicelib.queries.query import And, Or, Query, Wildcard, Word
from chalicelib.queries.search import Search
from chalicelib.records import StoredReport
from chalicelib.storage.ports import Table, get_all, query_all
from chalicelib.storage.schema import BY_USER

MAX_CHARS = 1000  # of what is looked for; an identifier has at most 255
_MAX_WILDCARD_CHARS = 128  # as in a search
_FIELDS = ("user", "contact")


class UserSearch:
    """Finds crashes by the user or the contact that their client sent with them."""

    def __init__(self, table: Table, search: Search) -> None:
        self._table = table
        self._search = search

    def find(
        self, app_id: str, text: str, paging: Paging, version_id: int | None = None
    ) -> Listing[StoredReport]:
        """A page of the app's crashes, newest first; of one version where that is given.

        Those whose user or contact is just this text: that reads all crashes
        of this one user, and no others. Where the app has none, those whose
        user or contact has its words in it (`*` and `?` are wildcards): that
        is a search over every crash of the app. Raises `InvalidRequest`.
        """
        text = text.strip()
        if not text:
            raise InvalidRequest({"query": ["is required: a user's id or contact"]})
        if len(text) > MAX_CHARS:
            raise InvalidRequest({"query": [f"must not be longer than {MAX_CHARS} characters"]})
        exact = list(self._exact(app_id, text[:MAX_NAME_CHARS]))
        if exact:
            ours = (r for r in exact if version_id in {None, r.version_id})
            newest_first = sorted(ours, key=lambda r: (r.date, r.report_id), reverse=True)
            return cut(newest_first, paging)
        found = self._search.search(
            [app_id], _query(text, version_id), start=paging.start, size=paging.per_page
        )
        return Listing(found.entries, found.total, paging)

    def _exact(self, app_id: str, identifier: str) -> Iterator[StoredReport]:
        for partition in keys.reports_of_user(app_id, identifier):
            yield from map(StoredReport.from_item, query_all(self._table, partition, index=BY_USER))
        ids = (
            cast(int, entry["report_id"])
            for partition in keys.reports_of_contact(app_id, identifier)
            for entry in query_all(self._table, partition)
        )
        for item in get_all(self._table, map(keys.report, ids)).values():
            report = StoredReport.at(item)
            if report is not None:
                yield report


def _query(text: str, version_id: int | None) -> Query:
    is_wildcard = set(text) & {"*", "?"} and len(text) <= _MAX_WILDCARD_CHARS
    kind = Wildcard if is_wildcard else Word
    named: Query = Or(tuple(kind(text, field) for field in _FIELDS))
    return named if version_id is None else And((named, Word(str(version_id), "version_id")))
