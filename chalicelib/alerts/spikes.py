"""Is a series of counts spiking?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from chalicelib.alerts.baseline import MINUTES, AppBaseline, Baseline
from chalicelib.alerts.dispersion import Spread
from chalicelib.alerts.level import held_back
from chalicelib.policies import AppPolicy

WINDOWS = (5, 10, 30, 60)  # minutes
_AT_ONCE = 4  # minutes that an upload of many crashes may take
_NOT_CUT, _NOT_CUT_BY = 1.5, 3  # times the next minute's crashes, and some: chance alone
_BLOCK = 5  # minutes
_USUAL_BLOCKS = 12  # that what the past says of dispersion is worth
_FEW, _FEW_MORE = 20, 0.8  # crashes expected; what more the score has to be where none is
_SHORT_WINDOW, _LONG_MORE = 10, 1.0  # minutes; what more the score of longer windows has to be
_BLOCKS = (5, 10, 20)  # minutes: the shortest in which an outage shows
_TELLING = 6  # crashes expected, of which none came
_SHORT = 0.3  # of them: what is less is an outage
# A rate that wanders by as much as this stays there for hours, while Poisson's noise is another
# one every few minutes: over a month it has fewer occasions to go too far.
_WANDERING = 0.75
_OLDER, _OLDER_CRASHES = 0.7, 10  # of an hour's crashes, and some: what older hours are worth
LEAST, MOST = 0.75, 1.5  # of what older hours let expect: more than that is news
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


def late_minutes(app: AppBaseline, minutes: Sequence[int], now: int) -> float:
    """Crashes of an app that an outage held back and that may come late, in minutes' worth of it.

    `minutes` and `now` are as in `judge`, of the app: a version or a group has
    too few crashes to show an outage.
    """
    rate = app.rates[1] / 60
    most = of_hours = app.late
    late = 0.0
    block = next((n for n in _BLOCKS if rate * n >= _TELLING), 0)
    until_hour = MINUTES - (now % 60 + 1)  # how many of the minutes were in the hour before
    for begin in range(0, MINUTES - block, block) if block else ():
        came, wanted = float(sum(minutes[begin : begin + block])), rate * block
        if came >= _SHORT * wanted:  # chance alone makes a few less than expected
            came = max(came, wanted)
        late = held_back(late, came, wanted, kept=1.0)
        if begin >= until_hour:
            of_hours = held_back(of_hours, came, wanted, kept=1.0)
        most = max(most, late, of_hours)
    rate = _between(app.rates, now % 60 + 1) / 60
    return most / rate if rate > 0 else 0.0


def judge(
    baseline: Baseline,
    minutes: Sequence[int],
    now: int,
    policy: AppPolicy,
    late: float = 0.0,
) -> Verdict:
    """The verdict on the minute `now` (minutes since the epoch), which just ended.

    `minutes` are the crashes of the last 60 minutes, oldest first, `now` the
    last of them; `late` is what `late_minutes` says of the app. Tens of
    microseconds. `baseline` is the one of the hour of `now`.
    """
    if len(minutes) != MINUTES:
        raise ValueError(f"{len(minutes)} minutes instead of {MINUTES}")
    for window in WINDOWS:
        verdict = _in_window(baseline, minutes, window, now, policy, late)
        if verdict is not None:
            return verdict
    expected, spread = _expected(baseline, minutes, _USUAL, now)
    observed = sum(minutes[-_USUAL:])
    return Verdict(observed, expected, _USUAL, spread.score(observed, expected), is_spike=False)


def _in_window(
    baseline: Baseline,
    minutes: Sequence[int],
    window: int,
    now: int,
    policy: AppPolicy,
    late: float,
) -> Verdict | None:
    """The verdict if it is a spike."""
    latest = minutes[-window:]
    observed = sum(latest)
    if observed < policy.spike_floor:
        return None
    expected, spread = _expected(baseline, minutes, window, now)
    if observed * 100 < expected * policy.spike_percent:
        return None
    lasting = _lasting(latest) - late * _between(baseline.rates, now % 60 + 1) / 60
    score = spread.score(lasting, expected)
    limit = baseline.limit + _FEW_MORE * max(0.0, 1 - expected / _FEW)
    if window > _SHORT_WINDOW:
        limit += _LONG_MORE
    if score < limit or lasting * 100 < expected * policy.spike_percent:
        return None
    return Verdict(observed, expected, window, score, is_spike=True)


def _expected(
    baseline: Baseline, minutes: Sequence[int], window: int, now: int
) -> tuple[float, Spread]:
    """Crashes in the window, and how they scatter."""
    minute = now % 60 + 1 - window / 2
    expected = _between(baseline.rates, minute) * window / 60
    learnt = baseline.learnt
    before = MINUTES - window
    if before > 0:
        came = sum(minutes[:before])
        awaited = _between(baseline.rates, minute - MINUTES / 2) * before / 60
        weight = 1 + min(learnt, _OLDER * awaited + _OLDER_CRASHES)
        factor = (weight + min(came, 2 * awaited)) / (weight + awaited)
        expected *= min(MOST, max(LEAST, factor))
        learnt += came
    relative = math.hypot(_WANDERING * baseline.spread.relative, 1 / math.sqrt(learnt + 1))
    dispersed = _dispersed(minutes[: -max(window, _SHORT_WINDOW)], baseline)
    return expected + baseline.burst, Spread(dispersed, relative)


def _dispersed(minutes: Sequence[int], baseline: Baseline) -> float:
    """Variance over mean within minutes, of those before the window and of the past."""
    blocks = [sum(minutes[i : i + _BLOCK]) for i in range(0, len(minutes) - _BLOCK + 1, _BLOCK)]
    usual = baseline.spread.dispersion
    total = sum(blocks)
    if total < len(blocks) or len(blocks) < 2:
        return usual
    # Differences of neighbours: a rate that rises steadily is no scatter.
    differences = sum([(after - before) ** 2 for before, after in pairwise(blocks)])
    scattered = differences / 2 * len(blocks) / total
    lately = (_USUAL_BLOCKS * usual + scattered) / (_USUAL_BLOCKS + len(blocks) - 1)
    return max(1.0, min(lately, 2 * usual))


def _lasting(minutes: Sequence[int]) -> float:
    """Their sum, with high ones cut to little more than the next: what came at once is no rate."""
    limit = _NOT_CUT * sorted(minutes)[-1 - _AT_ONCE] + _NOT_CUT_BY
    return sum([count if count < limit else limit for count in minutes])


def _between(rates: tuple[float, float, float], minute: float) -> float:
    """Crashes per hour at a minute of the middle hour: lines between the middles of hours."""
    before, within, after = rates
    if minute < -30:
        return before
    if minute < 30:
        return before + (within - before) * (minute + 30) / 60
    return within + (after - within) * (minute - 30) / 60
