"""How high a series is now, over what its season lets expect."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_SLOW = 0.98  # memory of the level that stands in while there are few crashes
_PRIOR_CRASHES = 5.0  # that the slow level is worth
_PATIENCE = 6  # hours far above the expected, until they are the new level
_LOW, _LOW_PATIENCE = 0.4, 3  # of the expected; hours below it, until they are the new level
_NONE, _NONE_PATIENCE = 0.05, 24  # as good as nothing: an outage ends within a day
_LOW_FROM = 10  # crashes expected, from which fewer than that says something
_RARE = 60  # hours between events, at least: where they come more often, they are its noise
_KEPT = 0.6  # of what is held back, after an hour in which reports come again
_LATE_HOURS = 3  # in which it comes
_SHORT = 0.5  # of the expected: a time that has less had an outage
_AT_MOST = 2.0  # times the expected, what comes after an outage


class Track(NamedTuple):
    """A level followed through the past: as it is now, and `slow`, that of the last days.

    `expected` holds, for each hour, what those before it let expect; `odd` the
    hours that were events and no noise; `learnt` how many crashes the level
    was learnt from; `late` how many crashes an outage held back
    that came in the last hours or may still come.
    """

    level: float
    slow: float
    learnt: float
    expected: list[float]
    odd: frozenset[int]
    late: float
    error: float


def follow(counts: Sequence[int], shape: Sequence[float], memory: float) -> Track:
    """The level over its shape, hour by hour: a discounted gamma-Poisson filter.

    What was learnt is worth `memory` of it an hour later (West and Harrison,
    Bayesian Forecasting and Dynamic Models, 1997, section 14.4). Hours far
    above what was expected are a spike, far below an outage: they are not
    learnt from unless they last. `error` sums, over the hours, how far the square
    root of the count (whose deviation does not depend on the mean) was off.
    """
    a = b = slow_a = slow_b = 0.0
    error = late = 0.0
    lates = [0.0] * _LATE_HOURS
    high = low = runs = 0
    expected: list[float] = []
    odd: list[int] = []
    for i, (count, usual) in enumerate(zip(counts, shape, strict=False)):
        wanted = usual * _level(a, b, slow_a, slow_b)
        expected.append(wanted)
        root = math.sqrt(wanted)
        error += min(2.0, abs(math.sqrt(count) - root) / (1 + 0.1 * root))
        if wanted >= _LOW_FROM:
            late = held_back(late, count, wanted)
        lates.append(late)
        if count > 2 * wanted + 3 * root + 5 and slow_b > 0:
            high += 1
            runs += high == 1
            if high <= _PATIENCE:
                odd.append(i)
                continue
        else:
            high = 0
        if wanted >= _LOW_FROM and count < _LOW * wanted:
            low += 1
            if low <= (_NONE_PATIENCE if count < _NONE * wanted else _LOW_PATIENCE):
                odd.append(i)
                continue
        else:
            low = 0
        a, b = a * memory + count, b * memory + usual
        slow_a, slow_b = slow_a * _SLOW + count, slow_b * _SLOW + usual
    level = _level(a, b, slow_a, slow_b)
    rare = runs <= 2 + len(expected) / _RARE
    learnt = a + min(slow_a, _PRIOR_CRASHES)
    return Track(
        level,
        slow_a / slow_b if slow_b > 0 else 0.0,
        learnt,
        expected,
        frozenset(odd if rare else ()),
        max(lates[-_LATE_HOURS:]),
        error,
    )


def held_back(late: float, came: float, wanted: float, kept: float = _KEPT) -> float:
    """How many crashes are held back after a time in which `came` came and `wanted` should have.

    What does not come while nothing is reported comes afterwards, all at once:
    devices send their backlog, queues are worked off. That is no spike.
    """
    if came < _SHORT * wanted:
        return late + _AT_MOST * (wanted - came / _SHORT)
    return max(0.0, late * kept - max(0.0, came - wanted))


def _level(a: float, b: float, slow_a: float, slow_b: float) -> float:
    if slow_a <= 0 or slow_b <= 0:
        return 1.0 if slow_b <= 0 else 0.0
    return (a + _PRIOR_CRASHES) / (b + _PRIOR_CRASHES * slow_b / slow_a)
