from __future__ import annotations

import pytest

from chalicelib.alerts.level import follow, held_back

MEMORY = 0.6


def test_a_level_follows_growth() -> None:
    counts = [round(100 * 1.01**hour) for hour in range(200)]

    track = follow(counts, [100.0] * 200, MEMORY)

    assert 100 * track.level == pytest.approx(counts[-1], rel=0.03)


def test_what_is_expected_of_an_hour_does_not_know_the_hour() -> None:
    counts = [100] * 50
    before = follow(counts, [100.0] * 50, MEMORY)
    counts[40] = 170

    changed = follow(counts, [100.0] * 50, MEMORY)

    assert changed.expected[:41] == before.expected[:41]
    assert changed.expected[41] > before.expected[41]


def test_a_spike_of_hours_is_not_learnt_from() -> None:
    counts = [100] * 100 + [400] * 3

    track = follow(counts, [100.0] * 103, MEMORY)

    assert track.level == pytest.approx(1.0, rel=0.01)
    assert track.odd == {100, 101, 102}


def test_a_level_that_stays_is_learnt() -> None:
    counts = [100] * 100 + [400] * 24

    assert follow(counts, [100.0] * 124, MEMORY).level == pytest.approx(4.0, rel=0.05)


def test_events_that_come_every_day_are_noise() -> None:
    counts = [100 + 300 * (hour % 24 == 7) for hour in range(240)]

    assert not follow(counts, [100.0] * 240, MEMORY).odd


def test_an_outage_is_not_learnt_from_and_holds_crashes_back() -> None:
    counts = [100] * 100 + [0] * 2

    track = follow(counts, [100.0] * 102, MEMORY)

    assert track.level == pytest.approx(1.0, rel=0.01)
    assert track.late >= 200


def test_what_an_outage_held_back_is_forgotten_hours_later() -> None:
    counts = [100] * 100 + [0] * 2 + [100] * 15

    assert follow(counts, [100.0] * 117, MEMORY).late < 1


def test_an_app_that_fell_silent_is_learnt_after_a_day() -> None:
    counts = [100] * 100 + [0] * 48

    assert follow(counts, [100.0] * 148, MEMORY).level < 0.1


def test_nothing_is_learnt_from_zeros() -> None:
    track = follow([0] * 50, [0.0] * 50, MEMORY)

    assert track.learnt == 0.0
    assert not any(track.expected)


def test_a_backlog_that_came_is_no_longer_held_back() -> None:
    assert held_back(300.0, came=400.0, wanted=100.0) == 0.0
    assert held_back(0.0, came=90.0, wanted=100.0) == 0.0
    assert held_back(0.0, came=0.0, wanted=100.0) >= 100.0
