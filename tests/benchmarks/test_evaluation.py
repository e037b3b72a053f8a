"""The online protocol, and the figures published for simple methods on the development corpus."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Hashable
from pathlib import Path

import pytest

from benchmarks.evaluation import corpus, measures, protocol
from benchmarks.evaluation.__main__ import of_engine
from benchmarks.evaluation.corpus import Entry, Labelled
from chalicelib.model import Frame, Report, Thread
from tests.shared_data import shared_data


@pytest.fixture(scope="module")
def dev() -> Labelled:
    return corpus.read(shared_data("bucketing", "dev.jsonl.gz"))


def _functions(entry: Entry) -> tuple[str | None, ...]:
    return tuple(frame.function for frame in entry.report.stack)


def _first_of_the_program(entry: Entry) -> str | None:
    own = (frame for frame in entry.report.stack if frame.module != "libc.so.6")
    return next(own).function


def _blanked(entry: Entry) -> str:
    return re.sub(r"\d+|'[^']*'|\"[^\"]*\"", "*", entry.report.reason or "")


_PUBLISHED: dict[str, tuple[Callable[[Entry], Hashable], tuple[float, float, float, float]]] = {
    "top frame": (
        lambda entry: _functions(entry)[:1],
        (0.636, 0.770, 0.697, 0.757),
    ),
    "exception type and top frame": (
        lambda entry: (entry.report.exception_type, _functions(entry)[:1]),
        (0.692, 0.769, 0.729, 0.779),
    ),
    "exception type and first frame of the program": (
        lambda entry: (entry.report.exception_type, _first_of_the_program(entry)),
        (0.743, 0.736, 0.740, 0.797),
    ),
    "the same and the blanked message": (
        lambda entry: (
            entry.report.exception_type,
            _first_of_the_program(entry),
            _blanked(entry),
        ),
        (0.788, 0.732, 0.759, 0.813),
    ),
    "top three frames": (
        lambda entry: _functions(entry)[:3],
        (0.723, 0.614, 0.664, 0.723),
    ),
    "exception type and whole stack": (
        lambda entry: (entry.report.exception_type, _functions(entry)),
        (0.948, 0.168, 0.285, 0.374),
    ),
}


@pytest.mark.parametrize("method", _PUBLISHED)
def test_a_simple_method_reaches_its_published_figures_to_the_last_digit(
    dev: Labelled, method: str
) -> None:
    signature, published = _PUBLISHED[method]
    found = measures.clustering(
        [signature(entry) for entry in dev.entries], [entry.cause for entry in dev.entries]
    )
    figures = (found.precision, found.recall, found.f1, found.purity_f)
    assert tuple(round(figure, 3) for figure in figures) == published


def test_the_development_corpus_is_read_whole_and_in_date_order(dev: Labelled) -> None:
    assert len(dev.entries) == 4_942
    assert len({entry.cause for entry in dev.entries}) == 344
    dates = [entry.document["date"] for entry in dev.entries]
    assert dates == sorted(dates)


def _entry(number: int, cause: str, *functions: str) -> Entry:
    frames = tuple(Frame(function=function) for function in functions)
    report = Report(platform="other", threads=(Thread(0, crashed=True, frames=frames),))
    return Entry(f"r{number}", "p", cause, {}, report)


class _Told:
    """A method that says what it was told to."""

    def __init__(self, **verdicts: tuple[str | None, float]) -> None:
        self._verdicts = verdicts

    def take(self, entry: Entry) -> protocol.Verdict:
        match, score = self._verdicts[entry.database_id]
        return protocol.Verdict(match, score, {})


_CORPUS = Labelled(
    "four", (_entry(0, "a"), _entry(1, "a"), _entry(2, "b"), _entry(3, "a"), _entry(4, "b"))
)
_RUN = protocol.run(
    _CORPUS, _Told(r0=(None, 0), r1=("r0", 8), r2=("r1", 3), r3=("r1", 6), r4=("r3", 2))
)


def test_a_report_joins_the_bucket_of_its_match_where_the_score_reaches_the_threshold() -> None:
    assert _RUN.buckets("4.0") == ["r0", "r0", "r2", "r0", "r4"]
    assert _RUN.buckets("3.0") == ["r0", "r0", "r0", "r0", "r4"]
    assert _RUN.buckets("8.1") == ["r0", "r1", "r2", "r3", "r4"]


def test_buckets_that_a_method_keeps_itself_go_before_its_matches() -> None:
    verdicts = tuple(protocol.Verdict(None, 0, {"4.0": bucket}) for bucket in "xxyxy")
    kept = protocol.Run(_CORPUS, verdicts, 1.0)
    assert kept.buckets("4.0") == [*"xxyxy"]
    assert kept.clustering("4.0").f1 == 1


def test_rr_at_1_asks_only_about_reports_whose_cause_was_seen() -> None:
    assert _RUN.rr_at_1() == pytest.approx(2 / 3)  # r1 and r3 are right, r4 is wrong


def test_auc_asks_whether_the_score_tells_seen_causes_from_new_ones() -> None:
    # Seen: 8, 6, 2; new: 0, 3.
    assert _RUN.auc() == pytest.approx(5 / 6)


def test_a_known_stack_matches_the_report_that_brought_it_with_the_top_score() -> None:
    labelled = Labelled("same", tuple(_entry(number, "a", "main", "run") for number in range(3)))
    run = of_engine(labelled)
    assert [verdict.match for verdict in run.verdicts] == [None, "r0", "r0"]
    assert [verdict.latest for verdict in run.verdicts] == [None, "r0", "r1"]
    assert [verdict.score for verdict in run.verdicts] == [0, 12, 12]


def test_where_one_stack_has_two_causes_the_match_is_the_earliest_or_the_latest() -> None:
    labelled = Labelled(
        "mixed", tuple(_entry(number, cause, "main") for number, cause in enumerate("abb"))
    )
    run = of_engine(labelled)
    assert run.rr_at_1() == 0  # the last is of b, the first of a
    assert run.rr_at_1(latest=True) == 1


def test_the_engines_own_buckets_follow_from_its_matches(dev: Labelled) -> None:
    causes = [entry.cause for entry in dev.entries[:1_000]]
    run = of_engine(Labelled("part", dev.entries[:1_000]))
    for threshold in run.verdicts[0].buckets:
        own = measures.clustering(run.buckets(threshold), causes)
        assert own == measures.clustering(run.buckets_by_match(float(threshold)), causes)


def _written(folder: Path, name: str) -> Path:
    path = folder / f"{name}.jsonl.gz"
    document = {"database_id": "x:1", "project": "p", "stacktrace": [{"function": None}]}
    path.write_bytes(gzip.compress(json.dumps(document).encode() + b"\n"))
    oracle = json.dumps({"x:1": "cause"}).encode()
    path.with_name(f"{name}.oracle.json.gz").write_bytes(gzip.compress(oracle))
    return path


def test_a_corpus_is_found_by_its_file_its_folder_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _written(tmp_path, "other")
    monkeypatch.setenv("CRASHBUCKET_CORPUS", str(path))
    assert corpus.find(path) == corpus.find(tmp_path) == corpus.find() == path
    labelled = corpus.read(path)
    assert labelled.name == "other"
    assert [entry.cause for entry in labelled.entries] == ["cause"]


def test_an_absent_corpus_is_told_by_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRASHBUCKET_CORPUS", raising=False)
    monkeypatch.setenv("CRASHBUCKET_SHARED_DATA", str(tmp_path))
    with pytest.raises(corpus.CorpusAbsent, match=re.escape(str(tmp_path))):
        corpus.find()


def test_a_folder_with_two_corpora_must_be_told_which(tmp_path: Path) -> None:
    _written(tmp_path, "one")
    _written(tmp_path, "two")
    with pytest.raises(corpus.CorpusAbsent, match="name one"):
        corpus.find(tmp_path)
