"""Which of several files of one build answers: a stripped program and its debug file are two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Candidate(Protocol):
    """What the choice goes by."""

    def has(self, feature: str) -> bool: ...


C = TypeVar("C", bound=Candidate)


@dataclass(frozen=True, slots=True)
class Chosen(Generic[C]):
    symbols: C | None
    unwind: C | None


def best(candidates: Sequence[C]) -> Chosen[C]:
    """The files for symbols and for unwind data: of equal ones the first.

    For symbols one with lines is better than one with names alone.
    """
    with_lines = (entry for entry in candidates if entry.has("debug"))
    with_names = (entry for entry in candidates if entry.has("symbols"))
    with_unwind = (entry for entry in candidates if entry.has("unwind"))
    return Chosen(
        symbols=next(with_lines, None) or next(with_names, None),
        unwind=next(with_unwind, None),
    )
