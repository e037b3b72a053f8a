from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import fields

import pytest

from chalicelib.alerts.spikes import Verdict
from chalicelib.alerts.watch import (
    CALM_MINUTES,
    COOL_DOWN_MINUTES,
    Event,
    Watch,
    percent_of_expected,
    step,
)

START = 28_000_000


def _verdict(percent: int) -> Verdict:
    return Verdict(percent, 100.0, 30, (percent - 100) / 20, is_spike=percent >= 200)


def _run(
    percents: Iterable[int], watch: Watch | None = None, start: int = START
) -> tuple[Watch, list[tuple[int, Event]]]:
    watch = watch or Watch()
    events: list[tuple[int, Event]] = []
    for minute, percent in enumerate(percents):
        watch, event = step(watch, _verdict(percent), start + minute)
        if event is not None:
            events.append((minute, event))
    return watch, events


def test_the_usual_opens_nothing_and_is_not_remembered() -> None:
    watch, events = _run([100, 150, 199] * 50)

    assert not events
    assert watch.idle(START + 150)


def test_a_spike_opens_once_and_closes_when_it_was_calm_for_half_an_hour() -> None:
    _, events = _run([100] * 5 + [300] * 40 + [100] * 60)

    assert events == [(5, Event.OPENED), (45 + CALM_MINUTES, Event.CLOSED)]


def test_a_calm_moment_does_not_close() -> None:
    _, events = _run([300] * 10 + ([100] * (CALM_MINUTES - 1) + [300]) * 5)

    assert events == [(0, Event.OPENED)]


def test_a_rate_at_the_threshold_does_not_flap() -> None:
    draw = random.Random(7)
    _, events = _run([draw.choice((150, 190, 205, 220)) for _ in range(600)])

    assert [event for _, event in events] == [Event.OPENED]


def test_between_calm_and_spiking_it_stays_as_it_is() -> None:
    assert _run([180] * 100)[1] == []
    assert _run([300] + [180] * 100)[1] == [(0, Event.OPENED)]


def test_one_as_high_does_not_open_again_while_it_cools_down() -> None:
    watch, _ = _run([300] * 10 + [100] * (CALM_MINUTES + 1))
    closed = START + 10 + CALM_MINUTES
    assert watch.closed == closed

    assert _run([310], watch, closed + 10)[1] == []
    assert _run([600], watch, closed + 10)[1] == [(0, Event.OPENED)]
    assert _run([310], watch, closed + COOL_DOWN_MINUTES)[1] == [(0, Event.OPENED)]


def test_a_tick_that_runs_again_changes_nothing() -> None:
    watch, event = step(Watch(), _verdict(300), START)
    assert event is Event.OPENED

    assert step(watch, _verdict(300), START) == (watch, None)
    assert step(watch, _verdict(100), START - 1) == (watch, None)


def test_ticks_may_be_missing() -> None:
    watch, _ = step(Watch(), _verdict(300), START)
    watch, event = step(watch, _verdict(100), START + 500)
    assert event is None

    assert step(watch, _verdict(100), START + 500 + CALM_MINUTES)[1] is Event.CLOSED


def test_silence_is_calm() -> None:
    silent = Verdict(0, 0.0, 30, 0.0, is_spike=False)
    watch, _ = step(Watch(), _verdict(300), START)
    watch, _ = step(watch, silent, START + 1)

    assert step(watch, silent, START + 1 + CALM_MINUTES)[1] is Event.CLOSED


def test_chance_alone_is_calm_where_little_is_expected() -> None:
    little = Verdict(4, 2.0, 30, 1.2, is_spike=False)
    watch, _ = step(Watch(), _verdict(300), START)
    watch, _ = step(watch, little, START + 1)

    assert watch.calm_since == START + 1


def test_the_state_is_whole_numbers() -> None:
    watch, _ = _run([300] * 10 + [100] * 10)

    for field in fields(watch):
        value = getattr(watch, field.name)
        assert value is None or type(value) is int, field.name
    assert not watch.idle(START + 20)
    assert Watch().idle(START)


@pytest.mark.parametrize(
    ("observed", "expected", "percent"), [(30, 10.0, 300), (30, 0.0, 3000), (0, 5.0, 0)]
)
def test_the_height_is_told_in_percent(observed: int, expected: float, percent: int) -> None:
    assert percent_of_expected(Verdict(observed, expected, 5, 0.0, is_spike=False)) == percent
