"""Claim the ids that clients gave to their reports, before anything relies on a report.

Of two reports with one id at the same moment, the one that comes second must
not even reach bucketing: it would bring a stack there that no report has.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from chalicelib.records import Alias
from chalicelib.storage.ports import (
    MAX_BATCH_ITEMS,
    ConditionFailed,
    Conflict,
    Delete,
    Key,
    Put,
    Table,
    get_all,
)

_MAX_ATTEMPTS = 20  # each failure means that another worker claimed one of the same ids


def claim(table: Table, wanted: Iterable[Alias]) -> set[int]:
    """The reports whose id another report has; the ids of all others are theirs for good.

    Claiming twice for one report is as good as once: a report that was not
    stored after its claim, as its worker died, is processed again.
    """
    refused: set[int] = set()
    first: dict[Key, Alias] = {}
    for alias in wanted:
        if first.setdefault(alias.key(), alias).report_id != alias.report_id:
            refused.add(alias.report_id)
    places = list(first)
    for start in range(0, len(places), MAX_BATCH_ITEMS):
        part = {place: first[place] for place in places[start : start + MAX_BATCH_ITEMS]}
        refused |= _claim(table, part)
    return refused


def release(table: Table, alias: Alias) -> None:
    """Give an id free that a report has claimed which was deleted meanwhile."""
    with suppress(ConditionFailed):
        table.write([Delete(alias.key(), require={"report_id": alias.report_id})])


def _claim(table: Table, part: dict[Key, Alias]) -> set[int]:
    for _ in range(_MAX_ATTEMPTS):
        owners = {place: Alias.from_item(item) for place, item in get_all(table, part).items()}
        free = [alias for place, alias in part.items() if place not in owners]
        try:
            if free:
                table.write([Put(alias.item(), if_absent=True) for alias in free])
        except ConditionFailed:
            continue
        return {
            part[place].report_id
            for place, owner in owners.items()
            if owner.report_id != part[place].report_id
        }
    raise Conflict("others claim the same ids all the time")
