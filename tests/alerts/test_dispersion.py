from __future__ import annotations

import math
import random
import statistics

import pytest

from chalicelib.alerts.dispersion import Spread, measured, widened

PRIOR = Spread(1.5, 0.2)


def _poisson(draw: random.Random, mean: float) -> int:
    return max(0, round(draw.gauss(mean, math.sqrt(mean))))


@pytest.mark.parametrize("mean", [20, 200, 5000])
@pytest.mark.parametrize("spread", [Spread(1.0, 0.06), Spread(2.0, 0.15), Spread(3.0, 0.3)])
def test_scores_have_a_deviation_of_one_whatever_the_mean(mean: int, spread: Spread) -> None:
    draw = random.Random(4)
    deviation = math.sqrt(spread.dispersion * mean + (spread.relative * mean) ** 2)

    scores = [spread.score(draw.gauss(mean, deviation), mean) for _ in range(4000)]

    assert statistics.stdev(scores) == pytest.approx(1, abs=0.2)


def test_chance_alone_is_told_from_a_rate_that_wanders() -> None:
    draw = random.Random(5)
    means = [50 + 450 * (hour % 24) / 24 for hour in range(672)]
    by_chance = measured(means, [_poisson(draw, mean) for mean in means], PRIOR)
    wandering = measured(
        means, [_poisson(draw, mean * math.exp(draw.gauss(0, 0.25))) for mean in means], PRIOR
    )

    assert by_chance.relative < 0.12
    assert 0.2 < wandering.relative < 0.35


def test_few_hours_say_nothing_yet() -> None:
    assert measured([100.0] * 20, [900, 0] * 10, PRIOR) == PRIOR


def test_hours_that_were_events_do_not_count() -> None:
    counts = [100] * 300
    events = range(100, 130)
    for hour in events:
        counts[hour] = 900

    assert measured([100.0] * 300, counts, PRIOR, odd=events).relative < 0.15
    assert measured([100.0] * 300, counts, PRIOR).relative > 0.3


def test_huge_counts_are_no_matter() -> None:
    found = measured([1e9] * 300, [10**9] * 300, PRIOR)

    assert math.isfinite(found.score(3 * 10**9, 1e9))
    assert found.score(3 * 10**9, 1e9) > 5


def test_widened_is_never_less() -> None:
    assert widened(Spread(1.2, 0.3), Spread(2.0, 0.4)) == Spread(2.0, 0.5)
