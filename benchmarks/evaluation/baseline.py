"""PartyCrasher's own method, for comparison only: the nearest report by CamelCase terms.

Every report is a document of fields. A new one becomes a "more like this"
query of all its terms in all its fields; the best hit under Lucene's classic
similarity counts (TFIDFSimilarity of Lucene 4 and 5):

    score = coord * queryNorm * sum of tf * idf^2 * norm over the terms matched
    tf = sqrt(how often the term is in the field), norm = 1 / sqrt(terms in the field)
    idf = 1 + ln(reports / (reports with the term + 1))
    queryNorm = 1 / sqrt(sum of idf^2 over the query), coord = share of its terms matched

Sources: Campbell, Santos, Hindle, "The unreasonable effectiveness of
traditional information retrieval in crash report deduplication" (MSR 2016).
The norm is exact here, which Lucene rounds to a byte, and the cap of 2,500
terms is left out, which no report reaches. Of equal hits the earliest counts,
as Lucene has it. Addresses and libraries of frames are no part of the
documents: so it comes closest to the figures known of it.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import add, mul
from typing import Any

from benchmarks.evaluation.corpus import Entry
from benchmarks.evaluation.protocol import Verdict

_FRAMES = "stacktrace"
_STACK_FIELD = "stacktrace.function"
_LEFT_OUT = frozenset({
    "database_id", "date", "buckets", "force_bucket",
    "stacktrace.depth", "stacktrace.logdf", "stacktrace.address", "stacktrace.dylib",
})  # fmt: skip
_TERM = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


class PartyCrasher:
    """The nearest earlier report, over an inverted index in memory.

    Without context only the names of the functions count.
    """

    def __init__(self, *, with_context: bool = True) -> None:
        self._with_context = with_context
        self._ids: list[str] = []
        self._fields: dict[str, _Field] = {}

    def take(self, entry: Entry) -> Verdict:
        document = {
            name: tuple(texts)
            for name, texts in _document(entry.document).items()
            if self._with_context or name == _STACK_FIELD
        }
        verdict = self._best_hit(document)
        for name in document.keys() - self._fields.keys():
            self._fields[name] = _Field(len(self._ids))
        for name, field in self._fields.items():
            field.add(document.get(name, ()))
        self._ids.append(entry.database_id)
        return verdict

    def _best_hit(self, document: Mapping[str, tuple[str, ...]]) -> Verdict:
        sums = [0.0] * len(self._ids)
        matched = [0] * len(self._ids)
        terms, squares = 0, 0.0
        for name, texts in document.items():
            if name not in self._fields:
                continue
            field = self._fields[name]
            hits = field.ask(texts, len(self._ids))
            terms += hits.terms
            squares += hits.squares
            # Maps rather than comprehensions: this is over all reports, for every field.
            sums = list(map(add, sums, map(hits.sums.__getitem__, field.of_report)))
            matched = list(map(add, matched, map(hits.matched.__getitem__, field.of_report)))
        if not terms:
            return Verdict(None, 0.0, {})
        scores = list(map(mul, sums, matched))
        best = max(scores)
        if not best:
            return Verdict(None, 0.0, {})
        score = best / terms / math.sqrt(squares)
        return Verdict(self._ids[scores.index(best)], score, {})


@dataclass(frozen=True, slots=True)
class _Hits:
    """What a query finds in one field: by value, the sum over terms and how many matched."""

    sums: Sequence[float]
    matched: Sequence[int]
    terms: int
    squares: float


class _Field:
    """One field of all reports. Equal texts are indexed once: most reports repeat some."""

    def __init__(self, reports_without: int) -> None:
        self.of_report = [0] * reports_without  # the number of each report's value
        self._values: dict[tuple[str, ...], int] = {(): 0}
        self._term_sets = [0]  # by value; bit n stands for the n-th term
        self._numbers: dict[str, int] = {}
        self._reports_with: list[int] = []  # by term
        self._postings: list[list[tuple[int, float]]] = []  # by term: values with tf * norm

    def add(self, texts: tuple[str, ...]) -> None:
        """The next report's texts in this field, none where it lacks the field."""
        terms = _counted(texts)
        value = self._values.get(texts)
        if value is None:
            value = self._values[texts] = len(self._values)
            self._term_sets.append(self._index(value, terms))
        for term in terms:
            self._reports_with[self._numbers[term]] += 1
        self.of_report.append(value)

    def _index(self, value: int, terms: Mapping[str, int]) -> int:
        norm = 1 / math.sqrt(max(1, sum(terms.values())))
        term_set = 0
        for term, times in terms.items():
            number = self._numbers.setdefault(term, len(self._numbers))
            if number == len(self._postings):
                self._postings.append([])
                self._reports_with.append(0)
            self._postings[number].append((value, math.sqrt(times) * norm))
            term_set |= 1 << number
        return term_set

    def ask(self, texts: tuple[str, ...], reports: int) -> _Hits:
        """Terms that no report holds are no part of a "more like this" query."""
        known = [self._numbers[term] for term in _counted(texts) if term in self._numbers]
        sums = [0.0] * len(self._values)
        squares, asked = 0.0, 0
        for number in known:
            square = (1 + math.log(reports / (self._reports_with[number] + 1))) ** 2
            squares += square
            asked |= 1 << number
            for value, weight in self._postings[number]:
                sums[value] += square * weight
        matched = [(asked & term_set).bit_count() for term_set in self._term_sets]
        return _Hits(sums, matched, len(known), squares)


def _document(report: Mapping[str, Any]) -> dict[str, list[str]]:
    """The texts of each field that is compared."""
    document: defaultdict[str, list[str]] = defaultdict(list)
    for name, text in _texts(report):
        if name not in _LEFT_OUT:
            document[name].append(text)
    return document


def _texts(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in report.items():
        if name == _FRAMES:
            frames: Sequence[Mapping[str, Any]] = value
            for frame in frames:
                yield from ((f"{_FRAMES}.{key}", str(it)) for key, it in frame.items() if it)
        elif value:
            yield name, str(value)


@lru_cache(maxsize=4_096)
def _counted(texts: tuple[str, ...]) -> Counter[str]:
    return Counter(term for text in texts for term in split(text))


def split(text: str) -> list[str]:
    """The CamelCase terms of a text, case kept: `HTTPServer2` gives `HTTP`, `Server`, `2`."""
    return _TERM.findall(text)
