"""Deltas: what a batch of reports adds to which counts, committed together with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from chalicelib import keys
from chalicelib.storage.ports import Item, Put, Value

_FIRST_FORM = 6  # values: written before stacks were counted
_PLAIN = 7  # values: of reports that are all kept


class Row(NamedTuple):
    """`reports` more reports of a group in a version on a day (`YYYY-MM-DD`) with one stack.

    `stack` is the fingerprint under which bucketing stored it; `first` and
    `last` are the earliest and latest of their dates. `sampled` of them are
    counted and not kept; those of one sample that are new name it (sampling.py).
    """

    group_id: int
    version_id: int
    day: str
    stack: str
    reports: int
    first: str
    last: str
    sampled: int = 0
    sample: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """What an app's counts lack until the next folding."""

    rows: tuple[Row, ...]
    new_groups: int

    def of_version(self, version_id: int) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.version_id == version_id)


def tally(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The rows with those of one group, version, day, stack and sample made one, in the order of
    groups.

    Those that take reports away stay by themselves: a crash that is new must
    be seen as one, whatever was deleted on its day.
    """
    merged: dict[tuple[int, int, str, str, str, bool], Row] = {}
    for row in rows:
        place = (*row[:4], row.sample, row.reports > 0)
        known = merged.get(place)
        if known is not None:
            first, last = min(known.first, row.first), max(known.last, row.last)
            reports, sampled = known.reports + row.reports, known.sampled + row.sampled
            row = Row(*place[:4], reports, first, last, sampled, row.sample)  # noqa: PLW2901
        merged[place] = row
    return tuple(merged[place] for place in sorted(merged))


def row_of(group_id: int, version_id: int, moment: str, stack: str, sampled: int = 0) -> Row:
    """The row of one report, given its date as stored, and of those that it stands for."""
    day = moment[:10]
    return Row(group_id, version_id, day, stack, 1 + sampled, moment, moment, sampled)


def less(row: Row) -> Row:
    """What takes away what the row adds."""
    return row._replace(reports=-row.reports, sampled=-row.sampled)


def delta_put(app_id: str, shard: int, batch: str, rows: Sequence[Row], new_groups: int) -> Put:
    """The delta to commit with the reports that `rows` count. `batch` is new, and rises."""
    key = keys.delta(app_id, shard, batch)
    values: list[Value] = [list(row if row.sampled else row[:_PLAIN]) for row in rows]
    item: dict[str, Value] = {"pk": key.pk, "sk": key.sk, "rows": values}
    if new_groups:
        item["new_groups"] = new_groups
    return Put(item, if_absent=True)


def rows_of(delta: Item) -> Iterator[Row]:
    for values in cast(Sequence[Sequence[Any]], delta["rows"]):
        if len(values) == _FIRST_FORM:
            values = [*values[:3], "", *values[3:]]  # noqa: PLW2901
        yield Row(*values)


def new_groups_of(delta: Item) -> int:
    return cast(int, delta.get("new_groups", 0))
