"""Integer identifiers that need no central counter.

HockeyApp and omaha-server clients want integers, and JavaScript ones want
them below 2**53. An id is milliseconds since 2020 (42 bits, good until 2159)
followed by 11 bits that tell ids of one millisecond apart: ids of one process
never repeat, ids of two processes may (about once in 2,000 when both make one
in the same millisecond), so whoever takes an id into use does it with a
conditional write and asks for another one when that fails.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta

_EPOCH_MS = 1_577_836_800_000  # 2020-01-01T00:00:00Z
_TAIL_BITS = 11
IDS_A_SECOND = 1000 << _TAIL_BITS


class IdSource:
    """Makes ids that rise within this process; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._pid = os.getpid()

    def next(self) -> int:
        """A new id, larger than every earlier one of this process."""
        stamp = (time.time_ns() // 1_000_000 - _EPOCH_MS) << _TAIL_BITS
        candidate = stamp | secrets.randbits(_TAIL_BITS)
        with self._lock:
            if os.getpid() != self._pid:  # a forked child must not go on where its parent stood
                self._pid, self._last = os.getpid(), 0
            if candidate <= self._last:
                candidate = self._last + 1
            self._last = candidate
        return candidate


def first_of(moment: datetime) -> int:
    """The smallest id that can be made at a moment; below 0 before 2020."""
    milliseconds = (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
    return (milliseconds - _EPOCH_MS) << _TAIL_BITS


def made_at(identifier: int) -> datetime:
    """The moment an id was made, to the millisecond, in UTC."""
    return datetime.fromtimestamp(((identifier >> _TAIL_BITS) + _EPOCH_MS) / 1000, UTC)


def sortable(identifier: int) -> str:
    """The id as text whose order is the ids' order (16 digits hold 2**53)."""
    return f"{identifier:016d}"
