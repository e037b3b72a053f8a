"""The benchmarks' minidumps are what they are said to be, or their figures say nothing."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from benchmarks import corpus
from benchmarks.minidumps import made
from chalicelib.formats.minidump.report import parse
from chalicelib.symbols.folder_source import FolderSymbols


@pytest.fixture(scope="module")
def symbols(tmp_path_factory: pytest.TempPathFactory) -> FolderSymbols:
    folder: Path = tmp_path_factory.mktemp("symbols")
    (folder / made.SYMBOL_FILE).write_bytes(made.symbols())
    return FolderSymbols(folder)


def test_every_frame_of_a_made_dump_is_found_by_unwind_data(symbols: FolderSymbols) -> None:
    crash = next(corpus.Corpus(1).crashes(1))
    report = parse(made.dump(crash), symbols)
    assert report.unread == ()
    crashed = report.crashed_thread
    assert crashed is not None
    assert len(crashed.frames) == len(crash.cause.inner) + len(crash.cause.outer) == 30
    assert {frame.trust for thread in report.threads for frame in thread.frames} == {
        "context",
        "cfi",
    }
    assert all(frame.function and frame.line for frame in crashed.frames)


def test_made_dumps_of_one_cause_have_one_stack_and_differ_elsewhere(
    symbols: FolderSymbols,
) -> None:
    crashes = list(corpus.Corpus(1, new_share=0).crashes(20))
    by_cause: dict[str, set[tuple[str | None, ...]]] = {}
    for crash in crashes:
        stack = parse(made.dump(crash), symbols).stack
        names = tuple(frame.function for frame in stack)
        by_cause.setdefault(crash.cause.subject, set()).add(names)
    assert len(by_cause) < len(crashes)
    assert all(len(stacks) == 1 for stacks in by_cause.values())
    assert len(set.union(*by_cause.values())) == len(by_cause)
    assert len({made.dump(crash) for crash in crashes}) == len(crashes)


def test_a_made_dump_has_the_size_and_deflates_as_a_real_one() -> None:
    dump = made.dump(next(corpus.Corpus(1).crashes(1)))
    assert len(dump) == made.DUMP_BYTES
    assert 0.15 < len(zlib.compress(dump, 1)) / len(dump) < 0.35
