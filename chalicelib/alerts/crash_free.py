"""Did the share of sessions without a crash drop?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.alerts.spikes import Verdict
from chalicelib.policies import AppPolicy

_ENOUGH_SESSIONS = 200
_SCORE = 4.5


@dataclass(frozen=True, slots=True)
class HourOfSessions:
    """Crashes and sessions of one hour of an app or a version."""

    crashes: int
    sessions: int


def judge_sessions(past: Sequence[HourOfSessions], policy: AppPolicy) -> Verdict | None:
    """The verdict on the latest hours; None while too few sessions are known.

    `past` is oldest first, at most 28 days; the last entry is the last 60
    minutes, the others complete hours before it. `expected` is what as many
    sessions had of crashes in the past, so that `Watch` takes it as it takes a spike.
    """
    if not past:
        return None
    now, before = past[-1], past[:-1]
    sessions = sum(hour.sessions for hour in before)
    if now.sessions < _ENOUGH_SESSIONS or sessions < _ENOUGH_SESSIONS:
        return None
    expected = now.sessions * sum(hour.crashes for hour in before) / sessions
    score = (now.crashes - expected) / math.sqrt(max(1.0, expected))
    is_drop = (
        score >= _SCORE
        and now.crashes >= policy.spike_floor
        and now.crashes * 100 >= expected * policy.spike_percent
    )
    return Verdict(now.crashes, expected, 60, score, is_drop)
