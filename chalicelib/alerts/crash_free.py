"""Did the share of sessions without a crash drop?

Many more crashes may only mean many more users; where sessions are known, crashes
per session say whether the app became worse. The last hours are compared with
stretches of the past that had as many sessions, so that like is compared with
like: their median is what is expected (one bad day does not move it), and their
scatter says what is out of the ordinary, whatever makes crashes of sessions
come in clusters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.alerts.dispersion import Spread
from chalicelib.alerts.seasons import median
from chalicelib.alerts.spikes import Verdict
from chalicelib.policies import AppPolicy

_WINDOWS = (1, 2, 4, 8, 24)  # hours: longer ones where one has too few sessions to tell
_STRETCHES = 100  # of the past, at most: the latest
_ENOUGH_STRETCHES = 8
_LIMIT = 4.2  # deviations: looked at every hour, chance alone gets there once in decades
_POINTS = (
    0.01  # of all sessions: so many more that crash matter, even if they are not twice as many
)
_POINTS_FACTOR = 1.25  # what more there have to be then
_FURTHEST = 0.3  # of the stretches, which were bad hours rather than chance
_FURTHEST_LEFT = 0.31  # of the variance of a normal distribution, without them
_WANDERING = 0.06
_TELLS_FROM = 20  # crashes expected of one hour: then that hour alone can say that all is well
_WELL = 1.1  # times the expected, at most


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
    An hour that is well ends what the hours before it were.
    """
    calm: Verdict | None = None
    for hours in _WINDOWS:
        verdict = _of_latest(past, hours, policy)
        if verdict is not None and verdict.is_spike:
            return verdict
        calm = calm or verdict
        if calm and calm.expected >= _TELLS_FROM and calm.observed <= _WELL * calm.expected:
            break
    return calm


def _of_latest(past: Sequence[HourOfSessions], hours: int, policy: AppPolicy) -> Verdict | None:
    crashes = sum([hour.crashes for hour in past[-hours:]])
    sessions = sum([hour.sessions for hour in past[-hours:]])
    if sessions <= 0:
        return None
    stretches = _stretches(past[:-hours], sessions)
    if len(stretches) < _ENOUGH_STRETCHES:
        return None
    usual = median(sorted([it.crashes / it.sessions for it in stretches]))
    expected = usual * sessions
    spread = Spread(_dispersion(stretches, usual), _WANDERING)
    score = spread.score(crashes, expected)
    twice = crashes * 100 >= expected * policy.spike_percent
    points = crashes - expected >= _POINTS * sessions and crashes >= _POINTS_FACTOR * expected
    is_drop = score >= _LIMIT and crashes >= policy.spike_floor and (twice or points)
    return Verdict(crashes, expected, 60 * hours, score, is_drop)


def _stretches(past: Sequence[HourOfSessions], sessions: int) -> list[HourOfSessions]:
    """Consecutive hours that together have at least so many sessions, the latest first."""
    found: list[HourOfSessions] = []
    crashes = so_far = 0
    for hour in reversed(past):
        crashes += hour.crashes
        so_far += hour.sessions
        if so_far >= sessions:
            found.append(HourOfSessions(crashes, so_far))
            crashes = so_far = 0
            if len(found) == _STRETCHES:
                break
    return found


def _dispersion(stretches: Sequence[HourOfSessions], usual: float) -> float:
    """The variance of their crashes over the mean; 1 if each crashes by itself."""
    if usual <= 0:
        return 1.0
    ratios = sorted(
        [(it.crashes - usual * it.sessions) ** 2 / (usual * it.sessions) for it in stretches]
    )
    kept = ratios[: math.ceil(len(ratios) * (1 - _FURTHEST))]
    return max(1.0, sum(kept) / len(kept) / _FURTHEST_LEFT)
