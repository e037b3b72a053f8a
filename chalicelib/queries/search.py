"""Search over reports: the interface, and the implementation that scans the by-app index."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Any, Protocol, TypeAlias

from chalicelib import clock, keys
from chalicelib.errors import InvalidRequest
from chalicelib.queries.document import Document, sort_key
from chalicelib.queries.matching import matches
from chalicelib.queries.query import Query, fields_of
from chalicelib.queries.searchable import DocumentReader
from chalicelib.records import StoredReport
from chalicelib.storage.ports import Item, SortRange, Table, query_all
from chalicelib.storage.schema import BY_APP

MAX_RESULTS = 10_000  # from + size: ElasticSearch's result window
DEFAULT_SORT = "date"
_PAGE_SIZE = 1000  # items of a shard that are read ahead
_CHUNK = 500  # reports whose stacks are looked up together
_SPARE = 1000  # reports beyond a window that are kept until the next sorting

_Order: TypeAlias = tuple[Any, ...]
_Kept: TypeAlias = tuple[_Order, Item]


@dataclass(frozen=True, slots=True)
class Found:
    """A part of what a search found, and how much that is in all."""

    entries: tuple[StoredReport, ...]
    total: int


class Search(Protocol):
    """Finds reports by their `date`: from `since` on, before `until`; None is no limit."""

    def matching(
        self,
        app_ids: Sequence[str],
        query: Query | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[StoredReport]:
        """Every report of these apps that matches, newest first; None matches all."""
        ...

    def search(
        self,
        app_ids: Sequence[str],
        query: Query | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        sort: str = DEFAULT_SORT,
        descending: bool = True,
        start: int = 0,
        size: int = 10,
    ) -> Found:
        """`size` of the matching reports from the `start`-th on, and their exact total.

        Sorted by any field, its numbers before its texts; reports without it
        come last, newest first. Raises `InvalidRequest` naming `from` or
        `size` for what is negative or goes beyond `MAX_RESULTS`.
        """
        ...


class ScanSearch:
    """Reads every report of the apps between the two dates, and looks at each."""

    def __init__(self, table: Table, documents: DocumentReader) -> None:
        self._table = table
        self._documents = documents

    def matching(
        self,
        app_ids: Sequence[str],
        query: Query | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[StoredReport]:
        found = self._matching(app_ids, query, since, until)
        return (StoredReport.from_item(item) for item, _ in found)

    def search(
        self,
        app_ids: Sequence[str],
        query: Query | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        sort: str = DEFAULT_SORT,
        descending: bool = True,
        start: int = 0,
        size: int = 10,
    ) -> Found:
        _require_window(start, size)
        by_date = sort == DEFAULT_SORT
        found = self._matching(
            app_ids, query, since, until, sort=sort, descending=descending or not by_date
        )
        end = start + size
        total = 0
        kept: list[_Kept] = []
        for total, (item, document) in enumerate(found, 1):
            if by_date:
                if start < total <= end:
                    kept.append(((), item))
                continue
            kept.append((_order(sort, descending, document), item))
            if len(kept) > 2 * end + _SPARE:
                kept = _best(kept, descending)[:end]
        best = kept if by_date else _best(kept, descending)[start:end]
        return Found(tuple(StoredReport.from_item(item) for _, item in best), total)

    def _matching(
        self,
        app_ids: Sequence[str],
        query: Query | None,
        since: datetime | None,
        until: datetime | None,
        *,
        sort: str = DEFAULT_SORT,
        descending: bool = True,
    ) -> Iterator[tuple[Item, Document]]:
        fields = set(fields_of(query)) if query is not None else set()
        if sort != DEFAULT_SORT:
            fields.add(sort)
        reports = self._between(app_ids, since, until, descending=descending)
        while chunk := list(islice(reports, _CHUNK)):
            for item, document in zip(chunk, self._documents.read(chunk, fields), strict=True):
                if query is None or matches(query, document):
                    yield item, document

    def _between(
        self,
        app_ids: Sequence[str],
        since: datetime | None,
        until: datetime | None,
        *,
        descending: bool,
    ) -> Iterator[Item]:
        """The reports of all shards of all apps, merged."""
        sort = SortRange(
            clock.to_stored(since) if since else None,
            # a place is `DATE#ID`: everything at `until` itself comes behind the bare date
            clock.to_stored(until) if until else None,
        )
        shards = [
            query_all(
                self._table,
                partition,
                index=BY_APP,
                sort=sort,
                descending=descending,
                page_size=_PAGE_SIZE,
            )
            for app_id in dict.fromkeys(app_ids)
            for partition in keys.reports_of_app(app_id)
        ]
        return heapq.merge(*shards, key=_place, reverse=descending)


def _place(item: Item) -> str:
    return str(item["app_sk"])


def _order(sort: str, descending: bool, document: Document) -> _Order:
    """What a report is ordered by: those without the field come last, either way."""
    values = [sort_key(value.text) for value in document.values(sort)]
    if not values:
        return (0,) if descending else (1,)
    return (1, *max(values)) if descending else (0, *min(values))


def _best(kept: list[_Kept], descending: bool) -> list[_Kept]:
    """In order; what is equal stays as it came, newest first."""
    return sorted(kept, key=itemgetter(0), reverse=descending)


def _require_window(start: int, size: int) -> None:
    if start < 0:
        raise InvalidRequest({"from": ["must not be negative"]})
    if size < 0:
        raise InvalidRequest({"size": ["must not be negative"]})
    if start + size > MAX_RESULTS:
        raise InvalidRequest(
            {"from": [f"from and size together must not exceed {MAX_RESULTS}: narrow the dates"]}
        )
