"""PartyCrasher's own method, against the formula counted out and against its published figures."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from benchmarks.evaluation import corpus, protocol
from benchmarks.evaluation.baseline import PartyCrasher, split
from benchmarks.evaluation.corpus import Entry, Labelled
from chalicelib.model import Report
from tests.shared_data import shared_data


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("HTTPServer", ["HTTP", "Server"]),
        ("getURL2Path", ["get", "URL", "2", "Path"]),
        ("__libc_start_main", ["libc", "start", "main"]),
        ("ns::Class<int>::run()", ["ns", "Class", "int", "run"]),
        ("", []),
    ],
)
def test_names_are_split_as_camel_case_with_the_case_kept(text: str, terms: list[str]) -> None:
    assert split(text) == terms


def _entry(number: int, *functions: str, **properties: str) -> Entry:
    document = {
        "database_id": f"r{number}",
        "date": "2026-01-01",
        "stacktrace": [{"function": function, "address": "0x1"} for function in functions],
        **properties,
    }
    return Entry(f"r{number}", "p", "cause", document, Report(platform="other"))


def test_the_score_is_lucenes_over_all_fields() -> None:
    entries = [
        _entry(0, "openFile", "openDoor", message="no file"),
        _entry(1, "closeDoor", message="no door"),
        _entry(2, "openDoor", "main", message="no luck"),
    ]
    last = protocol.run(Labelled("three", tuple(entries)), PartyCrasher()).verdicts[-1]
    # Asked: open (1 report has it), Door (2), no (2); main and luck are unknown.
    squares = {"open": 1 + math.log(2 / 2), "Door": 1 + math.log(2 / 3), "no": 1 + math.log(2 / 3)}
    squares = {term: idf**2 for term, idf in squares.items()}
    # Report 0 has open twice and Door once among four terms, "no" among two.
    found = (
        squares["open"] * math.sqrt(2) / math.sqrt(4)
        + squares["Door"] / math.sqrt(4)
        + squares["no"] / math.sqrt(2)
    )
    assert last.match == "r0"
    assert last.score == pytest.approx(found * (3 / 3) / math.sqrt(sum(squares.values())))


def test_of_equal_hits_the_earliest_counts() -> None:
    entries = tuple(_entry(number, "openFile", "main") for number in range(3))
    verdicts = protocol.run(Labelled("same", entries), PartyCrasher()).verdicts
    assert [verdict.match for verdict in verdicts] == [None, "r0", "r0"]


def test_a_report_that_shares_no_term_has_no_match() -> None:
    entries = (_entry(0, "openFile"), _entry(1, "closeDoor"), _entry(2))
    verdicts = protocol.run(Labelled("apart", entries), PartyCrasher()).verdicts
    assert [verdict.match for verdict in verdicts] == [None, None, None]


def test_without_context_only_the_functions_count() -> None:
    entries = (_entry(0, "openFile", message="no door"), _entry(1, "closeDoor", message="no door"))
    verdicts = protocol.run(Labelled("stack", entries), PartyCrasher(with_context=False)).verdicts
    assert verdicts[-1].match is None


def test_it_agrees_with_the_formula_without_an_index_on_real_reports() -> None:
    labelled = corpus.read(shared_data("bucketing", "dev.jsonl.gz"))
    part = Labelled("part", labelled.entries[:120])
    run = protocol.run(part, PartyCrasher(with_context=False))
    seen: list[tuple[str, Counter[str]]] = []
    for entry, verdict in zip(part.entries, run.verdicts, strict=True):
        terms = Counter(
            term
            for frame in entry.document["stacktrace"]
            for term in split(frame.get("function") or "")
        )
        expected = max((_plain_score(terms, other, seen) for _, other in seen), default=0.0)
        assert verdict.score == pytest.approx(expected)
        seen.append((entry.database_id, terms))


def _plain_score(
    query: Counter[str], other: Counter[str], seen: list[tuple[str, Counter[str]]]
) -> float:
    squares = {}
    for term in query:
        if holding := sum(term in terms for _, terms in seen):
            squares[term] = (1 + math.log(len(seen) / (holding + 1))) ** 2
    matched = squares.keys() & other.keys()
    if not matched:
        return 0.0
    found = sum(squares[term] * math.sqrt(other[term] / other.total()) for term in matched)
    return found * len(matched) / len(squares) / math.sqrt(sum(squares.values()))


def test_it_comes_near_its_published_figures() -> None:
    labelled = corpus.read(shared_data("bucketing", "dev.jsonl.gz"))
    run = protocol.run(labelled, PartyCrasher())
    # Published: .524 / .373 / .436 and purity-F .540 at 3.9; AUC .828, RR@1 .776.
    at_best = run.clustering("3.9")
    assert at_best.precision == pytest.approx(0.524, abs=0.01)
    assert at_best.recall == pytest.approx(0.373, abs=0.001)
    assert at_best.f1 == pytest.approx(0.436, abs=0.003)
    assert at_best.purity_f == pytest.approx(0.540, abs=0.003)
    assert run.auc() == pytest.approx(0.828, abs=0.0005)
    assert run.rr_at_1() == pytest.approx(0.776, abs=0.0005)
