from __future__ import annotations

import random

import pytest

from chalicelib.alerts.crash_free import HourOfSessions, judge_sessions
from chalicelib.policies import AppPolicy

POLICY = AppPolicy()
RATE = 0.01


def _hour(draw: random.Random, sessions: int, rate: float = RATE) -> HourOfSessions:
    return HourOfSessions(sum(draw.random() < rate for _ in range(sessions)), sessions)


def _past(sessions: int = 3000, hours: int = 100, rate: float = RATE) -> list[HourOfSessions]:
    draw = random.Random(8)
    return [_hour(draw, sessions, rate) for _ in range(hours)]


@pytest.mark.parametrize("past", [[], _past(hours=5), [HourOfSessions(5, 0)] * 50])
def test_nothing_is_said_while_too_few_sessions_are_known(past: list[HourOfSessions]) -> None:
    assert judge_sessions(past, POLICY) is None


def test_the_usual_is_no_drop() -> None:
    past = _past()
    drops = [
        hours
        for hours in range(30, len(past))
        if (verdict := judge_sessions(past[:hours], POLICY)) is None or verdict.is_spike
    ]

    assert drops == []


def test_twice_as_many_sessions_that_crash_are_a_drop() -> None:
    verdict = judge_sessions([*_past(), HourOfSessions(75, 3000)], POLICY)

    assert verdict is not None
    assert verdict.is_spike
    assert verdict.window_minutes == 60
    assert verdict.observed == 75
    assert verdict.expected == pytest.approx(30, rel=0.15)


def test_many_more_users_are_no_drop() -> None:
    verdict = judge_sessions([*_past(), HourOfSessions(310, 30_000)], POLICY)

    assert verdict is not None
    assert not verdict.is_spike


def test_where_sessions_are_few_hours_are_taken_together() -> None:
    past = _past(sessions=300, hours=200)
    past += [HourOfSessions(9, 300)] * 8

    verdict = judge_sessions(past, POLICY)

    assert verdict is not None
    assert verdict.is_spike
    assert verdict.window_minutes > 60


def test_a_point_of_all_sessions_matters_even_if_it_is_not_twice_as_many() -> None:
    past = _past(sessions=20_000, rate=0.03, hours=60)

    assert judge_sessions([*past, HourOfSessions(900, 20_000)], POLICY).is_spike  # type: ignore[union-attr]
    assert not judge_sessions([*past, HourOfSessions(650, 20_000)], POLICY).is_spike  # type: ignore[union-attr]


def test_fewer_crashes_than_the_floor_are_no_drop() -> None:
    verdict = judge_sessions([*_past(rate=0.0005), HourOfSessions(12, 3000)], POLICY)

    assert verdict is not None
    assert not verdict.is_spike


def test_a_bad_day_of_the_past_is_not_what_is_expected() -> None:
    past = _past()
    past[40:60] = [HourOfSessions(300, 3000)] * 20

    verdict = judge_sessions([*past, HourOfSessions(90, 3000)], POLICY)

    assert verdict is not None
    assert verdict.is_spike


def test_an_app_whose_crashes_come_in_clusters_is_given_more_room() -> None:
    draw = random.Random(9)
    clustered = [HourOfSessions(15 * draw.choice((0, 0, 1, 2, 3, 6)), 3000) for _ in range(200)]

    calm = judge_sessions([*clustered, HourOfSessions(75, 3000)], POLICY)
    steady = judge_sessions([*_past(), HourOfSessions(75, 3000)], POLICY)

    assert calm is not None
    assert steady is not None
    assert not calm.is_spike
    assert steady.is_spike
