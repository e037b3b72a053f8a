"""The online protocol: each report is bucketed knowing only the earlier ones, in date order.

What a method says of a report is its top match among the earlier reports, with
a score, and a bucket for each threshold. Nothing is revised later.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks.evaluation import measures
from benchmarks.evaluation.corpus import Entry, Labelled
from chalicelib.bucketing.assignment import Founder
from chalicelib.bucketing.engine import Bucketing
from chalicelib.bucketing.stack import normalise

STEP = 0.1  # between the thresholds of a curve
_LOWEST, _HIGHEST = 1.0, 12.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a method says of a report: `match` is the database_id of the closest
    earlier report, None when nothing was near; then the score is 0.

    Often many are equally near, and not always of one cause: `match` is the
    earliest of them, `latest` the last where the method knows it. `buckets`
    holds a bucket's id per threshold where the method keeps buckets itself;
    else they follow from the matches.
    """

    match: str | None
    score: float
    buckets: Mapping[str, str]
    latest: str | None = None


class Method(Protocol):
    """Something that buckets reports; it remembers what it has taken."""

    def take(self, entry: Entry) -> Verdict: ...


@dataclass(frozen=True, slots=True)
class Run:
    """All verdicts on a corpus, in its order, and the seconds they took."""

    corpus: Labelled
    verdicts: tuple[Verdict, ...]
    seconds: float

    @property
    def reports_per_s(self) -> float:
        return len(self.verdicts) / self.seconds

    def buckets(self, threshold: str) -> list[str]:
        """The bucket of each report: as the method put it, else as its matches have it."""
        if all(threshold in verdict.buckets for verdict in self.verdicts):
            return [verdict.buckets[threshold] for verdict in self.verdicts]
        return self.buckets_by_match(float(threshold))

    def buckets_by_match(self, threshold: float) -> list[str]:
        """The bucket of the match where the score reaches the threshold, else a new one."""
        of_report: dict[str, str] = {}
        for entry, verdict in zip(self.corpus.entries, self.verdicts, strict=True):
            joined = verdict.match is not None and verdict.score >= threshold
            of_report[entry.database_id] = (
                of_report[verdict.match] if joined and verdict.match else entry.database_id
            )
        return list(of_report.values())

    def clustering(self, threshold: str) -> measures.Clustering:
        return measures.clustering(self.buckets(threshold), self._causes)

    def curve(self) -> dict[str, measures.Clustering]:
        """By threshold, from 1.0 to 12.0 by tenths, all from the matches."""
        count = round((_HIGHEST - _LOWEST) / STEP) + 1
        thresholds = [round(_LOWEST + STEP * number, 1) for number in range(count)]
        return {
            f"{threshold:.1f}": measures.clustering(self.buckets_by_match(threshold), self._causes)
            for threshold in thresholds
        }

    def auc(self) -> float:
        """ROC-AUC: does the top match's score tell a report whose cause was seen from a new one."""
        scores = [verdict.score for verdict in self.verdicts]
        return measures.roc_auc(scores, measures.seen_before(self._causes))

    def rr_at_1(self, *, latest: bool = False) -> float:
        """Of the reports whose cause was seen, the share whose top match has that cause.

        The published figures of the baselines take the earliest of equally
        near reports, and so does PartyCrasher's API, which names one report
        as the top match. With `latest` it is the last of them: what a person
        would see who looks at a bucket's newest report.
        """
        cause_of = {entry.database_id: entry.cause for entry in self.corpus.entries}
        causes = self._causes
        right = []
        for cause, verdict, seen in zip(
            causes, self.verdicts, measures.seen_before(causes), strict=True
        ):
            if seen:
                match = verdict.latest or verdict.match if latest else verdict.match
                right.append(match is not None and cause_of[match] == cause)
        return sum(right) / len(right) if right else 0.0

    @property
    def _causes(self) -> list[str]:
        return [entry.cause for entry in self.corpus.entries]


class Engine:
    """The service's own engine, as every door uses it.

    Its match is a stack, told by the report that brought it first.
    """

    def __init__(self, bucketing: Bucketing) -> None:
        self._bucketing = bucketing
        self._latest: dict[str, str] = {}  # by fingerprint

    def take(self, entry: Entry) -> Verdict:
        founder = Founder(entry.database_id, entry.project)
        assignment = self._bucketing.assign(normalise(entry.report), founder)
        match = assignment.match_of(entry.database_id)
        verdict = Verdict(
            match=match.founder.database_id if match else None,
            score=match.score if match else 0.0,
            buckets=assignment.buckets,
            latest=self._latest[match.fingerprint] if match else None,
        )
        self._latest[assignment.fingerprint] = entry.database_id
        return verdict


def run(corpus: Labelled, method: Method) -> Run:
    """Give the method every report in turn."""
    began = time.perf_counter()
    verdicts = tuple(method.take(entry) for entry in corpus.entries)
    return Run(corpus, verdicts, time.perf_counter() - began)


def best_threshold(curve: Mapping[str, measures.Clustering]) -> str:
    """Where BCubed F1 is highest; the lowest of equals."""
    return max(curve, key=lambda threshold: curve[threshold].f1)


def shown(run: Run, thresholds: Sequence[str]) -> list[tuple[object, ...]]:
    """Rows of a table: threshold, BCubed P, R, F1, purity, its inverse, their F, buckets."""
    rows: list[tuple[object, ...]] = []
    for threshold in thresholds:
        found = run.clustering(threshold)
        rows.append(
            (
                threshold,
                *(
                    f"{figure:.3f}"
                    for figure in (
                        found.precision,
                        found.recall,
                        found.f1,
                        found.purity,
                        found.inverse_purity,
                        found.purity_f,
                    )
                ),
                found.clusters,
            )
        )
    return rows
