"""Where in a mapping each class is, so that nobody needs to read all of it.

All numbers are little-endian and unsigned, of 32 bits. The index begins with
the magic and the number of classes; then come where in the text behind it the
line of each class ends, and the numbers of the lines in the order of original
names. A line is `OBFUSCATED \\t ORIGINAL \\t SOURCE FILE \\t START \\t END` with the
place of the class in the mapping in bytes; lines are in the order of their bytes.
"""

from __future__ import annotations

import json
import re
import struct
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.errors import FormatError
from chalicelib.symbols.unwind_cache import Buffer

MAGIC = b"CBMAPPI1"
_HEADER = struct.Struct("<8sI")
_CLASS = re.compile(rb"^(\S[^\r\n\t]{0,2000}?) -> ([^\s:]{1,2000}):", re.MULTILINE)
_SOURCE_FILE = re.compile(rb'^# *(\{[^\r\n]{0,1000}"sourceFile"[^\r\n]{0,1000}\})', re.MULTILINE)
_COMMENTS_BYTES = 2000  # behind a class's name, where R8 says what its source file is


@dataclass(frozen=True, slots=True)
class MappedClass:
    """A class in a mapping: `start` and `end` are where its lines lie."""

    original: str
    source_file: str | None
    start: int
    end: int


def build(raw: bytes) -> bytes:
    """The index of a mapping; of a class that is there twice the first counts."""
    found = list(_CLASS.finditer(raw))
    lines: dict[bytes, bytes] = {}
    originals: dict[bytes, bytes] = {}
    for place, entry in enumerate(found):
        end = found[place + 1].start() if place + 1 < len(found) else len(raw)
        original, obfuscated = entry[1], entry[2]
        file = _source_file(raw[entry.end() : min(end, entry.end() + _COMMENTS_BYTES)])
        if obfuscated not in lines:
            numbers = b"%d\t%d" % (entry.start(), end)
            lines[obfuscated] = b"\t".join((obfuscated, original, file, numbers))
            originals[obfuscated] = original
    names = sorted(lines)
    by_original = sorted(range(len(names)), key=lambda number: originals[names[number]])
    ends = array("I")
    position = 0
    for name in names:
        position += len(lines[name])
        ends.append(position)
    return b"".join(
        [
            _HEADER.pack(MAGIC, len(names)),
            ends.tobytes(),
            array("I", by_original).tobytes(),
            *(lines[name] for name in names),
        ]
    )


def _source_file(comments: bytes) -> bytes:
    found = _SOURCE_FILE.search(comments)
    if found is None or b"\n" in comments[: found.start()].strip(b"\r\n"):
        return b""  # that of a method's inlined class, further down
    try:
        told = json.loads(found[1])
        name = told.get("fileName") if told.get("id") == "sourceFile" else None
    except (ValueError, RecursionError, AttributeError):
        return b""
    return name.encode(errors="replace") if isinstance(name, str) and "\t" not in name else b""


class MappingIndex:
    """Looks classes up in an index; safe to share between threads."""

    def __init__(self, data: Buffer) -> None:
        """Raises `FormatError` when `data` is no whole index."""
        view = memoryview(data)
        if len(view) < _HEADER.size:
            raise FormatError("the index of the mapping is shorter than its header")
        magic, count = _HEADER.unpack_from(view)
        if magic != MAGIC or len(view) < _HEADER.size + 8 * count:
            raise FormatError("the index of the mapping is damaged")
        numbers = view[_HEADER.size : _HEADER.size + 8 * count].cast("I")
        self._ends, self._by_original = numbers[:count], numbers[count:]
        self._text = view[_HEADER.size + 8 * count :]

    def obfuscated(self, name: str) -> MappedClass | None:
        """The class that has this name in the program."""
        wanted = name.encode(errors="replace")
        place = bisect_left(
            range(len(self._ends)), wanted, key=lambda number: self._line(number)[0]
        )
        return self._found(place, 0, wanted)

    def source_file(self, original: str) -> str | None:
        """The source file of a class by its original name, where the mapping says it."""
        wanted = original.encode(errors="replace")
        place = bisect_left(self._by_original, wanted, key=lambda number: self._line(number)[1])
        if place == len(self._by_original):
            return None
        found = self._found(self._by_original[place], 1, wanted)
        return found.source_file if found else None

    def _found(self, number: int, column: int, wanted: bytes) -> MappedClass | None:
        if number >= len(self._ends):
            return None
        line = self._line(number)
        if line[column] != wanted:
            return None
        _, original, file, start, end = line
        return MappedClass(
            original.decode(errors="replace"),
            file.decode(errors="replace") or None,
            int(start),
            int(end),
        )

    def _line(self, number: int) -> Sequence[bytes]:
        start = self._ends[number - 1] if number else 0
        return bytes(self._text[start : self._ends[number]]).split(b"\t")
