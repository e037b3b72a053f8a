"""Ids of jobs as FollowAnalytics' clients know them: 24 hex digits.

An id says what its job is of, so that a list that is answered at once has one
without anything being stored. The last eight digits are a check: a mistyped
id is the id of nothing.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["occurrences", "export"]

_CODES: dict[Kind, str] = {"occurrences": "0c", "export": "ef"}
_KINDS: dict[str, Kind] = {code: kind for kind, code in _CODES.items()}
_FORM = re.compile(r"([0-9a-f]{2})([0-9a-f]{14})([0-9a-f]{8})")


def job_id(kind: Kind, number: int) -> str:
    """The id of the job that lists a group (`number`) or exports a report."""
    told = f"{_CODES[kind]}{number:014x}"
    return told + _check(told)


def read(identifier: str) -> tuple[Kind, int] | None:
    """What `job_id` was made of; None for any other text."""
    found = _FORM.fullmatch(identifier.lower())
    if found is None or found[1] not in _KINDS or _check(found[1] + found[2]) != found[3]:
        return None
    return _KINDS[found[1]], int(found[2], 16)


def _check(told: str) -> str:
    return hashlib.sha256(told.encode()).hexdigest()[:8]
