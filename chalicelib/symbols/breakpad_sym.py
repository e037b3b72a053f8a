"""Breakpad's symbol files, as `symbolic` is to read them.

Format: Breakpad, docs/symbol_files.md; which of several records counts is as in
its `BasicSourceLineResolver`.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from chalicelib.symbols import ranges
from chalicelib.symbols.ranges import Range
from chalicelib.symbols.unwind_cache import LIMIT

FUNCTION = re.compile(
    rb"^FUNC (?:m )?([0-9a-fA-F]{1,16}) ([0-9a-fA-F]{1,16}) ([0-9a-fA-F]{1,8})(?![0-9a-fA-F])",
    re.MULTILINE,
)
PUBLIC = re.compile(
    rb"^PUBLIC (?:m )?([0-9a-fA-F]{1,16}) ([0-9a-fA-F]{1,8})(?![0-9a-fA-F])", re.MULTILINE
)
_MODULE = re.compile(rb"MODULE [^\r\n]{1,2000}\r?\n?")
_LINE_ENDS = re.compile(rb"\r+\n")


def is_symbol_file(raw: bytes) -> bool:
    return _MODULE.match(raw) is not None


def module_name(raw: bytes) -> str:
    """What the first line calls the module: `MODULE os cpu debug_id debug_file`."""
    line = raw[:2100].split(b"\n", 1)[0].decode("utf-8", "replace")
    return line.split(None, 4)[-1]


def prepared(raw: bytes) -> bytes:
    """The file with plain line ends, and without `PUBLIC` records inside a `FUNC`.

    To Breakpad a function has all its code; to `symbolic` a public symbol
    ends the function in whose middle it is (MSVC's assembly has such).
    """
    if b"\r" in raw:
        raw = _LINE_ENDS.sub(b"\n", raw)
    covered = functions(raw)
    starts = [entry.start for entry in covered]
    cuts: list[tuple[int, int]] = []
    for found in PUBLIC.finditer(raw):
        address = int(found[1], 16)
        place = bisect_right(starts, address) - 1
        if place >= 0 and starts[place] < address < covered[place].end:
            end = raw.find(b"\n", found.start())
            cuts.append((found.start(), len(raw) if end < 0 else end + 1))
    if not cuts:
        return raw
    kept = []
    position = 0
    for start, end in cuts:
        kept.append(raw[position:start])
        position = end
    return b"".join([*kept, raw[position:]])


def functions(raw: bytes) -> list[Range]:
    """Where the functions are, apart and by address; the record is the size of the parameters."""
    found: list[Range] = []
    for entry in FUNCTION.finditer(raw):
        start, size, parameters = (int(part, 16) for part in entry.groups())
        if start + size <= LIMIT:
            found.append(Range(start, start + size, parameters))
    return ranges.apart(found)
