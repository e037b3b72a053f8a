"""`STACK` records of a Breakpad symbol file, made into an unwind cache.

Format: Breakpad, docs/symbol_files.md; which of several records counts is as in
its `BasicSourceLineResolver`. `symbolic` writes the unwind data of ELF, Mach-O,
PE and PDB files in the same records.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from chalicelib.errors import FormatError
from chalicelib.symbols import breakpad_sym, ranges
from chalicelib.symbols.breakpad_sym import PUBLIC
from chalicelib.symbols.ranges import Range
from chalicelib.symbols.unwind_cache import HEADER, LIMIT, MAGIC, NOTHING, join_rules

FRAME_DATA, FPO = 4, 0
# Each row may change one rule and keep the others, so that a small file may ask for large sets.
MAX_SET_CHARS = 2048  # of one set of rules; real ones have at most some 250
MAX_SETS_CHARS = 32 * 1024 * 1024  # of all that differ; those of libc have 85,000
_STACK = re.compile(
    rb"^STACK (?:CFI (INIT )?([0-9a-fA-F]{1,16}) ([^\r\n]*)|WIN ([^\r\n]*))", re.MULTILINE
)


class _Initial(NamedTuple):
    start: int
    end: int
    rules: bytes


class _Windows(NamedTuple):
    """The numbers of a `STACK WIN` record as the cache has them, but for the program's text."""

    numbers: tuple[int, ...]
    program: bytes


def build(text: bytes, *, parameter_sizes: bool = False) -> bytes:
    """The unwind cache of `STACK` records; empty when there is nothing in them.

    With `parameter_sizes`, also what `FUNC` and `PUBLIC` records say of the
    parameters of functions that no `STACK WIN` record covers. Raises
    `FormatError` where there are more different rules than any program has.
    """
    initial: list[_Initial] = []
    changes: dict[int, bytes] = {}
    windows: dict[int, list[_Windows]] = {FRAME_DATA: [], FPO: []}
    for found in _STACK.finditer(text):
        is_initial, address, rules, fields = found.groups()
        if fields:
            record = _windows(fields)
            if record is not None:
                windows[record.numbers[0]].append(record)
        elif is_initial:
            size, _, first = rules.partition(b" ")
            start = int(address, 16)
            end = start + _hex(size)
            if end <= LIMIT:
                initial.append(_Initial(start, end, first))
        else:
            changes[int(address, 16)] = rules
    rows = _Rows()
    rows.add(initial, changes)
    sizes = list(_parameter_sizes(text)) if parameter_sizes else []
    frames = _Frames(windows, sizes)
    if not (rows.starts or frames.starts):
        return b""
    return _cache(rows, frames)


class _Rows:
    """The rows of call frame information, each with its whole set of rules."""

    def __init__(self) -> None:
        self.starts = array("I")
        self.sets = array("I")
        self.texts: list[bytes] = []
        self._rules: list[Mapping[str, str]] = []
        self._numbers: dict[str, int] = {}
        self._changed: dict[tuple[int, bytes], int] = {}
        self._chars = 0

    def add(self, initial: list[_Initial], changes: Mapping[int, bytes]) -> None:
        addresses = sorted(changes)
        entries = (Range(entry.start, entry.end, place) for place, entry in enumerate(initial))
        for start, end, place in ranges.apart(entries):
            number = self._change(-1, initial[place].rules)
            if number < 0:
                continue
            if self.starts and self.starts[-1] == start:  # the gap that the last one closed with
                self.sets[-1] = number
            else:
                self._append(start, number)
            for row in addresses[bisect_left(addresses, start) : bisect_left(addresses, end)]:
                changed = self._change(number, changes[row])
                if row == start:
                    self.sets[-1] = changed
                elif changed != number:
                    self._append(row, changed)
                number = changed
            self._append(end, NOTHING)
        if self.starts and self.starts[-1] == LIMIT:
            self.starts.pop()
            self.sets.pop()

    def _append(self, start: int, number: int) -> None:
        self.starts.append(min(start, LIMIT - 1))
        self.sets.append(number)

    def _change(self, number: int, text: bytes) -> int:
        """The set that `text` makes of a set (-1: of none); as before where it cannot be read."""
        known = self._changed.get((number, text))
        if known is not None:
            return known
        rules = _rules(text)
        if rules is None:
            result = number
        else:
            merged = {**self._rules[number], **rules} if number >= 0 else rules
            result = self._number(merged, otherwise=number)
        self._changed[number, text] = result
        return result

    def _number(self, rules: Mapping[str, str], *, otherwise: int) -> int:
        """The number of a set, a new one where it is; `otherwise` for one that is too long."""
        key = join_rules(rules)
        known = self._numbers.get(key)
        if known is not None:
            return known
        if len(key) > MAX_SET_CHARS:
            return otherwise
        self._chars += len(key)
        if self._chars > MAX_SETS_CHARS:
            raise FormatError("the unwind data have more different rules than any program has")
        self._numbers[key] = len(self._rules)
        self._rules.append(rules)
        self.texts.append(key.encode())
        return len(self._rules) - 1


class _Frames:
    """The `STACK WIN` records, frame data before FPO, and then the sizes of parameters."""

    def __init__(
        self, windows: Mapping[int, list[_Windows]], sizes: list[tuple[Range, int]]
    ) -> None:
        records = [*windows[FRAME_DATA], *windows[FPO]]
        first_fpo = len(windows[FRAME_DATA])
        places = [
            Range(r.numbers[1], r.numbers[1] + r.numbers[2], i) for i, r in enumerate(records)
        ]
        covered = ranges.over(
            ranges.innermost(places[:first_fpo]), ranges.innermost(places[first_fpo:])
        )
        below: list[Range] = []
        known: dict[int, int] = {}
        for place, size in sizes:
            number = known.setdefault(size, len(records))
            if number == len(records):
                records.append(_Windows((NOTHING, 0, 0, 0, 0, size, 0, 0, 0, 0), b""))
            below.append(Range(place.start, place.end, number))
        self.records = records
        self.starts = array("I")
        self.numbers = array("I")
        end = 0
        for entry in ranges.over(covered, below):
            if self.starts and end < entry.start:
                self._append(end, NOTHING)
            self._append(entry.start, entry.record)
            end = entry.end
        if self.starts and end < LIMIT:
            self._append(end, NOTHING)

    def _append(self, start: int, number: int) -> None:
        self.starts.append(start)
        self.numbers.append(number)


def _cache(rows: _Rows, frames: _Frames) -> bytes:
    programs: dict[bytes, int] = {}
    records = array("I")
    for record in frames.records:
        records.extend(record.numbers)
        program = record.program
        records.append(programs.setdefault(program, len(programs)) if program else NOTHING)
    header = HEADER.pack(
        MAGIC,
        len(rows.starts),
        len(frames.starts),
        len(frames.records),
        len(rows.texts),
        len(programs),
        sum(map(len, rows.texts)) + sum(map(len, programs)),
    )
    return b"".join(
        [
            header,
            rows.starts.tobytes(),
            rows.sets.tobytes(),
            frames.starts.tobytes(),
            frames.numbers.tobytes(),
            records.tobytes(),
            _ends(rows.texts).tobytes(),
            _ends(programs).tobytes(),
            *rows.texts,
            *programs,
        ]
    )


def _ends(texts: list[bytes] | dict[bytes, int]) -> array[int]:
    ends = array("I")
    position = 0
    for text in texts:
        position += len(text)
        ends.append(position)
    return ends


def _rules(text: bytes) -> Mapping[str, str] | None:
    """The rules of one record by register; None when it is none (Breakpad's CFIRuleParser)."""
    rules: dict[str, str] = {}
    name = ""
    expression: list[str] = []
    for token in text.decode("utf-8", "replace").split():
        if len(token) >= 2 and token.endswith(":"):
            if name:
                if not expression:
                    return None
                rules[name] = " ".join(expression)
            name, expression = token[:-1], []
        elif not name:
            return None
        else:
            expression.append(token)
    if not (name and expression):
        return None
    rules[name] = " ".join(expression)
    return rules


def _windows(fields: bytes) -> _Windows | None:
    """A `STACK WIN` record: 11 fields, the last a program or whether EBP is allocated."""
    parts = fields.split(None, 10)
    if len(parts) < 11:
        return None
    try:
        kind, start, code, prolog, epilog, parameters, saved, local, stack, has_program = (
            int(part, 16) for part in parts[:10]
        )
    except ValueError:
        return None
    numbers = (kind, start, code, prolog, epilog, parameters, saved, local, stack)
    if kind not in {FRAME_DATA, FPO} or not all(0 <= number < LIMIT for number in numbers):
        return None
    if start + code > LIMIT:
        return None
    program = parts[10].strip() if has_program else b""
    allocates = 0 if has_program else int(parts[10].strip() not in {b"0", b""})
    return _Windows((*numbers, allocates), program)


def _parameter_sizes(text: bytes) -> Iterator[tuple[Range, int]]:
    """Where functions have parameters, and how many bytes; a `FUNC` hides every `PUBLIC` in it."""
    covered = breakpad_sym.functions(text)
    publics = {int(found[1], 16): int(found[2], 16) for found in PUBLIC.finditer(text)}
    starts = sorted(
        {*(start for start in publics if start < LIMIT), *(entry.start for entry in covered)}
    )
    ends = [*starts[1:], LIMIT]
    public = [
        Range(start, end, publics[start])
        for start, end in zip(starts, ends, strict=False)
        if start in publics
    ]
    for entry in ranges.over(covered, public):
        if entry.record:
            yield entry, entry.record


def _hex(text: bytes) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return LIMIT
