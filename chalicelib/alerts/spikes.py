"""Is a series of counts spiking?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.alerts.baseline import MINUTES, Baseline
from chalicelib.alerts.dispersion import Spread
from chalicelib.alerts.level import still_owed
from chalicelib.policies import AppPolicy

WINDOWS = (5, 10, 30, 60)  # minutes
_AT_ONCE = 2  # minutes
_BLOCK = 5  # minutes, in which an outage shows
# A rate that wanders by as much as this stays there for hours, while Poisson's noise is another
# one every few minutes: over a month it has fewer occasions to go too far.
_WANDERING = 0.75
_USUAL = 30  # the window that is told where none is spiking


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came in a window that ends with this minute: the shortest that is spiking, if any is.

    `observed` crashes in `window_minutes`, where `expected` was to be expected,
    which is `score` standard deviations above it.
    """

    observed: int
    expected: float
    window_minutes: int
    score: float
    is_spike: bool


def judge(baseline: Baseline, minutes: Sequence[int], now: int, policy: AppPolicy) -> Verdict:
    """The verdict on the minute `now` (minutes since the epoch), which just ended.

    `minutes` are the crashes of the last 60 minutes, oldest first, `now` the
    last of them. Tens of microseconds. `baseline` is the one of the hour of `now`.
    """
    if len(minutes) != MINUTES:
        raise ValueError(f"{len(minutes)} minutes instead of {MINUTES}")
    for window in WINDOWS:
        verdict = _in_window(baseline, minutes, window, now, policy)
        if verdict is not None:
            return verdict
    expected, spread = _expected(baseline, minutes, _USUAL, now)
    observed = sum(minutes[-_USUAL:])
    return Verdict(observed, expected, _USUAL, spread.score(observed, expected), is_spike=False)


def _in_window(
    baseline: Baseline, minutes: Sequence[int], window: int, now: int, policy: AppPolicy
) -> Verdict | None:
    """The verdict if it is a spike."""
    latest = minutes[-window:]
    observed = sum(latest)
    if observed < policy.spike_floor:
        return None
    expected, spread = _expected(baseline, minutes, window, now)
    if observed * 100 < expected * policy.spike_percent:
        return None
    lasting = _lasting(latest) - _owed(baseline, minutes, window, now)
    score = spread.score(lasting, expected)
    if score < baseline.limit or lasting * 100 < expected * policy.spike_percent:
        return None
    return Verdict(observed, expected, window, score, is_spike=True)


def _expected(
    baseline: Baseline, minutes: Sequence[int], window: int, now: int
) -> tuple[float, Spread]:
    """Crashes in the window, and how they scatter."""
    minute = now % 60 + 1 - window / 2
    expected = _between(baseline.rates, minute) * window / 60
    learnt = baseline.learnt
    since = min(MINUTES - window, now + 1 - window - baseline.known)  # minutes not yet in it
    if since > 0:
        came = sum(minutes[-window - since : -window])
        awaited = _between(baseline.rates, minute - (window + since) / 2) * since / 60
        factor = (learnt + 1 + min(came, 2 * awaited)) / (learnt + 1 + awaited)
        expected *= min(1.5, max(0.75, factor))
        learnt += came
    relative = math.hypot(_WANDERING * baseline.spread.relative, 1 / math.sqrt(learnt + 1))
    return expected + baseline.burst, Spread(baseline.spread.dispersion, relative)


def _owed(baseline: Baseline, minutes: Sequence[int], window: int, now: int) -> float:
    """What was held back before the window, in this hour, before it or within the last 60 minutes.

    A part of it may have come since.
    """
    wanted = _between(baseline.rates, now % 60 + 1 - window) * _BLOCK / 60
    since_hour = now % 60 + 1
    owed = 0.0
    of_hours = baseline.owed
    for end in range(MINUTES, window, -_BLOCK):
        came = sum(minutes[-end : MINUTES - end + _BLOCK])
        owed = still_owed(owed, came, wanted)
        if end <= since_hour:
            of_hours = still_owed(of_hours, came, wanted)
    return max(owed, of_hours)


def _lasting(minutes: Sequence[int]) -> int:
    """Their sum, the highest ones cut to the next: what came all at once is no rate."""
    ordered = sorted(minutes, reverse=True)
    return sum(ordered[_AT_ONCE:]) + _AT_ONCE * ordered[_AT_ONCE]


def _between(rates: tuple[float, float, float], minute: float) -> float:
    """Crashes per hour at a minute of the middle hour: lines between the middles of hours."""
    before, within, after = rates
    if minute < -30:
        return before
    if minute < 30:
        return before + (within - before) * (minute + 30) / 60
    return within + (after - within) * (minute - 30) / 60
