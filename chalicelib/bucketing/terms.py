"""The terms under which a stack is found again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from chalicelib.bucketing.grades import Grade
from chalicelib.bucketing.stack import Stack, property_words

# With the stack itself, its buckets (13), the count of its messages and the count of all stacks
# they make one atomic batch of 100 items.
MAX_TERMS = 72

_PAIRS = 12  # callers near the top; deeper ones come again in every stack of an app


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that stacks have in common: `field` says of what kind it is."""

    field: str
    text: str

    @property
    def key(self) -> str:
        """16 hex digits."""
        return _digest(f"{self.field}\x1f{self.text}")

    @property
    def counts_reports(self) -> bool:
        """Whether its reports are counted beside its stacks: they are for what `logdf` tells."""
        return self.field in {"frame", "all"}


ALL = Term("all", "")  # what every stack has: counts stacks and reports


@lru_cache(maxsize=65_536)  # an app's crashes show the same few thousand functions
def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def frame(name: str) -> Term:
    return Term("frame", name)


def word(text: str) -> Term:
    return Term("word", text)


def terms(stack: Stack) -> tuple[Term, ...]:
    """Its distinct terms, at most `MAX_TERMS`.

    Frames and words say how rare they are; pairs of frames, the crash site
    and the message find stacks whose single frames are all common.
    """
    found = dict.fromkeys(_terms(stack))
    return tuple(found)[:MAX_TERMS]


def _terms(stack: Stack) -> Iterator[Term]:
    kind = stack.types[0] if stack.types else ""
    site = next(
        (name for name, g in zip(stack.frames, stack.grades, strict=True) if g is Grade.APP), None
    )
    if site is not None:
        yield Term("site", f"{kind}\x1f{site}")
    if stack.message:
        yield Term("message", f"{kind}\x1f{stack.message}")
    yield from map(frame, stack.frames)
    yield from map(word, stack.words)
    for caller in pairwise(stack.frames[: _PAIRS + 1]):
        yield Term("pair", "\x1f".join(caller))
    for path, text in stack.properties:
        for told in sorted(property_words(text)):
            yield Term("property", f"{path}\x1f{told}")
