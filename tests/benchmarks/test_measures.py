"""The measures, on clusterings small enough to count by hand."""

from __future__ import annotations

import random
import time

import pytest

from benchmarks.evaluation import measures


def test_a_perfect_clustering_has_every_figure_at_one() -> None:
    found = measures.clustering(["x", "x", "y"], ["a", "a", "b"])
    assert (found.precision, found.recall, found.purity, found.inverse_purity) == (1, 1, 1, 1)
    assert (found.f1, found.purity_f, found.clusters) == (1, 1, 2)


def test_one_cluster_of_all_has_full_recall_and_the_precision_of_chance() -> None:
    found = measures.clustering(["x"] * 4, ["a", "a", "a", "b"])
    assert found.recall == found.inverse_purity == 1
    assert found.precision == pytest.approx((3 * 3 / 4 + 1 / 4) / 4)
    assert found.purity == 3 / 4


def test_a_cluster_for_each_report_has_full_precision() -> None:
    found = measures.clustering(range(4), ["a", "a", "a", "b"])
    assert found.precision == found.purity == 1
    assert found.recall == pytest.approx((3 * 1 / 3 + 1) / 4)
    assert found.inverse_purity == 2 / 4


def test_a_stranger_in_a_large_cluster_costs_more_precision_than_one_in_a_small_one() -> None:
    large = measures.clustering([*"xxxx", "x", "y", "z"], [*"aaaa", "b", "c", "d"])
    small = measures.clustering([*"xxxx", "y", "y", "z"], [*"aaaa", "b", "c", "d"])
    assert large.precision < small.precision


def test_the_order_of_the_reports_does_not_matter() -> None:
    chance = random.Random(1)
    pairs = [(chance.randrange(9), chance.randrange(7)) for _ in range(200)]
    first = measures.clustering(*zip(*pairs, strict=True))
    chance.shuffle(pairs)
    again = measures.clustering(*zip(*pairs, strict=True))
    assert first.precision == pytest.approx(again.precision)
    assert first.recall == pytest.approx(again.recall)


def test_seen_before_tells_all_but_the_first_of_each_cause() -> None:
    assert measures.seen_before([*"abab"]) == [False, False, True, True]


def test_auc_is_the_chance_that_a_positive_scores_above_a_negative() -> None:
    assert measures.roc_auc([1, 2, 3], [False, True, True]) == 1
    assert measures.roc_auc([3, 2, 1], [False, True, True]) == 0
    assert measures.roc_auc([1, 2, 3, 4], [False, True, False, True]) == pytest.approx(3 / 4)


def test_equal_scores_count_half_in_the_auc() -> None:
    assert measures.roc_auc([5, 5, 5], [True, False, True]) == 0.5
    assert measures.roc_auc([5, 5, 7], [True, False, True]) == pytest.approx(3 / 4)


def test_auc_is_even_where_there_is_nothing_to_tell_apart() -> None:
    assert measures.roc_auc([1, 2], [True, True]) == 0.5
    assert measures.roc_auc([], []) == 0.5


def test_nothing_cannot_be_clustered() -> None:
    with pytest.raises(ValueError, match="nothing"):
        measures.clustering([], [])


def test_a_whole_curve_of_5000_reports_is_measured_within_two_seconds() -> None:
    chance = random.Random(2)
    causes = [chance.randrange(300) for _ in range(5_000)]
    began = time.process_time()
    for _ in range(110):  # thresholds
        measures.clustering([chance.randrange(500) for _ in range(5_000)], causes)
    measures.roc_auc([chance.random() for _ in causes], measures.seen_before(causes))
    assert time.process_time() - began < 2
