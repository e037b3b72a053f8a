"""What the past lets expect of the hour that runs: of an app, a version, a group."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

HOURS = 28 * 24  # of the past that are looked at: four weeks
MINUTES = 60  # of the present
_DAY = 24
_WEEK = 7 * _DAY


@dataclass(frozen=True, slots=True)
class Hourly:
    """Crashes of complete hours, oldest first.

    `first_hour` (hours since the epoch) is that of `counts[0]`: the hour of the
    first crash ever, or the oldest of the last `HOURS`. Hours without a crash
    are zeros; the last is the hour before the one that runs.
    """

    first_hour: int
    counts: Sequence[int]


@dataclass(frozen=True, slots=True)
class Daily:
    """Crashes of a group by UTC day, oldest first; the last is today so far.

    `first_day` is in days since the epoch; `born` is the minute (since the
    epoch) of the group's first crash ever.
    """

    first_day: int
    counts: Sequence[int]
    born: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is expected of `hour` (hours since the epoch); good until that hour ends.

    `rates` are crashes per hour in the hour before it, in it and in the one
    after it. The variance of a count whose mean is `m` is
    `dispersion * m + (relative * m) ** 2`.
    """

    hour: int
    rates: tuple[float, float, float]
    dispersion: float
    relative: float


def of_app(past: Hourly, hour: int) -> Baseline:
    """An app's baseline. A few milliseconds: keep it for the hour."""
    rates = tuple(_seasonal(past, wanted) for wanted in (hour - 1, hour, hour + 1))
    return Baseline(hour, (rates[0], rates[1], rates[2]), dispersion=1.0, relative=0.25)


def of_version(app: Baseline, past: Hourly) -> Baseline:
    """A version's, whose share of the app changes as people take it or leave it."""
    return of_app(past, app.hour)


def of_group(app: Baseline, past: Daily, minutes: Sequence[int], now: int) -> Baseline:
    """A group's at the minute `now`, whose hours nobody kept: its days in the shape of the app's.

    `minutes` are its last 60 minutes as `judge` gets them: they are in its days too.
    """
    level = statistics.median(past.counts[-8:-1]) if len(past.counts) > 1 else 0
    if now - past.born < _DAY * 60:
        level = max(level, (past.counts[-1] - sum(minutes)) * 2)
    whole = sum(app.rates) / 3 * _DAY
    share = level / whole if whole else 0.0
    before, within, after = (rate * share for rate in app.rates)
    return Baseline(app.hour, (before, within, after), app.dispersion, app.relative)


def _seasonal(past: Hourly, hour: int) -> float:
    for step in (_WEEK, _DAY, 1):
        indices = range(hour - past.first_hour - step, -1, -step)
        found = [past.counts[i] for i in indices if i < len(past.counts)][:4]
        if len(found) > 1:
            return statistics.median(found)
    return 0.0
