"""Simulated crashes of apps, minute by minute, with spikes at known times.

Every figure is drawn from the seed: the same seed is the same traffic. An app
has a size between a few crashes a day and 1000 a minute, the pattern of its
users' days and weeks in their time zone (with a change to summer time), growth,
holidays, a slow and a fast noise, crashes that repeat on one device, releases
that take over within days and bring their own groups and their own level,
hours in which nothing is reported (with or without a backlog after them), and
device farms that upload many crashes at once: nightly, or unannounced.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

HOUR = 60
DAY = 24 * HOUR
WEEK = 7 * DAY
MONTH = 30 * DAY
START = 20_000 * DAY  # a Wednesday, in minutes since the epoch

SMALLEST, LARGEST = 0.003, 1000.0  # crashes a minute on average
FACTORS = (3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 2.0, 5.0, 10.0)  # of spikes; one of them is drawn
_BETWEEN_SPIKES = 4 * DAY  # on average, of one app
_APART = 12 * HOUR  # at least: one that follows sooner belongs to the same incident
_DEVICES = 8  # that repeat, followed one by one; where there are more they even out
_QUIET_START = 2 * DAY  # nothing is known before

Subject = tuple[str, int]  # ("app", 0), ("version", n), ("group", n)


@dataclass(frozen=True, slots=True)
class Noise:
    """How bursty an app is: deviations of the logarithm of its rate, and repeated crashes."""

    name: str
    slow: float  # correlated over hours
    fast: float  # correlated over minutes
    repeating: float  # share of crashes that come again and again


NOISES = (
    Noise("steady", 0.05, 0.03, 0.02),
    Noise("usual", 0.10, 0.05, 0.04),
    Noise("bursty", 0.20, 0.10, 0.10),
)


@dataclass(frozen=True, slots=True)
class Spike:
    """`start` and `end` in minutes since the epoch, with the fraction of the minute."""

    subject: Subject
    factor: float
    start: float
    end: float

    def share(self, minute: int) -> float:
        """Of the minute that lies in it."""
        return max(0.0, min(self.end, minute + 1) - max(self.start, minute))


@dataclass(frozen=True, slots=True)
class Cell:
    """Crashes of one version in one group, in one minute."""

    version: int
    group: int  # -1: the many groups that are too small to follow
    count: int


@dataclass(slots=True)
class _Version:
    number: int
    released: int
    level: float
    days: float  # until half of the users have it
    groups: list[tuple[int, float]] = field(default_factory=list)  # with their weights


class App:
    """One app's traffic of `months`, in minutes from `START`."""

    def __init__(self, seed: int, months: float, size: float | None = None) -> None:
        self._random = draw = random.Random(seed)
        exponent = draw.uniform(math.log(SMALLEST), math.log(LARGEST))
        self.size = size or math.exp(exponent)
        self.noise = draw.choice(NOISES)
        self.minutes = round(months * MONTH)
        self.end = START + self.minutes
        self._zone = draw.randint(-11, 12) * HOUR
        self._summer = START + draw.randint(0, self.minutes) if draw.random() < 0.7 else self.end
        self._summer_shift = draw.choice((-HOUR, HOUR))
        self._pattern = _pattern(draw)
        self._growth = math.log(draw.choice((0.85, 0.95, 1.0, 1.05, 1.1, 1.25))) / WEEK
        self._holidays = {
            day: draw.choice((0.4, 0.6, 1.4, 1.7))
            for day in range(self.minutes // DAY + 1)
            if draw.random() < 1.5 / 30
        }
        self.versions = self._released()
        self._outages = self._down()
        self._farm_hour = draw.randrange(24) if draw.random() < 0.3 else None
        self._farm_size = math.exp(draw.uniform(math.log(20), math.log(400)))
        self._bulk = [
            START + draw.randrange(self.minutes)
            for _ in range(_poisson(draw, 1.5 * self.minutes / MONTH))
        ]
        self.spikes = self._injected()

    # How the app is made

    def _released(self) -> list[_Version]:
        draw = self._random
        versions: list[_Version] = []
        groups: list[tuple[int, float]] = []
        born = 0
        at = START - 60 * DAY
        while at < self.end:
            groups = [kept for kept in groups if draw.random() < 0.8]  # the others are fixed
            wanted = min(40, 6 + round(4 * math.log1p(self.size)))
            while len(groups) < wanted:
                groups.append((born, draw.paretovariate(0.9)))
                born += 1
            level = draw.choice((0.6, 0.8, 1.0, 1.0, 1.2, 1.6))
            version = _Version(len(versions), at, level, draw.uniform(0.7, 3.0), list(groups))
            versions.append(version)
            at += round(draw.uniform(7, 28) * DAY)
        return versions

    def _down(self) -> list[tuple[int, int, float]]:
        """Start, minutes and the share that arrives afterwards."""
        draw = self._random
        return sorted(
            (
                START + draw.randrange(self.minutes),
                draw.randint(20, 240),
                draw.choice((0.0, 0.5, 1.0)),
            )
            for _ in range(_poisson(draw, self.minutes / MONTH))
        )

    def _injected(self) -> list[Spike]:
        draw = self._random
        spikes: list[Spike] = []
        at = START + _QUIET_START + draw.expovariate(1 / _BETWEEN_SPIKES)
        while at + 2 * HOUR < self.end:
            end = at + draw.uniform(30, 120)
            if not any(
                at - 4 * HOUR < down + long and down < end for down, long, _ in self._outages
            ):
                subject = self._subject(int(at), draw.choice(("app", "version", "group")))
                spikes.append(Spike(subject, draw.choice(FACTORS), at, end))
            at = end + _APART + draw.expovariate(1 / (_BETWEEN_SPIKES - _APART))
        return spikes

    def _subject(self, minute: int, kind: str) -> Subject:
        if kind == "app":
            return ("app", 0)
        weights = self._shares(minute)
        version = self._random.choices(self.versions, weights)[0]
        if kind == "version":
            return ("version", version.number)
        numbers = [number for number, _ in version.groups]
        shares = [weight for _, weight in version.groups]
        return ("group", self._random.choices(numbers, shares)[0])

    # How it runs

    def _shares(self, minute: int) -> list[float]:
        """Of the users, by version: each takes over from those before it."""
        shares = [0.0] * len(self.versions)
        left = 1.0
        for version in reversed(self.versions):
            age = (minute - version.released) / DAY
            if age < 0:
                continue
            taken = 1 / (1 + math.exp(-(age - 3 * version.days) / (0.6 * version.days)))
            taken = max(0.0, taken - 0.006)  # nobody has it when it is released
            if version.number == 0:
                taken = 1.0
            shares[version.number] = left * taken
            left *= 1 - taken
        return shares

    def mean(self, minute: int) -> float:
        """Crashes a minute without noise, spikes and the level of versions."""
        local = minute + self._zone + (self._summer_shift if minute >= self._summer else 0)
        elapsed = minute - START
        holiday = self._holiday(elapsed + self._zone)
        place = local % WEEK / HOUR
        low = int(place)
        ahead = self._pattern[(low + 1) % 168]
        shape = self._pattern[low] + (ahead - self._pattern[low]) * (place - low)
        return self.size * shape * holiday * math.exp(self._growth * elapsed)

    def _holiday(self, local: int) -> float:
        """It begins and ends within the hours around midnight."""
        day, minute = divmod(local, DAY)
        today = self._holidays.get(day, 1.0)
        if minute < 2 * HOUR:
            other, share = self._holidays.get(day - 1, 1.0), 0.5 - minute / HOUR / 4
        else:
            other, share = self._holidays.get(day + 1, 1.0), max(0.0, minute / HOUR - 22) / 4
        return math.exp((1 - share) * math.log(today) + share * math.log(other))

    def run(self) -> Iterator[tuple[int, list[Cell], dict[Subject, float]]]:
        """Minute, what came in it, and, of subjects that spike, their rate without the spike."""
        draw = random.Random(self._random.random())
        slow, fast = _Drift(draw, self.noise.slow, 180), _Drift(draw, self.noise.fast, 8)
        of_group: dict[int, _Drift] = {}
        repeats: dict[int, list[Cell]] = {}
        held: dict[tuple[int, int], int] = {}
        shares: list[float] = []
        rates: list[tuple[int, int, float]] = []
        backlog: list[Cell] = []
        outages = list(self._outages)
        for minute in range(START, self.end):
            if minute % 30 == 0:
                shares = self._shares(minute)
                rates = self._cells(shares, of_group, draw)
            level = self.mean(minute) * math.exp(slow.next() + fast.next())
            spiking = [
                spike for spike in self.spikes if spike.start < minute + 1 and minute < spike.end
            ]
            unspiked = {spike.subject: 0.0 for spike in spiking}
            cells: list[Cell] = []
            for version, group, share in rates:
                rate = level * share
                for spike in spiking:
                    if spike.subject in (("app", 0), ("version", version), ("group", group)):
                        unspiked[spike.subject] += rate
                        rate *= 1 + (spike.factor - 1) * spike.share(minute)
                count = _poisson(draw, rate)
                if not count:
                    continue
                cells.append(Cell(version, group, count))
                again = _poisson(draw, count * self.noise.repeating)
                for _ in range(min(again, _DEVICES)):
                    times = (1 + int(draw.expovariate(1 / 3))) * max(1, again // _DEVICES)
                    later = minute + 1 + int(draw.expovariate(1 / 3))
                    repeats.setdefault(later, []).append(Cell(version, group, times))
            cells += repeats.pop(minute, [])
            cells += self._farm(minute, rates, draw)
            while outages and minute >= outages[0][0] + outages[0][1]:
                kept = outages.pop(0)[2]
                backlog = [Cell(*key, round(count * kept)) for key, count in held.items()]
                held.clear()
            if outages and minute >= outages[0][0]:
                for cell in cells:
                    key = (cell.version, cell.group)
                    held[key] = held.get(key, 0) + cell.count
                cells = []
            elif backlog:
                now = [Cell(c.version, c.group, -(-c.count // 15)) for c in backlog]
                cells += now
                backlog = [
                    Cell(c.version, c.group, c.count - n.count)
                    for c, n in zip(backlog, now, strict=True)
                    if c.count > n.count
                ]
            yield minute, cells, unspiked

    def _cells(
        self, shares: list[float], of_group: dict[int, _Drift], draw: random.Random
    ) -> list[tuple[int, int, float]]:
        rates = []
        for version in self.versions:
            share = shares[version.number] * version.level
            if share < 1e-4:
                continue
            weights = {}
            for group, weight in version.groups:
                if group not in of_group:
                    of_group[group] = _Drift(draw, self.noise.slow, 12)
                weights[group] = weight * math.exp(of_group[group].value)
            whole = sum(weights.values()) * 1.25  # a fifth is in groups too small to follow
            rates += [(version.number, g, share * w / whole) for g, w in weights.items()]
            rates.append((version.number, -1, share * 0.2))
        for drift in of_group.values():
            drift.next()
        return rates

    def _farm(
        self, minute: int, rates: list[tuple[int, int, float]], draw: random.Random
    ) -> list[Cell]:
        size = 0.0
        if self._farm_hour is not None and minute % DAY // HOUR == self._farm_hour:
            size = self._farm_size / 3 if 10 <= minute % HOUR < 13 else 0.0
        size += sum(self._farm_size / 2 for at in self._bulk if at <= minute < at + 2)
        if not size:
            return []
        chosen = draw.choices(rates, [share for _, _, share in rates], k=3)
        return [Cell(v, g, _poisson(draw, size / 3)) for v, g, _ in chosen]


class _Drift:
    """Noise that remembers: `deviation` is its own, `memory` how many steps it is correlated."""

    def __init__(self, draw: random.Random, deviation: float, memory: float) -> None:
        self._draw = draw
        self._keep = math.exp(-1 / memory)
        self._step = deviation * math.sqrt(1 - self._keep**2)
        self.value = draw.gauss(0, deviation)

    def next(self) -> float:
        self.value = self.value * self._keep + self._draw.gauss(0, self._step)
        return self.value


def _pattern(draw: random.Random) -> list[float]:
    """168 hours from Thursday midnight (the epoch's weekday), 1 on average."""
    kind = draw.choice(("day", "evening", "office", "everywhere"))
    hours = []
    for hour in range(168):
        weekend = hour // 24 in (2, 3)
        at = hour % 24
        night = math.cos((at - 15) / 24 * 2 * math.pi)
        if kind == "day":
            value = math.exp(1.0 * night) * (0.8 if weekend else 1.0)
        elif kind == "evening":
            value = math.exp(0.8 * math.cos((at - 20) / 24 * 2 * math.pi) + 0.3 * night)
            value *= 1.5 if weekend else 1.0
        elif kind == "office":
            value = 0.12 + (0.0 if weekend else 1 / (1 + math.exp(2 * (abs(at - 13) - 5))))
        else:
            value = 1 + 0.15 * night
        hours.append(value * draw.uniform(0.95, 1.05))
    mean = sum(hours) / 168
    return [value / mean for value in hours]


def _poisson(draw: random.Random, mean: float) -> int:
    if mean <= 0:
        return 0
    if mean < 12:
        limit, value = draw.random(), 0
        term = total = math.exp(-mean)
        while limit > total and value < 200:
            value += 1
            term *= mean / value
            total += term
        return value
    return max(0, round(draw.gauss(mean, math.sqrt(mean))))
