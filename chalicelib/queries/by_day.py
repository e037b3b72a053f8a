"""Where a page of a long list of reports begins, told by how many each day has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from chalicelib import keys
from chalicelib.deltas import Row
from chalicelib.storage.ports import SortRange, Table, query_all


@dataclass(frozen=True, slots=True)
class Beginning:
    """The day (`YYYY-MM-DD`) that a page begins on, and how many of its reports come before."""

    day: str
    skipped: int


def reports_by_day(table: Table, partition: str, pending: Iterable[Row]) -> Counter[str]:
    """Of an app, a version or a group; exact, as every count: what is folded, and what is not.

    Those that are counted and not kept are in no list, so they are left out here.
    """
    days = Counter[str]()
    months = SortRange.beginning_with(keys.days("", "").sk)
    for item in query_all(table, partition, sort=months):
        month = cast(str, item["sk"]).partition("#")[2]
        for name, count in item.items():
            if name[0] in "ds" and name[1:].isdigit():
                days[f"{month}-{name[1:]}"] += cast(int, count) * (1 if name[0] == "d" else -1)
    for row in pending:
        days[row.day] += row.reports - row.sampled
    return +days


def beginning(days: Mapping[str, int], start: int, *, newest_first: bool) -> Beginning | None:
    """Where the list's place `start` (from 0) is; None behind its end."""
    before = 0
    for day in sorted(days, reverse=newest_first):
        if before + days[day] > start:
            return Beginning(day, start - before)
        before += days[day]
    return None
