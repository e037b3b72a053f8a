"""Unwind data in a form that a lookup needs no parsing for.

All numbers are little-endian and unsigned, of 32 bits. The cache begins with
the magic and the counts of its sections, which follow in this order:

- `rows`: the offsets in the module from which on a set of rules of call frame
  information holds, in rising order, then for each its set (`NOTHING`: none);
- `frames`: the same for `STACK WIN` records;
- `records`: the `STACK WIN` records, `RECORD_WORDS` numbers each;
- `sets` and `programs`: where in the text behind them each text ends.

A set of rules is whole: what an `INIT` row says with the changes of the rows
behind it, so that finding it is one bisection. Few sets are distinct.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from chalicelib.errors import FormatError
from chalicelib.formats.minidump.symbol_source import WindowsFrame

MAGIC = b"CBUNWIN1"
HEADER = struct.Struct("<8s6I")  # magic, rows, frames, records, sets, programs, bytes of text
RECORD_WORDS = 11
NOTHING = 0xFFFFFFFF
LIMIT = 1 << 32  # no module reaches 4 GB beyond its start
_MAX_KNOWN_SETS = 4096  # parsed sets of one module that are kept; real files have a few hundred

Buffer: TypeAlias = bytes | memoryview


class UnwindCache:
    """Looks unwind data up in a cache; safe to share between threads."""

    def __init__(self, data: Buffer) -> None:
        """Raises `FormatError` when `data` is no whole cache."""
        view = memoryview(data)
        if len(view) < HEADER.size:
            raise FormatError("the unwind cache is shorter than its header")
        magic, rows, frames, records, sets, programs, text = HEADER.unpack_from(view)
        words = 2 * rows + 2 * frames + RECORD_WORDS * records + sets + programs
        if magic != MAGIC or len(view) != HEADER.size + 4 * words + text:
            raise FormatError("the unwind cache is damaged")
        numbers = view[HEADER.size : HEADER.size + 4 * words].cast("I")
        self._text = view[HEADER.size + 4 * words :]
        self._rows, self._sets_of_rows, numbers = (
            numbers[:rows],
            numbers[rows : 2 * rows],
            numbers[2 * rows :],
        )
        self._frames, self._records_of_frames = numbers[:frames], numbers[frames : 2 * frames]
        numbers = numbers[2 * frames :]
        self._records, numbers = (
            numbers[: RECORD_WORDS * records],
            numbers[RECORD_WORDS * records :],
        )
        self._set_ends, self._program_ends = numbers[:sets], numbers[sets:]
        self._program_text = self._text[self._set_ends[-1] if sets else 0 :]
        self._known: dict[int, Mapping[str, str]] = {}

    def rules(self, offset: int) -> Mapping[str, str] | None:
        """The rules at an offset by register, None where there are none."""
        number = _at(self._rows, self._sets_of_rows, offset)
        if number is None:
            return None
        known = self._known.get(number)
        if known is None:
            if len(self._known) >= _MAX_KNOWN_SETS:
                self._known.clear()
            known = self._known[number] = split_rules(_text(self._text, self._set_ends, number))
        return known

    def windows_frame(self, offset: int) -> WindowsFrame | None:
        """The `STACK WIN` record at an offset.

        `kind` is 4 (frame data), 0 (FPO), or `PARAMETER_SIZE_ONLY` where there
        is neither but the function says how much its parameters take.
        """
        number = _at(self._frames, self._records_of_frames, offset)
        if number is None:
            return None
        record = self._records[RECORD_WORDS * number : RECORD_WORDS * (number + 1)]
        kind, start, code, prolog, epilog, parameters, saved, local, stack, based, program = record
        return WindowsFrame(
            kind=PARAMETER_SIZE_ONLY if kind == NOTHING else kind,
            start=start,
            code_size=code,
            prolog_size=prolog,
            epilog_size=epilog,
            parameter_size=parameters,
            saved_register_size=saved,
            local_size=local,
            max_stack_size=stack,
            program=""
            if program == NOTHING
            else _text(self._program_text, self._program_ends, program),
            allocates_base_pointer=bool(based),
        )


PARAMETER_SIZE_ONLY = -1


def _at(starts: Sequence[int], values: Sequence[int], offset: int) -> int | None:
    place = bisect_right(starts, offset) - 1
    if place < 0:
        return None
    value = values[place]
    return None if value == NOTHING else value


def _text(pool: memoryview, ends: Sequence[int], number: int) -> str:
    start = ends[number - 1] if number else 0
    return str(pool[start : ends[number]], "utf-8", "replace")


def join_rules(rules: Mapping[str, str]) -> str:
    return "\n".join(f"{name}\t{rule}" for name, rule in rules.items())


def split_rules(text: str) -> Mapping[str, str]:
    rules: dict[str, str] = {}
    for line in text.split("\n"):
        name, _, rule = line.partition("\t")
        rules[name] = rule
    return rules
