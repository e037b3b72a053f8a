"""What the past lets expect of the hour that runs: of an app, a version, a group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chalicelib.alerts import dispersion
from chalicelib.alerts.dispersion import Spread

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

    def until(self, hour: int) -> Hourly:
        """The last `HOURS` before `hour`, filled with zeros."""
        counts = list(self.counts[: max(0, hour - self.first_hour)])
        counts += [0] * max(0, hour - self.first_hour - len(counts))
        return Hourly(hour - len(counts[-HOURS:]), counts[-HOURS:])


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
    after it. `learnt` says how many crashes the present level was learnt from,
    `spread` how counts scatter around what is expected of them. `burst` more
    may come at once at this hour, as they often did; `owed` did not come when
    they were expected, and may come late. A score of `limit` is out of the
    ordinary.
    """

    hour: int
    rates: tuple[float, float, float]
    learnt: float
    spread: Spread
    burst: float
    owed: float
    limit: float


@dataclass(frozen=True, slots=True)
class AppBaseline(Baseline):
    """An app's, with what versions and groups are measured by: its past, and what was expected."""

    past: Hourly
    expected: tuple[float, ...]  # of the hours of `past`, each from those before it


def of_app(past: Hourly, hour: int) -> AppBaseline:
    """An app's baseline. A few milliseconds: keep it for the hour."""
    past = past.until(hour)
    shape, bursts = _seasonal(past.counts)
    whole = [value + burst for value, burst in zip(shape, bursts, strict=True)]
    track = min(
        (_follow(past.counts, whole, memory) for memory in _MEMORIES), key=lambda t: t.error
    )
    rates = tuple(track.level * value for value in shape[-3:])
    return AppBaseline(
        hour,
        (rates[0], rates[1], rates[2]),
        track.learnt,
        dispersion.measured(track.expected, past.counts, _APP_PRIOR, track.odd),
        max(bursts[-3:]),
        track.owed,
        _APP_LIMIT,
        past,
        tuple(track.expected),
    )


def of_version(app: AppBaseline, past: Hourly) -> Baseline:
    """A version's, whose share of the app changes as people take it or leave it."""
    past = past.until(app.hour)
    n = len(past.counts)
    shape = _own_shape(app, n)
    tracks = [_follow(past.counts, shape, memory) for memory in _VERSION_MEMORIES]
    best = min(tracks, key=lambda track: track.error)
    # While people take it its level rises: the highest of the estimates.
    level = max(track.level for track in tracks)
    young = _young(n)
    level = max(level, young)
    spread = dispersion.measured(best.expected, past.counts, _VERSION_PRIOR, best.odd)
    before, within, after = (rate * level for rate in app.rates)
    return Baseline(
        app.hour,
        (before, within, after),
        best.learnt,
        spread,
        app.burst,
        best.owed,
        _VERSION_LIMIT,
    )


def of_group(app: AppBaseline, past: Daily, minutes: Sequence[int], now: int) -> Baseline:
    """A group's at the minute `now`, whose hours nobody kept: its days in the shape of the app's.

    `minutes` are its last 60 minutes as `judge` gets them: they are in its days too.
    """
    today = now // 60 // _DAY
    since_midnight = now % (60 * _DAY) + 1
    own = list(past.counts)
    if own and past.first_day + len(own) - 1 == today:
        own[-1] -= sum(minutes[-since_midnight:])
        if since_midnight < MINUTES and len(own) > 1:
            own[-2] -= sum(minutes[:-since_midnight])
    whole = _by_day(app, past.first_day, len(own))
    shares = sorted(c / w for c, w in zip(own[-8:], whole[-8:], strict=True) if w > 0)
    usual = shares[len(shares) // 2] if shares else 0.0
    a, b = 0.0, 1e-9
    for count, crashes in zip(own[-8:], whole[-8:], strict=True):
        a = a * _GROUP_MEMORY + min(max(count, 0), 3 * usual * crashes + 10)
        b = b * _GROUP_MEMORY + crashes
    share = a / b
    age = max(0, (now - past.born) // 60)
    share = max(share, _young(age))
    before, within, after = (rate * share for rate in app.rates)
    return Baseline(
        app.hour,
        (before, within, after),
        min(a, 100.0),
        dispersion.widened(app.spread, _GROUP_PRIOR),
        app.burst,
        app.owed * min(1.0, share),
        _GROUP_LIMIT,
    )


_APP_LIMIT, _VERSION_LIMIT, _GROUP_LIMIT = 4.2, 4.5, 4.8
_APP_PRIOR = Spread(1.3, 0.25)
_VERSION_PRIOR = Spread(1.3, 0.3)
_GROUP_PRIOR = Spread(1.5, 0.15)
_MEMORIES = (0.5, 0.8, 0.93)
_VERSION_MEMORIES = (0.6, 0.9)
_GROUP_MEMORY = 0.5
_PATIENCE = 6  # hours that may be far above the expected before they are the new level
_LOW_PATIENCE = 24


def _young(age: int) -> float:
    """Share of the app's crashes that nobody wonders about, by age in hours."""
    if age < 24:
        return 1.0
    return max(0.0, 1.0 - (age - 24) / 24) * 0.5


def _own_shape(app: AppBaseline, n: int) -> list[float]:
    """Of the last n hours, this one and the next: crashes of the app."""
    counts, expected = app.past.counts, app.expected
    known = min(n, len(counts))
    # Half of what came and half of what was expected: what came follows holidays, what was
    # expected knows no spike.
    shape = [
        (min(c, 2 * e + 5) + e) / 2
        for c, e in zip(
            counts[len(counts) - known :], expected[len(expected) - known :], strict=True
        )
    ]
    return [0.0] * (n - known) + shape + [app.rates[1], app.rates[2]]


def _by_day(app: AppBaseline, first_day: int, days: int) -> list[float]:
    """Crashes of the app in each of the days."""
    sums = [0.0] * days
    offset = app.past.first_hour - first_day * _DAY
    for i, count in enumerate(app.past.counts):
        day = (offset + i) // _DAY
        if 0 <= day < days:
            sums[day] += count
    return sums


class _Track(NamedTuple):
    """How a level was followed through the past."""

    level: float
    learnt: float
    expected: list[float]
    error: float
    owed: float
    odd: frozenset[int]  # hours far above or below: events, not noise


def _follow(counts: Sequence[int], shape: Sequence[float], memory: float) -> _Track:
    """The level over its shape, hour by hour: a discounted gamma-Poisson filter.

    West and Harrison, Bayesian Forecasting and Dynamic Models, 1997, section
    14.4: what was learnt is worth `memory` of it an hour later. Hours far above
    what was expected are a spike: they are not learnt from unless they last.
    """
    a = b = slow_a = slow_b = 0.0
    error = owed = 0.0
    high = low = 0
    expected: list[float] = []
    odd: list[int] = []
    runs = 0
    for i, (count, usual) in enumerate(zip(counts, shape, strict=False)):
        level = _level(a, b, slow_a, slow_b)
        wanted = level * usual
        expected.append(wanted)
        error += abs(math.sqrt(count) - math.sqrt(wanted))
        owed = max(0.0, owed * 0.9 + 0.6 * wanted - count)
        learnt = count
        if count > 2 * wanted + 3 * math.sqrt(wanted) + 5 and slow_b > 0:
            high += 1
            runs += high == 1
            if high <= _PATIENCE:
                odd.append(i)
                a, b = a * memory, b * memory
                continue
        else:
            high = 0
        if wanted >= 10 and count < 0.3 * wanted:
            low += 1
            if low <= _LOW_PATIENCE:
                odd.append(i)
                continue
        else:
            low = 0
        a, b = a * memory + learnt, b * memory + usual
        slow_a, slow_b = slow_a * 0.98 + learnt, slow_b * 0.98 + usual
    level = _level(a, b, slow_a, slow_b)
    rare = runs <= 2 + len(expected) / _RARE
    return _Track(
        level,
        a + min(slow_a, _PRIOR_CRASHES),
        expected,
        error,
        owed,
        frozenset(odd if rare else ()),
    )


_PRIOR_CRASHES = 5.0
_RARE = 60  # hours between events, at least: where they come more often, they are its noise


def _level(a: float, b: float, slow_a: float, slow_b: float) -> float:
    slow = slow_a / slow_b if slow_b > 0 else 1.0
    if slow <= 0:
        return (a + 1e-9) / (b + 1e-9) if b else 0.0
    return (a + _PRIOR_CRASHES) / (b + _PRIOR_CRASHES / slow)


def _seasonal(counts: Sequence[int]) -> tuple[list[float], list[float]]:
    """For each hour, and for this one and the next, what the same hours of other weeks had.

    The second list is what came in one hour far above its neighbours, week after week.
    """
    n = len(counts)
    if n < _DAY:
        mean = sum(counts) / n if n else 0.0
        return [mean] * (n + 3), [0.0] * (n + 3)
    of_slot: list[list[int]] = [[] for _ in range(_WEEK)]
    of_hour: list[list[int]] = [[] for _ in range(_DAY)]
    for i, count in enumerate(counts):
        of_slot[i % _WEEK].append(count)
        if i >= n - _WEEK:
            of_hour[i % _DAY].append(count)
    daily = [_median(sorted(values)) for values in of_hour]
    enough = n >= 3 * _WEEK
    raw: list[float] = []
    for i in range(n + 2):
        values = of_slot[i % _WEEK]
        if i < n:
            values = values.copy()
            values.remove(counts[i])
        if enough and values:
            raw.append(_median(sorted(values)))
        else:
            raw.append(_median(sorted([*values, daily[i % _DAY]])))
    bursts = [0.0] * len(raw)
    for i in range(1, len(raw) - 1):
        around = max(raw[i - 1], raw[i + 1])
        if raw[i] > 1.8 * around + 8:
            bursts[i] = raw[i] - around
    plain = [value - burst for value, burst in zip(raw, bursts, strict=True)]
    shape = []
    for i, value in enumerate(plain):
        around = (plain[max(0, i - 1)] + plain[min(len(plain) - 1, i + 1)]) / 2
        weight = 0.5 / (1 + value / 15)
        shape.append(value + weight * (around - value))
    before = shape[n - 1]
    return [*shape[:n], before, shape[n], shape[n + 1]], [*bursts[:n], bursts[n - 1], *bursts[n:]]


def _median(values: Sequence[float]) -> float:
    n = len(values)
    middle = n // 2
    if n % 2:
        return values[middle]
    return (values[middle - 1] + values[middle]) / 2 if n else 0.0
