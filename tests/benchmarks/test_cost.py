"""What a report may cost, as counts: they are the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import corpus, cost, spike, storehouse
from benchmarks.cost import Cost
from benchmarks.counted import Counted, second
from chalicelib.bucketing.stack import normalise
from chalicelib.formats import log

_MANY = 1_900


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cost")


@pytest.fixture(scope="module")
def app_id(folder: Path) -> str:
    return storehouse.make_tenant(folder).app_id


@pytest.fixture(scope="module")
def costs(folder: Path, app_id: str) -> Iterator[dict[str, tuple[Cost, Cost]]]:
    """Of known and of new stacks, at 600 and at 3,000 stored reports."""
    cost.prime(folder, app_id)
    small = {name: _measured(folder, app_id, name, seed=1) for name in ("known", "new")}
    counted = Counted(folder, app_id)
    counted.take_together(corpus.Corpus(3).crashes(_MANY), second(0))
    counted.drain()
    counted.close()
    large = {name: _measured(folder, app_id, name, seed=2) for name in ("known", "new")}
    yield {name: (small[name], large[name]) for name in small}


def _measured(folder: Path, app_id: str, name: str, seed: int) -> Cost:
    # Of known stacks the very same crashes: which of them meet in a batch makes a difference.
    known = name == "known"
    return cost.measure(
        folder, app_id, known=known, batch=10, batches=24, seed=1 if known else 10 + seed
    )


@pytest.mark.parametrize("number", ["reads", "read_units", "writes", "write_units", "blob_puts"])
def test_a_known_stack_costs_no_more_however_many_reports_are_stored(
    costs: dict[str, tuple[Cost, Cost]], number: str
) -> None:
    small, large = costs["known"]
    # It may become cheaper: how many reports have a common term is counted in larger steps.
    assert getattr(large, number) <= 1.01 * getattr(small, number)


def test_a_new_stack_costs_a_bounded_number_of_reads_and_writes(
    costs: dict[str, tuple[Cost, Cost]],
) -> None:
    for found in costs["new"]:
        assert found.reads < 8
        assert found.writes < 100  # what one atomic batch may hold
        assert found.blob_puts == 1


def test_known_reports_in_a_batch_share_their_reads(costs: dict[str, tuple[Cost, Cost]]) -> None:
    assert costs["known"][0].reads < 0.5


@pytest.mark.parametrize("one_user", [False, True])
def test_a_storm_of_one_cause_leaves_every_key_below_its_limit(
    tmp_path: Path, one_user: bool
) -> None:
    tenant = storehouse.make_tenant(tmp_path)
    storm = spike.simulate(
        tmp_path, tenant.app_id, seconds=5, one_cause=True, one_user=one_user, scale=2
    )
    assert storm.writes_per_s < spike.LIMIT_PER_S, storm.busiest_key
    assert storm.units_per_s < spike.LIMIT_PER_S, storm.busiest_key_by_units


def test_a_storm_above_a_quota_costs_about_half_and_leaves_every_key_below_its_limit(
    tmp_path: Path,
) -> None:
    tenant = storehouse.make_tenant(tmp_path)
    storm = spike.simulate(
        tmp_path, tenant.app_id, seconds=5, one_cause=True, scale=4, stored_per_minute=3_000
    )
    assert storm.writes_per_s < spike.LIMIT_PER_S, storm.busiest_key
    assert storm.units_per_s < spike.LIMIT_PER_S, storm.busiest_key_by_units
    assert storm.units_per_report < 3.2  # of a report that is kept 5.6


def test_a_storm_with_new_stacks_leaves_every_key_of_bucketing_below_its_limit(
    tmp_path: Path,
) -> None:
    tenant = storehouse.make_tenant(tmp_path)
    cost.prime(tmp_path, tenant.app_id)
    storm = spike.simulate(tmp_path, tenant.app_id, seconds=2, one_cause=False, scale=5)
    assert 0 < storm.engine_writes_per_s < spike.LIMIT_PER_S, storm.busiest_engine_key


def test_a_storm_of_many_causes_leaves_every_key_of_an_index_below_its_limit(
    tmp_path: Path,
) -> None:
    tenant = storehouse.make_tenant(tmp_path)
    cost.prime(tmp_path, tenant.app_id)
    storm = spike.simulate(tmp_path, tenant.app_id, seconds=3, one_cause=False, scale=5)
    assert 0 < storm.index_units_per_s < spike.LIMIT_PER_S, storm.busiest_index_key


def test_a_known_cause_keeps_its_stack_and_a_new_one_is_new() -> None:
    known: dict[corpus.Cause, str | None] = {}
    new: set[str | None] = set()
    for crash in corpus.Corpus(1).crashes(1_000):
        fingerprint = normalise(log.parse(corpus.log(crash))).fingerprint
        if crash.is_new:
            assert fingerprint not in new
            new.add(fingerprint)
        else:
            assert known.setdefault(crash.cause, fingerprint) == fingerprint
    assert new.isdisjoint(known.values())
    assert 20 < len(new) < 90
    assert len(set(known.values())) == len(known)
