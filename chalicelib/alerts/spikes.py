"""Is a series of counts spiking?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.alerts.baseline import MINUTES, Baseline
from chalicelib.alerts.dispersion import Spread
from chalicelib.policies import AppPolicy

WINDOWS = (5, 10, 30, 60)  # minutes
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
    expected, relative, _ = _expected(baseline, minutes, _USUAL, now)
    observed = sum(minutes[-_USUAL:])
    score = Spread(baseline.spread.dispersion, relative).score(observed, expected)
    return Verdict(observed, expected, _USUAL, score, is_spike=False)


def _in_window(
    baseline: Baseline, minutes: Sequence[int], window: int, now: int, policy: AppPolicy
) -> Verdict | None:
    """The verdict if it is a spike."""
    latest = minutes[-window:]
    observed = sum(latest)
    if observed < policy.spike_floor:
        return None
    expected, relative, owed = _expected(baseline, minutes, window, now)
    if (observed - owed) * 100 < expected * policy.spike_percent:
        return None
    lasting = _lasting(latest, 2 if window > 5 else 1) - owed
    score = Spread(baseline.spread.dispersion, relative).score(lasting, expected)
    if score < baseline.limit or lasting * 100 < expected * policy.spike_percent:
        return None
    return Verdict(observed, expected, window, score, is_spike=True)


def _expected(
    baseline: Baseline, minutes: Sequence[int], window: int, now: int
) -> tuple[float, float, float]:
    """Crashes in the window, their relative deviation, and what may come late in it."""
    rate = _between(baseline.rates, now % 60 + 1 - window / 2)
    expected = rate * window / 60
    learnt = baseline.learnt
    owed = baseline.owed
    earlier = now % 60 + 1 - window  # minutes of this hour before the window
    if earlier > 0:
        came = sum(minutes[-window - earlier : -window])
        awaited = _between(baseline.rates, earlier / 2) * earlier / 60
        factor = (learnt + 1 + min(came, 2 * awaited)) / (learnt + 1 + awaited)
        expected *= min(1.5, max(0.75, factor))
        owed = max(0.0, owed + 0.6 * awaited - came)
        learnt += came
    relative = math.sqrt(baseline.spread.relative**2 + 1 / (learnt + 1))
    return expected + baseline.burst, relative, owed


def _lasting(minutes: Sequence[int], highest: int) -> int:
    """Their sum, with the highest ones cut to the next: what came all at once is no rate."""
    ordered = sorted(minutes, reverse=True)
    return sum(ordered[highest:]) + highest * ordered[highest]


def _between(rates: tuple[float, float, float], minute: float) -> float:
    """Crashes per hour at a minute of the middle hour: lines between the middles of hours."""
    before, within, after = rates
    if minute < 30:
        return before + (within - before) * (minute + 30) / 60
    return within + (after - within) * (minute - 30) / 60
