"""What a search asks for, as a tree; `lucene.parse` makes it, `matching.matches` decides by it.

Every leaf names its field (None: any field). Texts are as the person wrote
them, without quotes and escapes; only a wildcard keeps its backslashes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, Union


@dataclass(frozen=True, slots=True)
class Word:
    """A value that holds this word, or, for `a-b.c`, these words one after the other."""

    text: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Phrase:
    """A value that holds these words one after the other.

    `slop` is how many places they may be out of order, all together (Lucene's).
    """

    text: str
    field: str | None = None
    slop: int = 0


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A word or a whole value of this shape: `*` any characters, `?` one, `\\?` itself."""

    pattern: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """A word that this one becomes with at most `edits` letters added, dropped or changed."""

    text: str
    edits: int
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """A value between two bounds, of which one may be None: open."""

    low: str | None
    high: str | None
    include_low: bool = True
    include_high: bool = True
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Exists:
    """The field, or one below it, has a value."""

    field: str


@dataclass(frozen=True, slots=True)
class Everything:
    """Every report."""


@dataclass(frozen=True, slots=True)
class And:
    operands: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Or:
    operands: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Not:
    operand: Query


Leaf: TypeAlias = Union[Word, Phrase, Wildcard, Fuzzy, Range, Exists, Everything]
Query: TypeAlias = Union[Leaf, And, Or, Not]


def fields_of(query: Query) -> Iterator[str | None]:
    """The field of every leaf that has to look at one; None for a leaf that looks at all."""
    if isinstance(query, And | Or):
        for operand in query.operands:
            yield from fields_of(operand)
    elif isinstance(query, Not):
        yield from fields_of(query.operand)
    elif not isinstance(query, Everything):
        yield query.field
