"""Symbol files of several scopes as one list, newest first."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import islice
from typing import cast

from chalicelib import keys
from chalicelib.queries.paging import Listing, Paging
from chalicelib.records import SymbolFile
from chalicelib.storage.ports import SortRange, Table, get_all, query_all

_FILES = SortRange("0", "9" * 16)  # of a scope, without its totals
_MAX_PAGE = 1000  # items of one query


class SymbolLists:
    """Lists what `Symbols` keeps; a scope is an app's id, or `shared`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def newest_first(self, scopes: Sequence[str], paging: Paging) -> Listing[SymbolFile]:
        """A page of the files, and how many there are."""
        totals = get_all(self._table, map(keys.symbol_totals, scopes)).values()
        total = sum(cast(int, item["files"]) for item in totals)
        filled = [cast(str, item["pk"]) for item in totals if item["files"]]
        merged = heapq.merge(
            *(
                query_all(
                    self._table,
                    partition,
                    sort=_FILES,
                    descending=True,
                    page_size=min(_MAX_PAGE, paging.end),
                )
                for partition in filled
            ),
            key=lambda item: str(item["sk"]),
            reverse=True,
        )
        found = islice(merged, paging.start, paging.end)
        return Listing(tuple(map(SymbolFile.from_item, found)), total, paging)
