"""Whether a document is what a query asks for."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from chalicelib.queries.document import (
    Document,
    Value,
    as_interval,
    as_number,
    as_version,
    words_of,
)
from chalicelib.queries.query import (
    And,
    Everything,
    Exists,
    Fuzzy,
    Leaf,
    Not,
    Or,
    Phrase,
    Query,
    Range,
    Wildcard,
    Word,
)
from chalicelib.queries.wildcards import matcher, needle

_MONTH_CHARS = len("2015-01")  # a shorter text is a number rather than a date


def matches(query: Query, document: Document) -> bool:
    """Whether the document matches; takes time linear in its size for each clause."""
    if isinstance(query, And):
        return all(matches(operand, document) for operand in query.operands)
    if isinstance(query, Or):
        return any(matches(operand, document) for operand in query.operands)
    if isinstance(query, Not):
        return not matches(query.operand, document)
    if isinstance(query, Everything):
        return True
    if isinstance(query, Exists):
        return any(True for _ in document.values(query.field))
    return document.hold(query.field, _test(query))


@lru_cache(maxsize=1024)
def _test(leaf: Leaf) -> Callable[[Value], bool]:
    """What a leaf asks of one value."""
    if isinstance(leaf, Wildcard):
        fits, held = matcher(leaf.pattern), needle(leaf.pattern)
        return lambda value: held in value.folded and any(map(fits, value.terms))
    if isinstance(leaf, Fuzzy):
        text, edits = leaf.text.casefold(), leaf.edits
        return lambda value: any(_is_near(text, term, edits) for term in value.terms)
    if isinstance(leaf, Range):
        return _Bounds(leaf).hold
    assert isinstance(leaf, Word | Phrase), leaf
    return _text_test(leaf)


def _text_test(leaf: Word | Phrase) -> Callable[[Value], bool]:
    words = words_of(leaf.text)
    if leaf.text.startswith("-") and (number := as_number(leaf.text)) is not None:
        return lambda value: as_number(value.text) == number  # its sign is no part of a word
    if not words:  # punctuation only
        text = leaf.text.casefold()
        return lambda value: text in value.terms
    if isinstance(leaf, Phrase) and leaf.slop:
        slop = leaf.slop
        return lambda value: _within(value.words, words, slop)
    first, spaced = words[0], f" {' '.join(words)} "
    interval = as_interval(leaf.text) if len(leaf.text) >= _MONTH_CHARS else None

    def holds(value: Value) -> bool:
        # nearly always the first word is nowhere: then the value need not be split
        return first in value.folded and spaced in value.spaced

    def holds_or_is_in_time(value: Value) -> bool:
        assert interval is not None
        if holds(value):
            return True
        moment = as_interval(value.text)
        return moment is not None and interval[0] <= moment[0] < interval[1]

    return holds if interval is None else holds_or_is_in_time


def _within(own: Sequence[str], words: Sequence[str], slop: int) -> bool:
    """Lucene's sloppy phrase: how far the words are out of place, together, is at most `slop`.

    A word at place p that is the i-th of the phrase stands off by p - i; the
    phrase is found where the largest and the smallest of these differ by no
    more than the slop.
    """
    found: dict[str, list[int]] = {word: [] for word in words}
    for place, word in enumerate(own):
        if word in found:
            found[word].append(place)
    places = [[place - index for place in found[word]] for index, word in enumerate(words)]
    if not all(places):
        return False
    heap = [(entries[0], index, 0) for index, entries in enumerate(places)]
    heapq.heapify(heap)
    largest = max(offset for offset, _, _ in heap)
    while True:
        smallest, index, step = heap[0]
        if largest - smallest <= slop:
            return True
        if step + 1 == len(places[index]):
            return False
        following = places[index][step + 1]
        largest = max(largest, following)
        heapq.heapreplace(heap, (following, index, step + 1))


@lru_cache(maxsize=65_536)  # frames repeat: a function's name stands in many of them
def _is_near(text: str, other: str, edits: int) -> bool:
    """Whether the edit distance is at most `edits`; only a band that wide is looked at."""
    if abs(len(text) - len(other)) > edits or text == other:
        return text == other
    far = edits + 1
    row = {column: column for column in range(min(edits, len(other)) + 1)}
    for line, letter in enumerate(text, 1):
        following: dict[int, int] = {}
        for column in range(max(0, line - edits), min(len(other), line + edits) + 1):
            if column == 0:
                following[0] = line
                continue
            following[column] = min(
                row.get(column, far) + 1,
                following.get(column - 1, far) + 1,
                row.get(column - 1, far) + (letter != other[column - 1]),
            )
        row = following
        if min(row.values()) > edits:
            return False
    return row.get(len(other), far) <= edits


class _Bounds:
    """A range: of numbers, of dates or of versions, where value and bounds can be read so.

    Bounds that are one of these never match another text; all others are
    compared as text, with the whole value and with each of its words.
    """

    def __init__(self, leaf: Range) -> None:
        self._leaf = leaf
        self._numbers = _both(leaf, as_number)
        self._dates = _both(leaf, as_interval)
        self._versions = _both(leaf, as_version)
        self._texts = _both(leaf, str.casefold)
        self._is_text = not (self._numbers or self._dates or self._versions)

    def hold(self, value: Value) -> bool:
        if self._numbers and (number := as_number(value.text)) is not None:
            return self._between(number, self._numbers)
        if self._dates and len(value.text) >= _MONTH_CHARS and (time := as_interval(value.text)):
            return self._in_time(time[0], self._dates)
        if self._versions and (version := as_version(value.text)) is not None:
            return self._between(version, self._versions)
        if not self._is_text or self._texts is None:
            return False
        return any(self._between(text, self._texts) for text in (value.folded, *value.words))

    def _between(self, value: Any, bounds: tuple[Any, Any]) -> bool:
        low, high = bounds
        leaf = self._leaf
        if low is not None and not (value >= low if leaf.include_low else value > low):
            return False
        return high is None or bool(value <= high if leaf.include_high else value < high)

    def _in_time(self, moment: datetime, bounds: tuple[Any, Any]) -> bool:
        """A bound is a day, say, not its first moment: `<=` holds until its end."""
        low, high = bounds
        leaf = self._leaf
        if low is not None and moment < low[0 if leaf.include_low else 1]:
            return False
        return high is None or bool(moment < high[1 if leaf.include_high else 0])


def _both(leaf: Range, read: Callable[[str], Any]) -> tuple[Any, Any] | None:
    """Both bounds as `read` understands them; None where it does not."""
    low = None if leaf.low is None else read(leaf.low)
    high = None if leaf.high is None else read(leaf.high)
    if (low is None) != (leaf.low is None) or (high is None) != (leaf.high is None):
        return None
    return low, high
