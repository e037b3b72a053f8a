from __future__ import annotations

import math

import pytest

from chalicelib.alerts.seasons import DAY, WEEK, seasons

WEEKS = 4


def _day_and_week(hour: int) -> int:
    weekend = hour % WEEK // DAY in (2, 3)
    return round(
        400 * (1 + 0.8 * math.sin(hour % DAY / DAY * 2 * math.pi)) * (0.5 if weekend else 1)
    )


def test_nothing_is_expected_without_a_past() -> None:
    assert seasons([]).usual == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("hours", [1, 23, 24, 47, 100, WEEK, 300, 3 * WEEK - 1, WEEKS * WEEK])
def test_every_hour_of_the_past_and_three_more_have_a_usual_count(hours: int) -> None:
    found = seasons([10] * hours)

    assert len(found.usual) == len(found.bursts) == hours + 3
    assert found.usual == pytest.approx([10.0] * (hours + 3))
    assert not any(found.bursts)


@pytest.mark.parametrize("weeks", [2, 3, 4])
def test_hours_of_the_week_come_again(weeks: int) -> None:
    n = weeks * WEEK
    found = seasons([_day_and_week(hour) for hour in range(n)])

    wanted = [_day_and_week(hour) for hour in range(n, n + 3)]
    assert found.usual[-3:] == pytest.approx(wanted, rel=0.02)


def test_a_week_is_told_by_its_days_as_soon_as_there_are_two() -> None:
    counts = [_day_and_week(hour) for hour in range(WEEK + 2 * DAY)]

    first_of_weekend = seasons(counts).usual[WEEK + 2 * DAY]

    assert first_of_weekend == pytest.approx(_day_and_week(2 * DAY), rel=0.1)


def test_a_spike_of_another_week_is_not_expected_again() -> None:
    counts = [600] * (WEEKS * WEEK)
    for hour in range(-WEEK, -WEEK + 3):
        counts[hour] = 6000

    assert seasons(counts).usual[-3:] == pytest.approx([600.0] * 3)


def test_an_outage_of_another_week_is_not_expected_again() -> None:
    counts = [600] * (WEEKS * WEEK)
    for hour in range(-WEEK, -WEEK + 3):
        counts[hour] = 0

    assert seasons(counts).usual[-3:] == pytest.approx([600.0] * 3)


def test_what_comes_at_one_hour_every_night_is_a_burst_of_that_hour() -> None:
    counts = [30 + 300 * (hour % DAY == 3) for hour in range(2 * WEEK + 3)]

    found = seasons(counts)

    assert found.bursts[-3] == pytest.approx(300)
    assert found.usual[-3] == pytest.approx(30)
    assert found.bursts[-2:] == [0.0, 0.0]
