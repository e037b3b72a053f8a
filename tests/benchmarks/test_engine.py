"""What the benchmark of the engine counts, at stores small enough for a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import engine, spike
from benchmarks.engine import Cost, Stores

_SIZES = (100, 600)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    return engine.build(_SIZES, new=320, folder=tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="module")
def costs(stores: Stores) -> dict[tuple[int, bool], Cost]:
    return {(cost.stored, cost.known): cost for cost in engine.costs(stores, counted=40)}


def test_a_known_stack_costs_the_same_however_many_are_stored(
    costs: dict[tuple[int, bool], Cost],
) -> None:
    small, large = (costs[size, True] for size in _SIZES)
    assert small.mean == large.mean
    assert large.most["read requests"] == 1
    assert large.most["items written"] == 0


def test_a_new_stack_costs_a_bounded_number_of_reads_and_writes(
    costs: dict[tuple[int, bool], Cost],
) -> None:
    for size in _SIZES:
        cost = costs[size, False]
        assert cost.most["read requests"] <= 8
        assert cost.most["items read"] <= 200
        assert cost.most["write requests"] == 1
        assert cost.most["items written"] <= 100


def test_a_spike_leaves_every_key_of_the_engine_below_the_limit(stores: Stores) -> None:
    for found in engine.spikes(stores):
        assert 0 < found.writes_per_s < spike.LIMIT_PER_S, found.busiest_key
        assert found.units_per_s < spike.LIMIT_PER_S, found.busiest_key


def test_both_stores_take_the_same_reports_in_turns(stores: Stores) -> None:
    small, large = engine.rates(stores, rounds=1, in_a_round=30)
    assert (small.stored, large.stored) == _SIZES
    assert min(small.known, small.new, large.known, large.new) > 0


def test_filled_stores_are_found_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = engine.build((5, 10), new=3, folder=tmp_path)
    capsys.readouterr()
    again = engine.build((5, 10), new=3, folder=tmp_path)
    assert capsys.readouterr().out == ""
    assert again == first
    assert len(first.new) == 3
    assert len(first.known) == 5
