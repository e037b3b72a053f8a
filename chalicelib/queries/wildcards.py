"""Wildcards matched in linear time: no regular expression sees a whole pattern.

Between two `*` stands a piece of fixed length. Taking each piece where it
first fits is as good as any other place, so nothing is ever taken back.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import groupby
from typing import TypeAlias

_TOKEN = re.compile(r"\\(?P<literal>.)|(?P<one>\?)|(?P<many>\*+)|(?P<plain>[^\\?*]+)", re.DOTALL)

Piece: TypeAlias = "tuple[str | None, ...]"  # characters; None stands for any one


@lru_cache(maxsize=256)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a text in lower case has the shape of a pattern as `query.Wildcard` holds it."""
    pieces = _pieces(pattern)
    if len(pieces) == 1:
        whole = _Piece(pieces[0])
        return lambda text: len(text) == whole.length and whole.stands(text, 0)
    first, *middle, last = map(_Piece, pieces)

    def matches(text: str) -> bool:
        end = len(text) - last.length
        if end < first.length or not first.stands(text, 0) or not last.stands(text, end):
            return False
        position = first.length
        for piece in middle:
            found = piece.find(text, position, end)
            if found < 0:
                return False
            position = found + piece.length
        return True

    return matches


class _Piece:
    """A part of a pattern without `*`."""

    def __init__(self, characters: Piece) -> None:
        self.length = len(characters)
        self._literal = "".join(characters) if None not in characters else None  # type: ignore[arg-type]
        self._expression = re.compile(
            "".join("." if one is None else re.escape(one) for one in characters), re.DOTALL
        )

    def stands(self, text: str, at: int) -> bool:
        if self._literal is not None:
            return text.startswith(self._literal, at)
        return self._expression.match(text, at) is not None

    def find(self, text: str, start: int, end: int) -> int:
        """Where it first stands between the two places; -1 if nowhere."""
        if self._literal is not None:
            return text.find(self._literal, start, end)
        found = self._expression.search(text, start, end)
        return found.start() if found else -1


def _pieces(pattern: str) -> list[Piece]:
    pieces: list[list[str | None]] = [[]]
    for token in _TOKEN.finditer(pattern):
        if token["many"]:
            pieces.append([])
        elif token["one"]:
            pieces[-1].append(None)
        else:
            pieces[-1].extend((token["literal"] or token["plain"]).casefold())
    return [tuple(piece) for piece in pieces]


def needle(pattern: str) -> str:
    """The longest text that every text of this shape holds, in lower case."""
    runs = [
        "".join(run)  # type: ignore[arg-type]
        for piece in _pieces(pattern)
        for is_text, run in groupby(piece, lambda one: one is not None)
        if is_text
    ]
    return max(runs, key=len, default="")
