"""Which of two versions of an app is the newer one, by what they are called."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import zip_longest

from chalicelib.records import Version

# Numbers with dots, and what may stand behind them: `-beta.2`, `+54`, ` (12)`, `rc1`. The hash of a
# commit may begin with a digit and is no version.
_VERSION = re.compile(
    r"[vV]?(\d{1,18}(?:\.\d{1,18}){0,15})((?:[-+ (_~.].*|(?:a|b|rc|alpha|beta|pre|dev)\d*)?)",
    re.ASCII | re.DOTALL,
)


def is_newer(version: Version, than: Version) -> bool | None:
    """Whether the first is newer; None where the names do not tell.

    The marketing versions decide where both are numbers with dots and differ,
    else the build numbers: Apple's builds may count anew with each version.
    """
    by_name = _compare(version.name, than.name)
    if by_name:
        return by_name > 0
    by_number = _compare(version.number, than.number)
    if by_number:
        return by_number > 0
    return False if by_name == by_number == 0 or version.version_id == than.version_id else None


def newest(versions: Iterable[Version]) -> Version | None:
    """The newest; of two whose names do not tell, the one that came later."""
    found: Version | None = None
    for version in versions:
        if found is None:
            found = version
            continue
        newer = is_newer(version, found)
        if newer or (newer is None and version.version_id > found.version_id):
            found = version
    return found


def _compare(one: str, other: str) -> int | None:
    """Above 0 where the first is higher, 0 where they are the same; None where it is not clear."""
    left, right = _VERSION.fullmatch(one.strip()), _VERSION.fullmatch(other.strip())
    if left is None or right is None:
        return None
    parts = zip_longest(left[1].split("."), right[1].split("."), fillvalue="0")
    for low, high in parts:
        if int(low) != int(high):
            return 1 if int(low) > int(high) else -1
    return 0 if left[2] == right[2] else None
