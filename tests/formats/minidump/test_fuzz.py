"""A part of what `make fuzz` does: damaged dumps are read or refused, nothing else."""

from __future__ import annotations

from collections import Counter
from time import process_time

import pytest

from tests.formats.minidump import fuzz
from tests.formats.minidump.mutations import MUTATIONS

COUNT = 1000
SEED = 1


@pytest.fixture(scope="module")
def outcomes() -> list[fuzz.Outcome]:
    return list(fuzz.run(range(COUNT), SEED))


def test_every_mutant_is_read_or_refused_with_a_reason_in_bounded_time_and_memory(
    outcomes: list[fuzz.Outcome],
) -> None:
    failed = [f"{outcome.mutant}\n{outcome.failure}" for outcome in outcomes if outcome.failure]
    assert not failed, "\n".join(failed)
    assert len(outcomes) == COUNT


def test_the_mutants_are_damaged_neither_too_little_nor_too_much(
    outcomes: list[fuzz.Outcome],
) -> None:
    kinds = Counter(outcome.kind for outcome in outcomes)
    assert kinds["in part"] > COUNT / 4
    assert kinds["whole"] > COUNT / 20
    assert kinds["refused"] > COUNT / 50


def test_every_mutation_has_its_turn_and_changes_the_dump() -> None:
    originals = dict(fuzz.seed_dumps()).values()
    for number, name in enumerate(MUTATIONS):
        made = fuzz.mutant(number, SEED)
        assert name in made.name
        assert made.raw not in originals


def test_the_same_numbers_make_the_same_mutant() -> None:
    assert fuzz.mutant(17, SEED) == fuzz.mutant(17, SEED)
    assert fuzz.mutant(17, SEED) != fuzz.mutant(17, SEED + 1)


def test_an_endless_loop_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(_raw: bytes) -> str:
        while True:
            pass

    monkeypatch.setattr(fuzz, "_read", endless)
    monkeypatch.setattr(fuzz, "MAX_CPU_SECONDS", 0.05)
    began = process_time()
    outcome = fuzz.examine(fuzz.mutant(1, SEED), measure_memory=False)
    assert process_time() - began < 2
    assert (outcome.kind, outcome.failure) == ("FAILED", "took more than 0.05 s")


def test_an_exception_and_too_much_memory_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_raw: bytes) -> str:
        raise IndexError("beyond the list")

    monkeypatch.setattr(fuzz, "_read", broken)
    outcome = fuzz.examine(fuzz.mutant(1, SEED), measure_memory=False)
    assert outcome.kind == "FAILED"
    assert "IndexError: beyond the list" in outcome.failure

    monkeypatch.setattr(fuzz, "_read", lambda _raw: "whole" if bytes(80_000_000) else "")
    outcome = fuzz.examine(fuzz.mutant(1, SEED), measure_memory=True)
    assert outcome.kind == "FAILED"
    assert "bytes" in outcome.failure
