"""What the past lets expect of the hour that runs: of an app, a version, a group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.alerts import dispersion
from chalicelib.alerts.dispersion import Spread
from chalicelib.alerts.level import Track, follow
from chalicelib.alerts.seasons import DAY, WEEK, seasons

HOURS = 4 * WEEK  # of the past that are looked at
MINUTES = 60  # of the present

_LIMIT, _VERSION_LIMIT, _GROUP_LIMIT = 3.7, 3.8, 4.0
_YOUNG_MORE = 1.0  # for an app that is known for less than a week
_VERSION_SPREAD = Spread(1.5, 0.1)
_GROUP_SPREAD = Spread(2.5, 0.12)
_MEMORIES = (0.6, 0.9)
_UNKNOWN = 48  # hours without any verdict: an app whose days nobody knows
_AS_BEFORE = 0.75  # of the level of the last days may be back at once
_NEIGHBOUR = 0.65  # of the hour before or after may come now: clocks change, people do not
_GROUP_DAYS = 8
_GROUP_MEMORY = 0.6
_GROUP_LEARNT = 30.0


@dataclass(frozen=True, slots=True)
class Hourly:
    """Crashes of complete hours, oldest first.

    `first_hour` (hours since the epoch) is that of `counts[0]`: the hour of the
    first crash ever, or the oldest of the last `HOURS`. Hours without a crash
    are zeros; the last is the hour before the one that runs.
    """

    first_hour: int
    counts: Sequence[int]

    def until(self, hour: int) -> Hourly:
        """The last `HOURS` before `hour`, filled with zeros."""
        n = max(0, hour - self.first_hour)
        counts = [*self.counts[:n], *[0] * (n - len(self.counts))][-HOURS:]
        return Hourly(hour - len(counts), counts)


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
    after it. `learnt` says how many crashes the
    present level was learnt from, `spread` how counts scatter around what is
    expected of them. `burst` more may come at once at this hour, as they often
    did. A score of `limit` is out of the ordinary.
    """

    hour: int
    rates: tuple[float, float, float]
    learnt: float
    spread: Spread
    burst: float
    limit: float


@dataclass(frozen=True, slots=True)
class AppBaseline(Baseline):
    """An app's, with what versions and groups are measured by: its past, and what was expected.

    `late` crashes were held back by an outage, and may come now.
    """

    late: float
    past: Hourly
    expected: Sequence[float]  # of the hours of `past`, each from those before it


def of_app(past: Hourly, hour: int) -> AppBaseline:
    """An app's baseline. A few milliseconds: keep it for the hour."""
    past = past.until(hour)
    n = len(past.counts)
    usual, bursts = seasons(past.counts)
    track = _followed(past.counts, [u + b for u, b in zip(usual, bursts, strict=True)])
    # After a quiet day, as before it: that is no spike.
    level = max(track.level, _AS_BEFORE * track.slow)
    around = [level * value for value in [usual[0], usual[0], *usual][-5:]]
    if n < WEEK + DAY:
        around = [
            max(*pair) for pair in zip(around, _most_of_days(past.counts, track), strict=True)
        ]
    return AppBaseline(
        hour,
        _rates(around),
        track.learnt,
        dispersion.measured(track.expected, past.counts, _prior(n), track.odd),
        max(bursts[-4:-1]),
        _LIMIT + _YOUNG_MORE * max(0.0, 1 - n / WEEK) if n >= _UNKNOWN else math.inf,
        track.late,
        past,
        track.expected,
    )


def of_version(app: AppBaseline, past: Hourly) -> Baseline:
    """A version's, whose share of the app changes as people take it or leave it."""
    past = past.until(app.hour)
    n = len(past.counts)
    track = _followed(past.counts, _of_app(app, n))
    share = max(track.level, _unwondered(n))
    before, within, after = app.rates
    return Baseline(
        app.hour,
        (before * share, within * share, after * share),
        track.learnt,
        # It wanders with the app, and its share of the app wanders.
        dispersion.widened(
            app.spread,
            dispersion.measured(track.expected, past.counts, _VERSION_SPREAD, track.odd),
        ),
        app.burst,
        max(_VERSION_LIMIT, app.limit),
    )


def of_group(app: AppBaseline, past: Daily, minutes: Sequence[int], now: int) -> Baseline:
    """A group's at the minute `now`, whose hours nobody kept: its days in the shape of the app's.

    `minutes` are its last 60 minutes as `judge` gets them: they are in its days too.
    """
    own = _without(past, minutes, now)[-_GROUP_DAYS:]
    whole = _by_day(app, now // (60 * DAY) - len(own) + 1, len(own))
    weighted = [
        (max(0, count) / crashes, crashes * _GROUP_MEMORY**age)
        for age, (count, crashes) in enumerate(zip(reversed(own), reversed(whole), strict=True))
        if crashes > 0
    ]
    age = (now - past.born) // 60
    # It may be growing from day to day.
    share = max(_weighted_median(weighted), _latest(weighted), _unwondered(age))
    before, within, after = app.rates
    return Baseline(
        app.hour,
        (before * share, within * share, after * share),
        min(_GROUP_LEARNT, sum(own)),
        _spread_of_group(app),
        app.burst,
        max(_GROUP_LIMIT, app.limit),
    )


def _prior(n: int) -> Spread:
    """What is assumed of an app that is known for n hours: of its days, later of its weeks."""
    return Spread(1.5, 0.2 + 0.3 * max(0.0, 1 - n / WEEK))


def _followed(counts: Sequence[int], shape: Sequence[float]) -> Track:
    """With the memory that served this series best."""
    tracks = [follow(counts, shape, memory) for memory in _MEMORIES]
    return min(tracks, key=lambda track: track.error)


def _most_of_days(counts: Sequence[int], track: Track) -> list[float]:
    """Of the five hours around the one that runs, the most that any day had, but for its spikes.

    As long as nobody knows how an app's days differ, the busiest is the measure.
    """
    plain = [min(c, 2 * e + 5) for c, e in zip(counts, track.expected, strict=True)]
    n = len(plain)
    return [max(plain[(n + i) % DAY :: DAY], default=0.0) for i in range(-2, 3)]


def _rates(around: Sequence[float]) -> tuple[float, float, float]:
    """Of five hours, the three in the middle, each with what its neighbours may lend it."""
    lent = [
        max(own, _NEIGHBOUR * before, _NEIGHBOUR * after)
        for before, own, after in zip(around, around[1:], around[2:], strict=False)
    ]
    return lent[0], lent[1], lent[2]


def _unwondered(age: int) -> float:
    """The share of the app's crashes that nobody wonders about, by age in hours.

    What is new may take over at any moment; until it is known, only what the
    whole app does not let expect is a spike of it.
    """
    if age < DAY:
        return 1.0
    return max(0.0, 1.0 - age / (2 * DAY))


def _of_app(app: AppBaseline, n: int) -> list[float]:
    """Crashes of the app in the last n hours, without its spikes."""
    known = min(n, len(app.expected))
    start = len(app.expected) - known
    shape = [
        min(count, 2 * wanted + 5)
        for count, wanted in zip(app.past.counts[start:], app.expected[start:], strict=True)
    ]
    return [0.0] * (n - known) + shape


def _without(past: Daily, minutes: Sequence[int], now: int) -> list[int]:
    """Counts by day, the last of them today's, without the last minutes."""
    today = now // (60 * DAY)
    counts = list(past.counts)
    counts += [0] * (today - past.first_day + 1 - len(counts))
    since_midnight = now % (60 * DAY) + 1
    counts[-1] -= sum(minutes[-since_midnight:])
    if since_midnight < len(minutes) and len(counts) > 1:
        counts[-2] -= sum(minutes[:-since_midnight])
    return counts


def _spread_of_group(app: AppBaseline) -> Spread:
    """It wanders with the app, and its share of the app wanders as much again."""
    own = max(_GROUP_SPREAD.relative, app.spread.relative)
    return dispersion.widened(app.spread, Spread(_GROUP_SPREAD.dispersion, own))


def _by_day(app: AppBaseline, first_day: int, days: int) -> list[float]:
    """Crashes of the app in each of the days, without its spikes."""
    start = max(0, first_day * DAY - app.past.first_hour)
    offset = app.past.first_hour - first_day * DAY
    sums = [0.0] * days
    for i in range(start, len(app.expected)):
        count, wanted = app.past.counts[i], app.expected[i]
        sums[(offset + i) // DAY] += min(count, 2 * wanted + 5)
    return sums


def _latest(pairs: Sequence[tuple[float, float]]) -> float:
    """The share of the last two days, the first two of the pairs."""
    crashes = sum(weight for _, weight in pairs[:2])
    return sum(value * weight for value, weight in pairs[:2]) / crashes if crashes else 0.0


def _weighted_median(pairs: Sequence[tuple[float, float]]) -> float:
    half = sum(weight for _, weight in pairs) / 2
    for value, weight in sorted(pairs):
        half -= weight
        if half <= 0:
            return value
    return 0.0
