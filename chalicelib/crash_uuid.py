"""A crash's id in the shape of a UUID, for uploaders that expect one.

`IIIIIIII-IIII-4II0-8000-000000YYMMDD`: the 14 hex digits of the id are the
`I`s, in order. The last six digits are the day of receipt, as in the crash
ids of Mozilla's Socorro, or zeros.
"""

from __future__ import annotations

import re
from datetime import datetime

from chalicelib.ids import made_at

SOCORRO_PREFIX = "bp-"

_OURS = re.compile(
    r"(?:bp-)?([0-9a-f]{8})-?([0-9a-f]{4})-?4([0-9a-f]{2})0-?8000-?000000(\d{6})", re.IGNORECASE
)


def plain(report_id: int) -> str:
    """The UUID, with dashes."""
    return _uuid(report_id, "000000")


def socorro(report_id: int) -> str:
    """The id as Socorro writes it: `bp-` and a UUID that ends in the day (UTC)."""
    day: datetime = made_at(report_id)
    return f"{SOCORRO_PREFIX}{_uuid(report_id, day.strftime('%y%m%d'))}"


def report_id(text: str) -> int | None:
    """The crash's id in a UUID of ours, with or without `bp-` and dashes; None for any other."""
    found = _OURS.fullmatch(text)
    return int(found[1] + found[2] + found[3], 16) if found else None


def _uuid(identifier: int, tail: str) -> str:
    digits = f"{identifier:014x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[12:]}0-8000-000000{tail}"
