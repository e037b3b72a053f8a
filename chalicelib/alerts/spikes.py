"""Is a series of counts spiking?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.alerts.baseline import MINUTES, Baseline
from chalicelib.policies import AppPolicy

WINDOWS = (5, 10, 30, 60)  # minutes
_SCORE = 4.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came in the most telling window that ends with this minute.

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
    rate = _between(baseline.rates, now % 60)
    verdicts = [_in_window(baseline, rate, minutes, window, policy) for window in WINDOWS]
    return max(verdicts, key=lambda verdict: (verdict.is_spike, verdict.score))


def _in_window(
    baseline: Baseline, rate: float, minutes: Sequence[int], window: int, policy: AppPolicy
) -> Verdict:
    observed = sum(minutes[-window:])
    expected = rate * window / 60
    spread = math.sqrt(
        max(1.0, baseline.dispersion * expected) + (baseline.relative * expected) ** 2
    )
    score = (observed - expected) / spread
    is_spike = (
        score >= _SCORE
        and observed >= policy.spike_floor
        and observed * 100 >= expected * policy.spike_percent
    )
    return Verdict(observed, expected, window, score, is_spike)


def _between(rates: tuple[float, float, float], minute: int) -> float:
    """Crashes per hour at a minute of the middle hour: lines between the middles of hours."""
    before, within, after = rates
    if minute < 30:
        return before + (within - before) * (minute + 30) / 60
    return within + (after - within) * (minute - 30) / 60
