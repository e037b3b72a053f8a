"""Groups of an app or of a version in one of their orders, and a page of them.

Each order is an index that folding keeps, over shards that are merged, so a
page costs what it shows and what lies before it, from whichever end is nearer.
What is still pending is few groups: their counts are made exact and they are
merged in where they belong.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeAlias, cast

from chalicelib import keys
from chalicelib.group_places import listed, places
from chalicelib.queries.paging import Paging
from chalicelib.storage.ports import Index, Item, SortRange, Table, query_all
from chalicelib.storage.schema import BY_APP, BY_GROUP, BY_USER

Sort: TypeAlias = Literal["date", "class", "number_of_crashes", "last_crash_at"]

_INDEXES: Mapping[Sort, Index] = {
    "date": BY_APP,
    "number_of_crashes": BY_GROUP,
    "last_crash_at": BY_USER,
}
_MAX_PAGE = 1000  # items of one query
_Entry: TypeAlias = tuple[str, int, Item | None]  # sort key, group, what the index has of it


@dataclass(frozen=True, slots=True)
class Span:
    """The crashes of a group, of all versions or of one: how many, the first and the last."""

    total: int
    first_at: str
    last_at: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose groups: `owner` names the orders of an app or of a version; `app_id` the app, which
    alone keeps an order by class."""

    app_id: str
    owner: str | int


def of_app(app_id: str) -> Owner:
    return Owner(app_id, app_id)


def of_version(app_id: str, version_id: int) -> Owner:
    return Owner(app_id, version_id)


@dataclass(frozen=True, slots=True)
class Page:
    """The ids of a page's groups in order, with the index's item where one was read, and how many
    groups there are in all."""

    entries: tuple[tuple[int, Item | None], ...]
    total: int


class GroupOrder:
    """Reads the orders."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def page(
        self,
        owner: Owner,
        known: int,
        pending: Mapping[int, Span],
        sort: Sort,
        descending: bool,
        paging: Paging,
        without: Collection[int] = (),
    ) -> Page:
        """A page of the groups that have crashes.

        `known` is how many groups the owner's orders have, `pending` those
        whose counts are not folded yet, as they really are; `without` are some
        of the owner's groups, to be left out.
        """
        empty = self._empty(owner) - pending.keys()
        empty |= {group_id for group_id, span in pending.items() if not span.total}
        empty.update(without)
        total = known - len(empty)
        start, end = paging.start, min(paging.end, total)
        if start >= end:
            return Page((), total)
        from_behind = start > total - end  # the other end is nearer
        if from_behind:
            start, end, descending = total - end, total - start, not descending
        page_size = end + len(pending) + len(empty)
        stream = self._stream(owner, pending, sort, descending, page_size)
        entries = islice((entry for entry in stream if entry[0] not in empty), start, end)
        ordered = tuple(entries)
        return Page(ordered[::-1] if from_behind else ordered, total)

    def nameless(self, app_id: str) -> set[int]:
        """The app's groups that symbols have not named; reads those that have no class."""
        place = keys.group_by_class(app_id, "", 0)
        no_class = SortRange.beginning_with(place.sk.partition("0")[0])
        classless = query_all(self._table, place.pk, sort=no_class)
        return {cast(int, item["group_id"]) for item in classless if "nameless" in item}

    def _empty(self, owner: Owner) -> set[int]:
        """Groups without crashes: their reports have moved, and they are about to go."""
        partition = keys.groups_without_crashes(owner.owner)
        items = query_all(self._table, partition, index=BY_GROUP)
        return {cast(int, item["group_id"]) for item in items}

    def _stream(
        self,
        owner: Owner,
        pending: Mapping[int, Span],
        sort: Sort,
        descending: bool,
        page_size: int,
    ) -> Iterator[tuple[int, Item | None]]:
        if sort == "class":
            return self._by_class(owner, pending, descending, page_size)
        index = _INDEXES[sort]
        partitions = {
            BY_APP: keys.groups_by_first,
            BY_GROUP: keys.groups_by_total,
            BY_USER: keys.groups_by_last,
        }[index](owner.owner)
        name = index.sk_attribute
        stored = (
            self._stored(partition, index, pending, descending, _part(page_size, len(partitions)))
            for partition in partitions
        )
        moved: list[_Entry] = sorted(
            (
                (
                    str(places(owner.owner, i, span.first_at, span.total, span.last_at)[name]),
                    i,
                    None,
                )
                for i, span in pending.items()
            ),
            reverse=descending,
        )
        merged = heapq.merge(moved, *stored, key=lambda entry: entry[0], reverse=descending)
        return ((group_id, item) for _, group_id, item in merged)

    def _stored(
        self,
        partition: str,
        index: Index,
        pending: Collection[int],
        descending: bool,
        page_size: int,
    ) -> Iterator[_Entry]:
        """Those of one shard whose counts are folded."""
        for item in query_all(
            self._table, partition, index=index, descending=descending, page_size=page_size
        ):
            group_id = cast(int, item["group_id"])
            if group_id not in pending:
                yield cast(str, item[index.sk_attribute]), group_id, item

    def _by_class(
        self, owner: Owner, pending: Iterable[int], descending: bool, page_size: int
    ) -> Iterator[tuple[int, Item | None]]:
        """The app keeps this order; a version's groups are picked out of it, so that reads as
        much as the app and the version have groups."""
        partition = keys.group_by_class(owner.app_id, "", 0).pk
        classes = query_all(
            self._table, partition, descending=descending, page_size=min(_MAX_PAGE, page_size)
        )
        ids = (cast(int, item["group_id"]) for item in classes)
        if owner.owner == owner.app_id:
            return ((group_id, None) for group_id in ids)
        parts = listed(self._table, owner.owner)
        ours = {cast(int, part["group_id"]) for part in parts} | set(pending)
        return ((group_id, None) for group_id in ids if group_id in ours)


def _part(page_size: int, shards: int) -> int:
    """How many items to read at once of each shard: what chance lets most shards have of a page."""
    mean = -(-page_size // shards)
    return min(_MAX_PAGE, mean + math.isqrt(mean) + 1)
