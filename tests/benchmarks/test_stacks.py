"""Made-up stacks: distinct, repeatable, and spread as those of real crashes are."""

from __future__ import annotations

import time
from itertools import islice

from benchmarks import stack_statistics, stacks
from benchmarks.evaluation import corpus
from chalicelib.bucketing.stack import normalise
from tests.shared_data import shared_data


def _made(count: int, seed: int = 1) -> list[stacks.Made]:
    return list(islice(stacks.crashes(seed), count))


def test_the_same_seed_makes_the_same_crashes_and_another_seed_others() -> None:
    assert _made(200) == _made(200)
    assert _made(200) != _made(200, seed=2)


def test_more_crashes_begin_with_the_same_ones() -> None:
    assert _made(300)[:100] == _made(100)


def test_most_crashes_have_a_stack_of_their_own_for_the_engine_too() -> None:
    fingerprints = [normalise(crash.report).fingerprint for crash in _made(2_000)]
    # A recursion unrolled a little further is one stack, and shall be.
    assert len(set(fingerprints)) > 0.75 * len(fingerprints)


def test_families_are_of_very_different_size() -> None:
    families = [crash.family for crash in _made(2_000)]
    sizes = sorted((families.count(family) for family in set(families)), reverse=True)
    assert sizes[0] > 20
    assert sizes[len(sizes) // 2] <= 10


def test_functions_are_spread_as_in_the_development_corpus() -> None:
    labelled = corpus.read(shared_data("bucketing", "dev.jsonl.gz"))
    real = stack_statistics.of_reports(entry.report for entry in labelled.entries)
    made = stack_statistics.of_reports(crash.report for crash in _made(2_400))
    for name in ("functions", "calls", "hapax", "postings_of_rare_terms"):
        assert 0.4 < getattr(made, name) / getattr(real, name) < 2.5, name
    for ours, theirs in zip(made.length, real.length, strict=True):
        assert 0.6 < ours / theirs < 1.7
    for ours, theirs in zip(made.rarest_in_stack, real.rarest_in_stack, strict=True):
        assert 0.4 < ours / theirs < 2.5
    for (_, ours), (_, theirs) in zip(made.growth, real.growth, strict=True):
        assert 0.6 < ours / theirs < 2.2


def test_a_hundred_thousand_stacks_would_be_made_within_a_minute() -> None:
    began = time.process_time()
    _made(5_000)
    assert time.process_time() - began < 60 / 20
