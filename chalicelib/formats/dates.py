"""The dates that devices write into logs to aware UTC times.

Sun Nov 27 17:35:08 GMT+01:00 2011           java.util.Date.toString
Thu Nov 20 2026 17:35:08 GMT+0100 (CET)      JavaScript
Sun, 27 Nov 2011 17:35:08 +0100              RFC 5322
2016-04-14T12:00:00.123Z                     ISO 8601
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

MAX_DATE_CHARS = 64  # the longest shape above, twice

_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
# Names that mean one offset (hours), RFC 5322's reading first: IST, BST and AST
# name several and are not here.
_ZONE_HOURS = {
    "UTC": 0, "GMT": 0, "Z": 0, "UT": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "MEZ": 1,
    "MESZ": 2, "EET": 2, "EEST": 3, "MSK": 3,
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
    "AKST": -9, "AKDT": -8, "HST": -10,
    "BRT": -3, "SAST": 2, "PKT": 5, "ICT": 7, "WIB": 7, "HKT": 8, "SGT": 8, "JST": 9, "KST": 9,
    "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13,
}  # fmt: skip
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6})\d{0,6})?)?", re.ASCII)
_OFFSET = re.compile(r"(?:GMT|UTC)?([+-])(\d{1,2}):?(\d{2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class DeviceDate:
    """A time in UTC; `problem` says what had to be assumed, in a sentence."""

    value: datetime
    problem: str | None = None


def read_date(text: str) -> DeviceDate | None:
    """The time that `text` tells, or None when it cannot be read.

    A time without a zone, or with the name of one that is not known or means
    several offsets, is taken as UTC and says so in `problem`.
    """
    if len(text) > MAX_DATE_CHARS:
        return None
    try:
        if text[:4].isdecimal():
            value = datetime.fromisoformat(text)
            zone: timezone | str | None = None
            if value.tzinfo is not None:
                return DeviceDate(value.astimezone(UTC))
        else:
            value, zone = _from_words(text)
            if isinstance(zone, timezone):
                return DeviceDate(value.replace(tzinfo=zone).astimezone(UTC))
    except (ValueError, OverflowError, KeyError):
        return None
    problem = f"zone {zone} is not known" if zone else "it has no zone"
    return DeviceDate(value.replace(tzinfo=UTC), f"{problem}; taken as UTC")


def _from_words(text: str) -> tuple[datetime, timezone | str | None]:
    """Month, day, year, time and zone in whatever order they come.

    Raises ValueError or KeyError when one of the first four is missing.
    """
    found: dict[str, int] = {}
    zone: timezone | str | None = None
    clock: tuple[int, int, int, int] | None = None
    for word in text.replace(",", " ").split():
        if word.isdecimal() and word.isascii():
            found["year" if len(word) == 4 else "day"] = int(word)
        elif time := _TIME.fullmatch(word):
            fraction = (time[4] or "").ljust(6, "0")
            clock = (int(time[1]), int(time[2]), int(time[3] or 0), int(fraction))
        elif "month" not in found and (month := _MONTHS.get(word[:3].lower())):
            found["month"] = month
        elif zone is None and clock is not None and not word.startswith("("):
            zone = _zone(word)
    if clock is None:
        raise ValueError("no time of day")
    return datetime(found["year"], found["month"], found["day"], *clock), zone


def _zone(word: str) -> timezone | str:
    if (hours := _ZONE_HOURS.get(word)) is not None:
        return timezone(timedelta(hours=hours))
    if offset := _OFFSET.fullmatch(word):
        size = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        return timezone(-size if offset[1] == "-" else size)
    return word
