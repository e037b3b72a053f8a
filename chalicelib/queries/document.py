"""A report as a search sees it: text values under field paths, and the words in them."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

MAX_VALUES = 20_000  # of one report: ten values in each of 2,000 frames
_MAX_REMEMBERED = 64  # tests whose outcome is remembered of one stack
MAX_CHARS = 500_000  # of all values of one report; what is beyond is not searched

_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,30})?", re.ASCII)
_VERSION = re.compile(r"\d{1,18}(?:\.\d{1,18}){0,15}", re.ASCII)
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?"
    r"(Z|[+-]\d\d:?\d\d)?)?)?)?",
    re.ASCII,
)


def words_of(text: str) -> tuple[str, ...]:
    """The words a search compares: runs of letters and digits, without case."""
    return tuple(_WORD.findall(text.casefold()))


class Value:
    """One value of a field, with what is made of it when first asked for."""

    __slots__ = ("_spaced", "_terms", "_words", "folded", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.folded = text.casefold()
        self._words: list[str] | None = None
        self._spaced: str | None = None
        self._terms: frozenset[str] | None = None

    @property
    def words(self) -> list[str]:
        """The words, in their order; without case."""
        if self._words is None:
            self._words = _WORD.findall(self.folded)
        return self._words

    @property
    def spaced(self) -> str:
        """The words with a space around each, so that a run of words is one text in it."""
        if self._spaced is None:
            self._spaced = f" {' '.join(self.words)} "
        return self._spaced

    @property
    def terms(self) -> frozenset[str]:
        """What a wildcard may match: the words, what stands between spaces, the whole value."""
        if self._terms is None:
            chunks = self.folded.split()
            bare = (chunk.strip(string.punctuation) for chunk in chunks)
            self._terms = frozenset((*self.words, *chunks, *bare, self.folded))
        return self._terms


@lru_cache(maxsize=65_536)  # versions, devices, types: the same few come again and again
def value_of(text: str) -> Value:
    """The value of a text that other reports have too."""
    return Value(text)


class SharedValues:
    """Values of a field that many reports have alike, so that each test looks at them once."""

    __slots__ = ("_held", "path", "values")

    def __init__(self, path: str, texts: Sequence[str]) -> None:
        self.path = path
        self.values = tuple(map(Value, texts))
        self._held: dict[Callable[[Value], bool], bool] = {}

    def hold(self, test: Callable[[Value], bool]) -> bool:
        held = self._held.get(test)
        if held is None:
            if len(self._held) >= _MAX_REMEMBERED:
                self._held.clear()
            held = self._held[test] = any(map(test, self.values))
        return held


class Values(Protocol):
    """Something that has values under names of fields; None stands for any field."""

    def values(self, name: str | None) -> Iterator[Value]: ...

    def hold(self, name: str | None, test: Callable[[Value], bool]) -> bool:
        """Whether the test is true of one of them."""
        ...


@dataclass(frozen=True, slots=True)
class Document:
    """Values by field path, nested names joined by dots, in lower case.

    Those of `by_name_only` are not looked at where no field is named.
    """

    fields: Mapping[str, Sequence[Value]]
    by_name_only: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    shared: Sequence[SharedValues] = ()
    rest: Values | None = None
    """More of it, looked at only where the shared values do not decide."""

    def values(self, name: str | None) -> Iterator[Value]:
        """The values of a field and of those below it; of all fields for None."""
        yield from self._own(name)
        for values in self._shared(name):
            yield from values.values
        if self.rest is not None:
            yield from self.rest.values(name)

    def hold(self, name: str | None, test: Callable[[Value], bool]) -> bool:
        """Whether the test is true of one of them."""
        if any(values.hold(test) for values in self._shared(name)):
            return True
        if self.rest is not None:
            return self.rest.hold(name, test)
        return any(map(test, self._own(name)))

    def _own(self, name: str | None) -> Iterator[Value]:
        if name is None:
            for values in self.fields.values():
                yield from values
            return
        folded = name.casefold()
        below = f"{folded}."
        for fields in (self.fields, self.by_name_only):
            for path, values in fields.items():
                if path == folded or path.startswith(below):
                    yield from values

    def _shared(self, name: str | None) -> Iterator[SharedValues]:
        if not self.shared:
            return
        folded = None if name is None else name.casefold()
        for values in self.shared:
            if folded is None or values.path == folded or values.path.startswith(f"{folded}."):
                yield values


class DocumentBuilder:
    """Collects the values of one report, as many as the limits allow."""

    def __init__(self) -> None:
        self._fields: dict[str, list[Value]] = {}
        self._by_name_only: dict[str, list[Value]] = {}
        self._shared: list[SharedValues] = []
        self._values_left = MAX_VALUES
        self._chars_left = MAX_CHARS

    def add(self, path: str, value: object) -> None:
        """A JSON value under a path: objects by their names, lists as the values of one field.

        Null is no value; numbers and booleans count as JSON writes them. The
        nesting must be bounded, as `bounded_json` does.
        """
        self._add(self._fields, path, value)

    def add_by_name_only(self, path: str, value: object) -> None:
        """The same, for what only a search that names the field looks at."""
        self._add(self._by_name_only, path, value)

    def add_known(
        self, item: Mapping[str, object], names: Sequence[str], *, by_name_only: bool = False
    ) -> None:
        """Attributes of our own, which other reports have alike; the names are in lower case."""
        fields = self._by_name_only if by_name_only else self._fields
        for name in names:
            value = item.get(name)
            if type(value) is str:
                fields[name] = [value_of(value)]
            elif value is not None:
                text = ("true" if value else "false") if isinstance(value, bool) else str(value)
                fields[name] = [value_of(text)]

    def add_shared(self, values: SharedValues) -> None:
        self._shared.append(values)

    def document(self) -> Document:
        return Document(self._fields, self._by_name_only, self._shared)

    def _add(self, fields: dict[str, list[Value]], path: str, value: object) -> None:
        if isinstance(value, str):
            self._add_text(fields, path, value)
        elif isinstance(value, Mapping):
            for name, below in value.items():
                self._add(fields, f"{path}.{name}", below)
        elif isinstance(value, list):
            for below in value:
                self._add(fields, path, below)
        elif isinstance(value, bool):
            self._add_text(fields, path, "true" if value else "false")
        elif value is not None:
            self._add_text(fields, path, str(value))

    def _add_text(self, fields: dict[str, list[Value]], path: str, text: str) -> None:
        self._values_left -= 1
        self._chars_left -= len(text)
        if self._values_left < 0 or self._chars_left < 0:
            return
        folded = path.casefold()
        values = fields.get(folded)
        if values is None:
            fields[folded] = [Value(text)]
        else:
            values.append(Value(text))


def as_number(text: str) -> float | None:
    """What a text like `-12` or `0.5` counts."""
    return float(text) if _NUMBER.fullmatch(text) else None


def as_version(text: str) -> tuple[int, ...] | None:
    """The parts of a text like `10.3.1`, or of `10`."""
    return tuple(map(int, text.split("."))) if _VERSION.fullmatch(text) else None


def as_interval(text: str) -> tuple[datetime, datetime] | None:
    """The time that an ISO 8601 date or date-time means, from its start to behind its end.

    `2015-02` is a month, `2015-02-03T10` an hour; without a zone it is UTC.
    """
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    try:
        start = datetime(year, month or 1, day or 1, hour, minute, second, tzinfo=UTC)
        if found[7]:
            start += timedelta(microseconds=int(found[7][:6].ljust(6, "0")))
            length = timedelta(microseconds=10 ** max(0, 6 - len(found[7])))
        elif found[4]:
            length = timedelta(seconds=1 if found[6] else 60 if found[5] else 3600)
        elif found[3]:
            length = timedelta(days=1)
        elif found[2]:
            length = (start + timedelta(days=31)).replace(day=1) - start
        else:
            length = start.replace(year=year + 1) - start
        offset = timedelta()
        if found[8] and found[8] != "Z":
            sign = -1 if found[8][0] == "-" else 1
            offset = sign * timedelta(hours=int(found[8][1:3]), minutes=int(found[8][-2:]))
        return start - offset, start - offset + length
    except (ValueError, OverflowError):
        return None


def sort_key(text: str) -> tuple[int, float, str]:
    """What values are sorted by: numbers by what they count, before texts without case."""
    number = as_number(text)
    return (1, 0.0, text.casefold()) if number is None else (0, number, "")
