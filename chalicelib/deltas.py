"""Deltas: what a batch of reports adds to which counts, committed together with them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from chalicelib import keys
from chalicelib.storage.ports import Item, Put, Value

_FIRST_FORM = 6  # values: written before stacks were counted
_PLAIN = 7  # values: of reports that are all kept


class Row(NamedTuple):
    """`reports` more reports of a group in a version on a day (`YYYY-MM-DD`) with one stack.

    `stack` is the fingerprint under which bucketing stored it; `first` and
    `last` are the earliest and latest of their dates, both in one minute where
    they are to be counted by the hour. `sampled` of them are counted and not
    kept; those of one sample that are new name it (sampling.py).
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

    @property
    def minute(self) -> str | None:
        """Theirs, as `YYYY-MM-DDTHH:MM`; None where they may be of several."""
        minute = self.first[:16]
        return minute if minute == self.last[:16] else None


class HourCount(NamedTuple):
    """What came of a version in an hour (`YYYY-MM-DDTHH`)."""

    version_id: int
    hour: str
    crashes: int
    sessions: int


@dataclass(frozen=True, slots=True)
class Pending:
    """What an app's counts lack until the next folding."""

    rows: tuple[Row, ...]
    new_groups: int
    hours: tuple[HourCount, ...] = ()

    def of_version(self, version_id: int) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.version_id == version_id)


def tally(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The rows with those of one group, version, minute, stack and sample made one, in the order
    of groups.

    Those that take reports away stay by themselves: a crash that is new must
    be seen as one, whatever was deleted in its minute.
    """
    return _merged(rows, lambda row: row.minute or "")


def tally_by_day(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The same with those of one day made one: fewer rows, which no hour counts any more."""
    return _merged(rows, lambda _: "")


def _merged(rows: Iterable[Row], part: Callable[[Row], str]) -> tuple[Row, ...]:
    merged: dict[tuple[int, int, str, str, str, bool, str], Row] = {}
    for row in rows:
        place = (*row[:4], row.sample, row.reports > 0, part(row))
        known = merged.get(place)
        if known is not None:
            first, last = min(known.first, row.first), max(known.last, row.last)
            reports, sampled = known.reports + row.reports, known.sampled + row.sampled
            row = Row(*row[:4], reports, first, last, sampled, row.sample)  # noqa: PLW2901
        merged[place] = row
    return tuple(merged[place] for place in sorted(merged))


def row_of(group_id: int, version_id: int, moment: str, stack: str, sampled: int = 0) -> Row:
    """The row of one report, given its date as stored, and of those that it stands for."""
    day = moment[:10]
    return Row(group_id, version_id, day, stack, 1 + sampled, moment, moment, sampled)


def less(row: Row) -> Row:
    """What takes away what the row adds."""
    return row._replace(reports=-row.reports, sampled=-row.sampled)


def delta_put(
    app_id: str,
    shard: int,
    batch: str,
    rows: Sequence[Row],
    new_groups: int,
    *,
    founded: Sequence[int] = (),
    moved: bool = False,
    hourly: bool = False,
) -> Put:
    """The delta to commit with the reports that `rows` count. `batch` is new, and rises.

    `founded` are the groups that new crashes founded. With `moved` the reports
    are no new crashes: they were deleted, or are in another group now. With
    `hourly` the hours have the rows already, and the log has them.
    """
    item = _begun(app_id, shard, batch)
    item["packed"] = _packed(rows)
    if new_groups:
        item["new_groups"] = new_groups
    if founded:
        item["founded"] = list(founded)
    if moved:
        item["moved"] = True
    if hourly:
        item["hourly"] = True
    return Put(item, if_absent=True)


def sessions_put(app_id: str, shard: int, batch: str, counted: Sequence[HourCount]) -> Put:
    """A delta of sessions alone."""
    item = _begun(app_id, shard, batch)
    item["rows"] = []
    item["sessions"] = [[row.version_id, row.hour, row.sessions] for row in counted]
    return Put(item, if_absent=True)


def _begun(app_id: str, shard: int, batch: str) -> dict[str, Value]:
    key = keys.delta(app_id, shard, batch)
    return {"pk": key.pk, "sk": key.sk}


def _packed(rows: Iterable[Row]) -> bytes:
    """The rows in a third of their bytes: a delta is charged by the kB, each time it is written,
    read and taken away, and the one that a fold leaves has hundreds of them."""
    values = [row if row.sampled else row[:_PLAIN] for row in rows]
    return zlib.compress(json.dumps(values, separators=(",", ":")).encode())


def rows_of(delta: Item) -> Iterator[Row]:
    """The rows, as they are written now, or as earlier forms have them."""
    packed = delta.get("packed")
    rows = json.loads(zlib.decompress(cast(bytes, packed))) if packed else delta["rows"]
    for values in cast(Sequence[Sequence[Any]], rows):
        if len(values) == _FIRST_FORM:
            values = [*values[:3], "", *values[3:]]  # noqa: PLW2901
        yield Row(*values)


def new_groups_of(delta: Item) -> int:
    return cast(int, delta.get("new_groups", 0))


def founded_by(delta: Item) -> Sequence[int]:
    """The groups that new crashes founded."""
    return cast(Sequence[int], delta.get("founded", ()))


def hours_of(delta: Item) -> Iterator[HourCount]:
    """What the delta adds to hours, but for what is counted through samples: folding tells."""
    if "hourly" not in delta:
        for row in rows_of(delta):
            if row.minute is not None and not row.sample:
                yield HourCount(row.version_id, row.minute[:13], row.reports, 0)
    for version_id, hour, sessions in cast(Sequence[Sequence[Any]], delta.get("sessions", ())):
        yield HourCount(version_id, hour, 0, sessions)


def new_crashes_of(delta: Item) -> Iterator[Row]:
    """The rows of crashes that came just now, and that no fold has logged."""
    if "moved" not in delta and "hourly" not in delta:
        yield from (row for row in rows_of(delta) if row.minute is not None)
