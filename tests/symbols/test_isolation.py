"""Reading a stranger's file in a process of its own."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.errors import FormatError
from chalicelib.symbols import debug_file, isolation
from chalicelib.symbols.isolation import Limits
from tests.shared_data import shared_data
from tests.symbols.samples import APP_SYM, LIB_SYM

MUTANTS = 10  # of each file: a fifth of a second each


def test_the_answer_is_the_one_of_this_process() -> None:
    assert list(isolation.read(APP_SYM, "a.sym")) == debug_file.read(APP_SYM, "a.sym")


def test_a_file_that_cannot_be_read_is_told_with_its_reason() -> None:
    with pytest.raises(FormatError, match="unsupported"):
        list(isolation.read(b"hello", "x"))


def test_a_process_that_breaks_off_is_a_damaged_file() -> None:
    with pytest.raises(FormatError, match="damaged"):
        list(isolation.read(LIB_SYM, "x", Limits(memory_bytes=16_000_000)))


def test_the_process_never_takes_all_memory_of_a_small_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert list(isolation.read(LIB_SYM, "x", Limits(memory_bytes=1 << 50)))
    monkeypatch.setattr(isolation, "_machine_bytes", lambda: 20_000_000)
    with pytest.raises(FormatError, match="damaged"):
        list(isolation.read(LIB_SYM, "x"))


def test_the_process_sees_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(
        isolation,
        "_START",
        "import os, pathlib, sys; "
        "pathlib.Path(sys.argv[1], 'refused').write_text(' '.join(sorted(os.environ)))",
    )
    with pytest.raises(FormatError) as refused:
        list(isolation.read(APP_SYM, "a.sym"))
    assert "PYTHONPATH" in str(refused.value)
    assert "AWS" not in str(refused.value)


def test_threads_of_a_server_read_files_side_by_side() -> None:
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda _: list(isolation.read(APP_SYM, "a.sym")), range(6)))
    assert found == [debug_file.read(APP_SYM, "a.sym")] * 6


def test_a_file_that_takes_too_long_is_refused() -> None:
    with pytest.raises(FormatError, match="more than 0 s"):
        list(isolation.read(LIB_SYM, "x", Limits(seconds=0)))


# A PDB with this seed has been seen to end the process that reads it.
CRASHING_SEEDS = (223, 333, 395)


@pytest.mark.parametrize("name", ["crash.elf", "BreakpadTestApp.pdb", "crash.debug"])
def test_damaged_files_are_read_or_refused_and_nothing_else(name: str) -> None:
    raw = shared_data("minidumps", "debug-files", name).read_bytes()
    outcomes = set()
    for seed in [*range(MUTANTS), *CRASHING_SEEDS]:
        try:
            outcomes.add(bool(list(isolation.read(mutant(raw, seed), name))))
        except FormatError as error:
            outcomes.add("breaks off" if "broke off" in str(error) else "refused")
    assert outcomes <= {True, "refused", "breaks off"}
    assert "refused" in outcomes


def test_damaged_symbol_files_are_read_or_refused_and_nothing_else() -> None:
    for seed in range(MUTANTS):
        for sample in (APP_SYM, LIB_SYM):
            try:
                assert list(isolation.read(mutant(sample, seed), "x.sym"))
            except FormatError:
                continue


def mutant(source: bytes, seed: int) -> bytes:
    """The file with some bytes changed, cut off, with lying numbers, or with a piece repeated."""
    chance = random.Random(seed)
    raw = bytearray(source)
    kind = chance.randrange(4)
    if kind == 0:
        for _ in range(chance.choice((1, 4, 32, 400))):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
    elif kind == 1:
        del raw[chance.randrange(len(raw)) :]
    elif kind == 2:
        for _ in range(chance.choice((1, 8, 40))):
            limit = min(len(raw), 2000) if chance.random() < 0.5 else len(raw)
            place = chance.randrange(limit)
            raw[place : place + 4] = chance.choice(
                (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80")
            )
    else:
        place, size = chance.randrange(len(raw)), chance.randrange(5000)
        origin = chance.randrange(len(raw))
        raw[place : place + size] = raw[origin : origin + size]
    return bytes(raw)
