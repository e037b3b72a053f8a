from __future__ import annotations

import math
import random
import timeit
from collections.abc import Sequence

import pytest

from chalicelib.alerts import baseline
from chalicelib.alerts.baseline import HOURS, MINUTES, AppBaseline, Baseline, Daily, Hourly
from chalicelib.alerts.spikes import Verdict, judge, late_minutes
from chalicelib.policies import AppPolicy

POLICY = AppPolicy()
HOUR = 480_000  # a Tuesday's midnight and more, in hours since the epoch
NOW = HOUR * 60 + 30
PER_MINUTE = 10


def _steady(hours: int = HOURS, per_minute: float = PER_MINUTE) -> list[int]:
    draw = random.Random(6)
    mean = per_minute * 60
    return [max(0, round(draw.gauss(mean, math.sqrt(mean)))) for _ in range(hours)]


def _app(counts: Sequence[int]) -> AppBaseline:
    return baseline.of_app(Hourly(HOUR - len(counts), counts), HOUR)


def _minutes(*latest: int, usual: int = PER_MINUTE) -> list[int]:
    return [usual] * (MINUTES - len(latest)) + list(latest)


def _judged(expected: Baseline, minutes: Sequence[int], policy: AppPolicy = POLICY) -> Verdict:
    return judge(expected, minutes, NOW, policy)


def test_the_usual_is_no_spike() -> None:
    verdict = _judged(_app(_steady()), _minutes())

    assert not verdict.is_spike
    assert verdict.observed == pytest.approx(verdict.expected, rel=0.1)


def test_three_times_the_usual_is_a_spike_within_ten_minutes() -> None:
    app = _app(_steady())

    found = [
        minutes for minutes in range(1, 11) if _judged(app, _minutes(*[30] * minutes)).is_spike
    ]

    assert found
    assert found[0] in range(5, 11)


def test_a_verdict_tells_what_came_and_what_was_expected() -> None:
    verdict = _judged(_app(_steady()), _minutes(*[50] * 10))

    assert verdict.is_spike
    assert verdict.observed == 50 * verdict.window_minutes
    assert verdict.expected == pytest.approx(PER_MINUTE * verdict.window_minutes, rel=0.3)
    assert verdict.score > 3


def test_fewer_crashes_than_the_floor_are_no_spike() -> None:
    app = _app([1] * HOURS)
    minutes = _minutes(*[2] * 9, usual=0)

    assert not _judged(app, minutes).is_spike
    assert _judged(app, minutes, AppPolicy(spike_floor=10)).is_spike


def test_an_owner_may_ask_for_more_than_twice_the_expected() -> None:
    app = _app(_steady())

    assert _judged(app, _minutes(*[30] * 10)).is_spike
    assert not _judged(app, _minutes(*[30] * 10), AppPolicy(spike_percent=400)).is_spike


def test_an_upload_of_many_crashes_at_once_is_no_spike() -> None:
    assert not _judged(_app(_steady()), _minutes(3, 100, 120, 90, 8)).is_spike


@pytest.mark.parametrize("hours", [0, 1, 24, 47])
def test_an_app_whose_days_nobody_knows_does_not_spike(hours: int) -> None:
    assert not _judged(_app(_steady(hours)), _minutes(*[500] * 20)).is_spike


@pytest.mark.parametrize("hours", [48, 72, 200, 400, HOURS])
def test_ten_times_the_usual_is_a_spike_from_the_third_day_on(hours: int) -> None:
    assert _judged(_app(_steady(hours)), _minutes(*[100] * 10)).is_spike


def test_an_app_that_never_crashed_spikes_at_many_times_the_floor() -> None:
    app = _app([0] * HOURS)

    assert not _judged(app, _minutes(usual=0)).is_spike
    assert _judged(app, _minutes(*[20] * 10, usual=0)).is_spike


def test_huge_counts_are_judged() -> None:
    app = _app(_steady(per_minute=10**7))

    assert not _judged(app, _minutes(usual=10**7)).is_spike
    assert _judged(app, _minutes(*[3 * 10**7] * 10, usual=10**7)).is_spike


def test_a_past_spike_hides_none() -> None:
    counts = _steady()
    for hour in (*range(-HOURS // 4, -HOURS // 4 + 3), *range(-30, -27)):
        counts[hour] *= 8

    assert _judged(_app(counts), _minutes(*[30] * 10)).is_spike


def test_a_past_outage_makes_none() -> None:
    counts = _steady()
    for hour in (*range(-HOURS // 4, -HOURS // 4 + 5), *range(-30, -20)):
        counts[hour] = 0

    assert not _judged(_app(counts), _minutes()).is_spike


def test_the_end_of_an_outage_is_no_spike() -> None:
    counts = _steady()
    counts[-3:] = [0, 0, 0]
    app = _app(counts)
    nothing = [0] * 40
    for backlog in ([PER_MINUTE] * 20, [150, 120, 100, 80, 70, 60, 55, 45, 40, 35] + [30] * 10):
        minutes = [*nothing, *backlog]

        late = late_minutes(app, minutes, NOW)

        assert not judge(app, minutes, NOW, POLICY, late).is_spike


def test_nothing_is_late_without_an_outage() -> None:
    assert late_minutes(_app(_steady()), _minutes(*[30] * 20), NOW) == 0


def test_a_spike_after_an_outage_that_lost_its_crashes_is_found_in_the_end() -> None:
    counts = _steady()
    counts[-7:] = [0, 0, *_steady(5)]
    app = _app(counts)
    late = late_minutes(app, _minutes(*[40] * 10), NOW)

    assert judge(app, _minutes(*[60] * 30), NOW, POLICY, late).is_spike


def test_another_time_of_the_year_may_move_the_day_by_an_hour() -> None:
    day = [40, 40, 40, 60, 100, 180, 320, 480, 600, 600, 600, 600]
    day = [count * 4 for count in (*day, *reversed(day))]
    counts = [day[hour % 24] for hour in range(HOURS)]
    for moved in (-1, 1):
        for hour in range(24):
            past = [*counts[hour:], *counts[:hour]]
            app = _app([*past[:-24], *[day[(hour + i + moved) % 24] for i in range(24)]])
            now = [day[(hour + moved) % 24] // 60] * 31
            before = [day[(hour - 1 + moved) % 24] // 60] * 29

            assert not _judged(app, [*before, *now]).is_spike, (moved, hour)


@pytest.mark.parametrize("minute", [0, 1, 4, 5, 9, 10, 29, 30, 31, 59])
def test_the_border_of_an_hour_changes_nothing(minute: int) -> None:
    app = _app(_steady())
    now = HOUR * 60 + minute

    assert not judge(app, _minutes(), now, POLICY).is_spike
    assert judge(app, _minutes(*[35] * 10), now, POLICY).is_spike


def test_what_comes_at_one_hour_every_night_is_expected() -> None:
    counts = [60 + 400 * (hour % 24 == HOURS % 24) for hour in range(HOURS)]
    minutes = _minutes(100, 100, 100, 100, usual=1)

    assert not _judged(_app(counts), minutes).is_spike
    assert _judged(_app([60] * HOURS), [*minutes[8:], *[100] * 8]).is_spike


def test_a_version_is_measured_by_its_share_of_the_app() -> None:
    app = _app(_steady())
    version = baseline.of_version(app, Hourly(HOUR - HOURS, [c // 5 for c in _steady()]))

    assert version.rates[1] == pytest.approx(app.rates[1] / 5, rel=0.2)
    assert not _judged(version, _minutes(usual=2)).is_spike
    assert _judged(version, _minutes(*[10] * 10, usual=2)).is_spike


def test_people_who_take_a_new_version_make_no_spike_of_it() -> None:
    app = _app(_steady())
    taken = [round(600 / (1 + math.exp(-(hour - 40) / 8))) for hour in range(100)]
    for age in range(100):
        version = baseline.of_version(app, Hourly(HOUR - age, taken[:age]))
        now = taken[age] // 60

        assert not _judged(version, _minutes(usual=now)).is_spike, age


def test_a_new_version_spikes_when_it_alone_is_more_than_the_app() -> None:
    app = _app(_steady())
    version = baseline.of_version(app, Hourly(HOUR - 5, [1, 5, 10, 20, 40]))

    assert not _judged(version, _minutes(*[8] * 10, usual=1)).is_spike
    assert _judged(version, _minutes(*[40] * 10, usual=1)).is_spike


def _group(per_day: Sequence[int], minutes: Sequence[int], born: int = 0) -> Baseline:
    days = Daily(NOW // 1440 - len(per_day) + 1, per_day, born)
    return baseline.of_group(_app(_steady()), days, minutes, NOW)


def test_a_group_is_measured_by_its_days() -> None:
    today = NOW % 1440 * 2
    usual, spiking = _minutes(usual=2), _minutes(*[12] * 10, usual=2)

    assert not _judged(_group([2880] * 20 + [today], usual), usual).is_spike
    assert _judged(_group([2880] * 20 + [today + 100], spiking), spiking).is_spike


def test_a_bad_day_of_a_group_hides_no_spike() -> None:
    spiking = _minutes(*[16] * 10, usual=2)
    days = [2880] * 17 + [20_000, 2880, 2880, NOW % 1440 * 2 + 140]

    assert _judged(_group(days, spiking), spiking).is_spike


def test_the_last_hour_of_a_group_is_not_its_past_even_over_midnight() -> None:
    now = (NOW // 1440) * 1440 + 19
    app = baseline.of_app(Hourly(now // 60 - HOURS, _steady()), now // 60)
    spiking = _minutes(*[40] * 30, usual=2)
    after, before = sum(spiking[-20:]), sum(spiking[:-20])
    days = Daily(now // 1440 - 3, [2880, 2880, 2800 + before, after], 0)

    group = baseline.of_group(app, days, spiking, now)

    assert group.rates[1] == pytest.approx(120, rel=0.15)
    assert judge(group, spiking, now, POLICY).is_spike


def test_a_new_group_spikes_only_beyond_the_app() -> None:
    spiking = _minutes(*[9] * 20, usual=0)
    exploding = _minutes(*[60] * 20, usual=0)

    assert not _judged(_group([sum(spiking)], spiking, born=NOW - 20), spiking).is_spike
    assert _judged(_group([sum(exploding)], exploding, born=NOW - 20), exploding).is_spike


def test_a_group_that_was_silent_for_weeks_spikes() -> None:
    spiking = _minutes(*[8] * 10, usual=0)

    assert _judged(_group([50, *[0] * 26, sum(spiking)], spiking), spiking).is_spike


def test_hours_without_a_count_are_zeros() -> None:
    short = Hourly(HOUR - HOURS, [600] * (HOURS - 100))

    assert len(short.until(HOUR).counts) == HOURS
    assert short.until(HOUR).counts[-1] == 0


def test_sixty_minutes_are_needed() -> None:
    with pytest.raises(ValueError, match="59 minutes"):
        judge(_app(_steady()), [1] * 59, NOW, POLICY)


def test_hundreds_of_groups_are_judged_within_a_second() -> None:
    app = _app(_steady())
    minutes = _minutes(*[12] * 10, usual=2)
    days = Daily(NOW // 1440 - 27, [2880] * 28, 0)

    def one_group() -> None:
        judge(baseline.of_group(app, days, minutes, NOW), minutes, NOW, POLICY)

    # Some 0.1 ms each; the bound leaves room for a busy machine.
    assert min(timeit.repeat(one_group, number=20, repeat=5)) / 20 < 0.002
    assert min(timeit.repeat(lambda: _app(_steady()), number=1, repeat=5)) < 0.1
