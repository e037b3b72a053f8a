"""JSON from strangers: read without trusting its depth, its size or its numbers."""

from __future__ import annotations

import json
import math
import re

from chalicelib.errors import FormatError

MAX_DEPTH = 64  # Apple's reports nest 6 deep; the interpreter's own limit depends on its caller
MAX_CONTAINERS = 150_000  # a report of 4 MB holds about 60,000 frames, and each is one
_MAX_NUMBER_CHARS = 32  # more than 64 bits or a double have; int() is quadratic in its digits

_STRING = re.compile(r'"[^"\\]*(?:\\(?:.|\Z)[^"\\]*)*(?:"|\Z)', re.DOTALL)
_WHITESPACE = " \t\r\n"
_NO_BRACKET = re.compile(r"[^\[\]{}]+")


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_NUMBER_CHARS else None


def _real(digits: str) -> float | None:
    return float(digits) if len(digits) <= _MAX_NUMBER_CHARS else None


def _constant(_name: str) -> None:
    """NaN and the infinities are no JSON; nothing we read is one of them."""


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_real, parse_constant=_constant)

_MAX_EXACT_DIGITS = 400  # the longest double has 309 before the point; int() stays cheap


def _exact_integer(digits: str) -> int:
    if len(digits) > _MAX_EXACT_DIGITS:
        raise FormatError(f"a number has more than {_MAX_EXACT_DIGITS} characters")
    return int(digits)


def _exact_real(digits: str) -> float:
    value = float(digits) if len(digits) <= _MAX_EXACT_DIGITS else math.inf
    if math.isinf(value):
        raise FormatError(f"the number {digits[:20]} is too large or too long")
    return value


def _no_constant(name: str) -> None:
    raise FormatError(f"{name} is no JSON")


_EXACT_DECODER = json.JSONDecoder(
    parse_int=_exact_integer, parse_float=_exact_real, parse_constant=_no_constant
)


def read_exactly(raw: bytes) -> object:
    """The one JSON value that `raw` is (UTF-8, or UTF-16 and UTF-32 with or without a mark).

    For what is given back as it came: what cannot be kept is refused, not
    left out. Raises `FormatError` as `read_object` does, for text behind the
    value, and for numbers that no double holds or of more than 400 characters.
    """
    try:
        text = raw.decode(json.detect_encoding(raw)).removeprefix("\ufeff").strip(_WHITESPACE)
    except UnicodeDecodeError as error:
        raise FormatError("not text in UTF-8", f"byte {error.start}") from None
    _require_bounded(text, 0)
    try:
        value: object = _EXACT_DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise FormatError(
            f"broken JSON: {error.msg}", f"line {error.lineno}, column {error.colno}"
        ) from None
    return value


def read_object(text: str, start: int = 0) -> tuple[dict[str, object], int]:
    """The JSON object that begins at character `start` of `text`, and where it ends.

    What follows it is not looked at. Numbers of more than 32 characters become None.
    Takes linear time. Raises `FormatError` for what is no JSON object, is
    nested deeper than 64 or holds more than 150,000 objects and arrays.
    """
    _require_bounded(text, start)
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise FormatError(
            f"broken JSON: {error.msg}", f"line {error.lineno}, column {error.colno}"
        ) from None
    if not isinstance(value, dict):
        raise FormatError("a JSON object is expected", f"character {start}")
    return value, end


def _require_bounded(text: str, start: int) -> None:
    brackets = _NO_BRACKET.sub("", _STRING.sub("", text[start:]))
    depth = containers = 0
    for bracket in brackets:
        if bracket in "[{":
            depth += 1
            containers += 1
            if depth > MAX_DEPTH:
                raise FormatError(f"the JSON is nested deeper than {MAX_DEPTH}")
        else:
            depth -= 1
            if depth <= 0:
                break  # the end of the object; what follows is not read
    if containers > MAX_CONTAINERS:
        raise FormatError(f"the JSON holds more than {MAX_CONTAINERS} objects and arrays")
