"""`since` and `until`: dates, date-times and relative offsets, as PartyCrasher took them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from chalicelib.errors import InvalidRequest
from chalicelib.formats.partycrasher_rules import read_date

_UNITS_S = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86_400,
    "week": 604_800,
    "month": 2_629_746,
    "year": 31_556_952,
}  # fmt: skip - a month and a year are the Gregorian calendar's means
_OFFSET = re.compile(rf"(\d{{1,9}})-({'|'.join(_UNITS_S)})s?-ago", re.ASCII)
_YEAR = re.compile(r"\d{4}", re.ASCII)
_YEAR_AND_MONTH = re.compile(r"\d{4}-\d{2}", re.ASCII)
_MAX_CHARS = 64


def moment_of(name: str, text: str, now: datetime) -> datetime:
    """The UTC moment that a parameter names: `2016-02-29`, `2016`, `5-hours-ago`.

    Raises `InvalidRequest` naming the parameter for a date that does not exist.
    """
    asked = text.strip()
    try:
        if offset := _OFFSET.fullmatch(asked):
            ago = timedelta(seconds=int(offset[1]) * _UNITS_S[offset[2]])
            return now.replace(microsecond=0) - ago
        if _YEAR.fullmatch(asked):
            return datetime(int(asked), 1, 1, tzinfo=UTC)
        if _YEAR_AND_MONTH.fullmatch(asked):
            return datetime(int(asked[:4]), int(asked[5:]), 1, tzinfo=UTC)
        if len(asked) <= _MAX_CHARS and "-" in asked:
            # a "+" of an offset is a space in a query
            return read_date(re.sub(r" (\d\d:?\d\d)$", r"+\1", asked))
    except (ValueError, OverflowError):
        pass
    told = "use YYYY-MM-DD, YYYY-MM-DDTHH:MM:SS or 3-days-ago"
    raise InvalidRequest({name: [f"{asked[:_MAX_CHARS]!r} is no date: {told}"]})


def written(moment: datetime) -> str:
    """`2016-02-29T00:00:00`: in UTC, without a zone, as the document writes dates."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat()
