"""What hours of the day and of the week have, out of four weeks of counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

DAY = 24
WEEK = 7 * DAY
_WEEKS_TRUSTED = 3  # with fewer, the other days' same hour has a say
_ALONE = 1.8  # times its neighbours, an hour that stands out
_DAYS_OFTEN = 4  # after which what came at one hour is known to come often
_ALONE_BY = 8  # crashes, at least
_SMOOTHED = 15  # crashes an hour, at which neighbours weigh half of what they weigh at none


class Seasons(NamedTuple):
    """Crashes of each hour of the past, of the one that runs and of the two after it.

    Of an hour of the past, it is what the *other* weeks had at that hour. A
    `burst` is what one hour has above both its neighbours week after week: a
    job that runs at that time, whose crashes may come within a minute.
    """

    usual: list[float]
    bursts: list[float]


def seasons(counts: Sequence[int]) -> Seasons:
    """The median of the same hour of the week; of the day, while there are few weeks.

    A median over weeks knows nothing of one week's spike, outage or holiday.
    """
    n = len(counts)
    if n < DAY:
        mean = sum(counts) / n if n else 0.0
        return Seasons([mean] * (n + 3), [0.0] * (n + 3))
    raw = _of_other_weeks(counts)
    bursts = [0.0] * len(raw)
    for i in range(1, len(raw) - 1 if n >= _DAYS_OFTEN * DAY else 0):
        around = max(raw[i - 1], raw[i + 1])
        if raw[i] > _ALONE * around + _ALONE_BY:
            bursts[i] = raw[i] - around
            raw[i] = around
    usual = raw.copy()
    for i in range(1, len(raw) - 1):
        weight = 0.5 / (1 + raw[i] / _SMOOTHED)
        usual[i] += weight * ((raw[i - 1] + raw[i + 1]) / 2 - raw[i])
    return Seasons(usual, bursts)


def _of_other_weeks(counts: Sequence[int]) -> list[float]:
    n = len(counts)
    of_slot: list[list[int]] = [sorted(counts[i::WEEK]) for i in range(min(WEEK, n))]
    trusted = n >= _WEEKS_TRUSTED * WEEK
    daily = [] if trusted else _by_days(counts)
    raw: list[float] = []
    for i in range(n + 3):
        slot = i % WEEK
        values: list[float] = list(of_slot[slot]) if slot < n else []
        if i < n:
            values.remove(counts[i])
        if not trusted or not values:
            values += daily[i] if daily else ()
            values.sort()
        raw.append(median(values))
    return raw


def _by_days(counts: Sequence[int]) -> list[tuple[float, ...]]:
    """What the same hour of the other days lets expect, and that on this day of the week."""
    n = len(counts)
    latest = max(0, n - WEEK)
    usual = [median(sorted(counts[latest + (i - latest) % DAY :: DAY])) for i in range(DAY)]
    days = [sum(counts[i : i + DAY]) for i in range(0, n - DAY + 1, DAY)]
    whole = median(sorted(days[-7:]))
    found: list[tuple[float, ...]] = []
    for i in range(n + 3):
        others = sorted(days[day] for day in range(i // DAY % 7, len(days), 7) if day != i // DAY)
        level = usual[i % DAY]
        if others and whole > 0:
            found.append((level, level * median(others) / whole))
        else:
            found.append((level,))
    return found


def median(values: Sequence[float]) -> float:
    """Of values in order; 0 of none."""
    n = len(values)
    middle = n // 2
    if n % 2:
        return values[middle]
    return (values[middle - 1] + values[middle]) / 2 if n else 0.0
