"""The statistics of spikes: what is expected, what is out of the ordinary, when it is over."""

from __future__ import annotations

import math
from random import Random

import pytest

from benchmarks.alerts import found
from benchmarks.watched import watched
from chalicelib.alerts.baseline import AppBaseline, Daily, Hourly, of_app, of_group, of_version
from chalicelib.alerts.crash_free import HourOfSessions, judge_sessions
from chalicelib.alerts.spikes import Verdict, judge, late_minutes
from chalicelib.alerts.watch import CALM_MINUTES, COOL_DOWN_MINUTES, Event, Watch, step
from chalicelib.policies import AppPolicy

POLICY = AppPolicy()
HOUR = 480_000  # hours since the epoch: an hour of 2024
NOW = HOUR * 60 + 30
RATE = 4  # crashes a minute
NIGHT = 1 / 4  # of the day's rate
SIMULATED = ((3005, 30.0), (3007, 30.0))  # seeds of apps, and their crashes a minute


def past(hours: int = 672, rate: float = RATE, seed: int = 1) -> list[int]:
    """Hours before `HOUR`: full at noon, a quarter at night, with Poisson's noise."""
    draw = Random(seed)
    means = [60 * rate * shape(HOUR - hours + hour) for hour in range(hours)]
    return [max(0, round(draw.gauss(mean, math.sqrt(mean)))) for mean in means]


def shape(hour: int) -> float:
    return NIGHT if hour % 24 < 8 else 1.0


def app_of(counts: list[int], hour: int = HOUR) -> AppBaseline:
    return of_app(Hourly(hour - len(counts), counts), hour)


def at_rate(rate: float, *, since: int = 60, before: float = RATE) -> list[int]:
    """An hour of minutes, the last `since` of them at another rate."""
    return [round(before)] * (60 - since) + [round(rate)] * since


# --- what is expected ---


def test_the_expected_follows_the_hour_of_the_day() -> None:
    counts = past()
    night = next(hour for hour in range(HOUR, HOUR + 24) if shape(hour) == NIGHT) + 2
    day = night + 10
    grown = counts + past(24)
    by_night = of_app(Hourly(HOUR - 672, grown[: 672 + night - HOUR]), night).rates[1]
    by_day = of_app(Hourly(HOUR - 672, grown[: 672 + day - HOUR]), day).rates[1]
    assert 0.15 < by_night / by_day < 0.4


def test_the_usual_rate_is_no_spike_and_three_times_as_much_is() -> None:
    app = app_of(past())
    usual = app.rates[1] / 60
    calm = judge(app, at_rate(usual, before=usual), NOW, POLICY)
    assert not calm.is_spike
    verdict = judge(app, at_rate(3 * usual, since=8, before=usual), NOW, POLICY)
    assert verdict.is_spike
    assert verdict.window_minutes in {5, 10}
    assert verdict.observed > 2 * verdict.expected


def test_below_the_floor_nothing_is_a_spike() -> None:
    app = app_of(past(rate=0.05))
    many = judge(app, [0] * 50 + [1] * 10, NOW, POLICY)
    assert not many.is_spike
    assert judge(app, [0] * 50 + [4] * 10, NOW, POLICY).is_spike


def test_a_spike_and_an_outage_of_the_past_do_not_move_what_is_expected() -> None:
    counts = past()
    plain = app_of(counts).rates[1]
    marred = list(counts)
    marred[-168 - 2 : -168 + 2] = [20 * count for count in counts[-168 - 2 : -168 + 2]]
    marred[-60:-50] = [0] * 10
    assert app_of(marred).rates[1] == pytest.approx(plain, rel=0.15)


def test_a_level_that_lasts_becomes_the_expected() -> None:
    counts = past()
    grown = counts[:-48] + [round(2.5 * count) for count in counts[-48:]]
    assert app_of(grown).rates[1] == pytest.approx(2.5 * app_of(counts).rates[1], rel=0.25)


@pytest.mark.parametrize("hours", [0, 1, 5, 23, 24, 25, 200])
def test_a_short_past_is_enough_to_stand(hours: int) -> None:
    app = app_of(past(hours) if hours else [])
    verdict = judge(app, at_rate(RATE), NOW, POLICY)
    assert verdict.is_spike is False
    assert all(math.isfinite(rate) for rate in app.rates)


def test_an_app_that_rested_for_weeks_is_judged_again() -> None:
    app = app_of([0] * 600 + [3] + [0] * 71)
    assert math.isfinite(judge(app, [0] * 59 + [1], NOW, POLICY).score)
    assert judge(app, [0] * 40 + [9] * 20, NOW, POLICY).is_spike


def test_huge_counts_are_judged_as_others() -> None:
    app = app_of(past(rate=1e6))
    usual = app.rates[1] / 60
    assert not judge(app, at_rate(usual, before=usual), NOW, POLICY).is_spike
    assert judge(app, at_rate(3 * usual, since=10, before=usual), NOW, POLICY).is_spike


def test_many_crashes_at_one_moment_are_no_rate() -> None:
    app = app_of(past())
    usual = app.rates[1] / 60
    uploaded = at_rate(usual, before=usual)
    uploaded[-3] += 400
    assert not judge(app, uploaded, NOW, POLICY).is_spike


def test_what_an_outage_held_back_is_no_spike_when_it_comes() -> None:
    app = app_of(past())
    usual = app.rates[1] / 60
    minutes = at_rate(usual, before=usual)
    minutes[10:50] = [0] * 40
    minutes[50:] = [round(4 * usual)] * 10
    late = late_minutes(app, minutes, NOW)
    assert late > 20
    assert not judge(app, minutes, NOW, POLICY, late).is_spike
    assert judge(app, minutes, NOW, POLICY).is_spike


def test_the_policy_decides_what_is_a_spike() -> None:
    app = app_of(past())
    usual = app.rates[1] / 60
    minutes = at_rate(3 * usual, since=10, before=usual)
    assert not judge(app, minutes, NOW, AppPolicy(spike_percent=400)).is_spike
    assert not judge(app, minutes, NOW, AppPolicy(spike_floor=10**6)).is_spike


# --- versions and groups ---


def test_a_new_version_may_take_over_the_apps_crashes_and_no_more() -> None:
    app = app_of(past())
    usual = app.rates[1] / 60
    version = of_version(app, Hourly(HOUR - 12, [round(app.rates[1] / 3)] * 12))
    assert not judge(version, at_rate(usual, before=usual / 3), NOW, POLICY).is_spike
    assert judge(version, at_rate(4 * usual, since=10, before=usual), NOW, POLICY).is_spike


def test_a_group_is_expected_at_its_share_of_the_apps_hours() -> None:
    counts = past()
    app = app_of(counts)
    today = NOW // 1440
    days = 20
    whole = [
        sum(counts[max(0, first) : max(0, first + 24)])
        for first in ((today - days + 1 + day) * 24 - (HOUR - len(counts)) for day in range(days))
    ]
    tenth = [count // 10 for count in whole]
    group = of_group(app, Daily(today - days + 1, tenth, (today - days) * 1440), [0] * 60, NOW)
    assert group.rates[1] == pytest.approx(app.rates[1] / 10, rel=0.3)
    usual = group.rates[1] / 60
    assert judge(group, [0] * 50 + [math.ceil(8 * usual) + 2] * 10, NOW, POLICY).is_spike


# --- when it opens and closes ---


SPIKE = Verdict(60, 20.0, 10, 6.0, is_spike=True)
HIGHER = Verdict(120, 20.0, 10, 9.0, is_spike=True)
BETWEEN = Verdict(40, 20.0, 10, 3.0, is_spike=False)
CALM = Verdict(20, 20.0, 10, 0.0, is_spike=False)


def events(verdicts: list[Verdict], watch: Watch = Watch()) -> list[tuple[int, Event]]:
    happened = []
    for minute, verdict in enumerate(verdicts, start=1):
        watch, event = step(watch, verdict, minute)
        if event is not None:
            happened.append((minute, event))
    return happened


def test_a_spike_opens_once_and_closes_after_half_an_hour_of_calm() -> None:
    course = [SPIKE] * 5 + [BETWEEN] * 5 + [SPIKE] * 5 + [CALM] * (CALM_MINUTES + 1)
    assert events(course) == [(1, Event.OPENED), (len(course), Event.CLOSED)]


def test_what_comes_again_soon_after_does_not_flap() -> None:
    once = [SPIKE] + [CALM] * (CALM_MINUTES + 1)
    soon = events(once + [SPIKE] * 10)
    assert [event for _, event in soon] == [Event.OPENED, Event.CLOSED]
    later = events(once + [CALM] * COOL_DOWN_MINUTES + [SPIKE])
    assert [event for _, event in later] == [Event.OPENED, Event.CLOSED, Event.OPENED]
    higher = events([*once, HIGHER])
    assert [event for _, event in higher] == [Event.OPENED, Event.CLOSED, Event.OPENED]


def test_a_minute_that_comes_twice_changes_nothing() -> None:
    watch, event = step(Watch(), SPIKE, 7)
    assert event is Event.OPENED
    assert step(watch, CALM, 7) == (watch, None)


# --- sessions ---


def hours(crashes: int, sessions: int, number: int) -> list[HourOfSessions]:
    return [HourOfSessions(crashes, sessions)] * number


def test_twice_the_crashes_of_as_many_sessions_are_a_drop() -> None:
    usual = hours(50, 5000, 200)
    assert not _drops([*usual, *hours(52, 5000, 1)])
    assert _drops([*usual, *hours(130, 5000, 1)])
    assert not _drops([*usual, *hours(500, 50_000, 1)])  # ten times the users


def test_a_drop_is_over_with_the_first_good_hour() -> None:
    usual = hours(50, 5000, 200)
    assert not _drops([*usual, *hours(400, 5000, 1), *hours(50, 5000, 1)])


def test_few_sessions_say_nothing() -> None:
    assert judge_sessions(hours(1, 10, 3), POLICY) is None
    assert not _drops([*hours(0, 3, 100), *hours(3, 3, 1)])


def _drops(past_hours: list[HourOfSessions]) -> bool:
    verdict = judge_sessions(past_hours, POLICY)
    return verdict is not None and verdict.is_spike


# --- together, on simulated traffic ---


def test_simulated_apps_are_told_of_their_spikes_and_of_little_else() -> None:
    results = [watched(seed, 0.5, POLICY, size) for seed, size in SIMULATED]
    clear = [it for result in results for it in result.spikes if it.rate >= 2]
    assert len(clear) >= 5
    assert found(clear) >= 0.8 * len(clear)
    alarms = [alarm for result in results for alarm in result.alarms]
    assert sum(alarm.cause is None for alarm in alarms) <= 2
    assert not any(alarm.again for alarm in alarms)
