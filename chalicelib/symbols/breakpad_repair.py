"""Breakpad symbol files that `symbolic` refuses as a whole, or reads in part, for a record that
Breakpad reads or passes over.

Format: Breakpad, docs/symbol_files.md; what is let pass is what `BasicSourceLineResolver`
(LoadMapFromMemory, SymbolParseHelper) lets pass, and what dump_syms has written over the years.
"""

from __future__ import annotations

import re

from chalicelib.errors import FormatError

MAX_BAD_RECORDS = 100  # kMaxErrorsBeforeBailing: what follows them is nothing either
_NO_FILE = b"4294967295"

_HEADER = re.compile(rb"MODULE [^\n]*\n?(?:INFO [^\n]*\n)*")
_GOOD = rb"""
    FUNC [ ] (?:m[ ])? [0-9a-fA-F]{1,16} [ ] [0-9a-fA-F]{1,16} [ ] [0-9a-fA-F]{1,8} (?:[ ][^\n]*)?
  | [0-9a-fA-F]{1,16} [ ] [0-9a-fA-F]{1,16} [ ] -?\d{1,9} [ ] \d{1,9}
  | (?:PUBLIC|STACK) [ ] [^\n]*
  | FILE [ ] \d{1,9} [ ] [^\n]+
  | INLINE_ORIGIN [ ] \d{1,9} [ ] (?!-?\d+[ ]) [^\n]+
  | INLINE [ ] \d{1,9} [ ] \d{1,9} [ ] \d{1,9} [ ] \d{1,9}
    (?:[ ][0-9a-fA-F]{1,16}[ ][0-9a-fA-F]{1,16})+
"""
_GOOD_RECORD = re.compile(_GOOD, re.VERBOSE)
_OTHER_RECORD = re.compile(rb"^(?!(?:" + _GOOD + rb")$)[^\n]*\n?", re.VERBOSE | re.MULTILINE)
_ORIGIN_WITH_FILE = re.compile(rb"INLINE_ORIGIN (\d{1,9}) (-?\d{1,9}) (.+)")
_INLINE = re.compile(
    rb"INLINE (\d{1,9}) (\d{1,9}) (?:(-1) )?(\d{1,9})((?: [0-9a-fA-F]{1,16} [0-9a-fA-F]{1,16})+)"
)
_EARLY = re.compile(rb"^(?:FILE|INLINE_ORIGIN) [^\n]*\n?", re.MULTILINE)
_LATE = re.compile(rb"^STACK [^\n]*\n?", re.MULTILINE)
_INLINES = re.compile(rb"(?:INLINE [^\n]*\n)*")
_LINE = re.compile(rb"[0-9a-fA-F]+ [0-9a-fA-F]+ \d+ (\d{1,9})$", re.MULTILINE)


def hides_functions(raw: bytes) -> bool:
    """Whether functions follow unwind data, where `symbolic` does not look for any."""
    last = max(raw.rfind(b"\nFUNC "), raw.rfind(b"\nPUBLIC "))
    return raw.find(b"\nSTACK ", 0, max(last, 0)) >= 0


def repaired(raw: bytes) -> bytes:
    """The file (with plain line ends) without records that cannot be read, the others in order.

    `INLINE` records of the kind that did not tell the file of the call, or
    tell that there is none, get one. Raises `FormatError` where more than
    `MAX_BAD_RECORDS` are bad.
    """
    header = _HEADER.match(raw)
    start = header.end() if header else 0
    records = _Repair().good(raw[start:])
    if not records.endswith(b"\n"):
        records += b"\n"
    early, late = b"".join(_EARLY.findall(records)), b"".join(_LATE.findall(records))
    return b"".join((raw[:start], early, _LATE.sub(b"", _EARLY.sub(b"", records)), late))


class _Repair:
    def __init__(self) -> None:
        self._bad = 0
        self._files: dict[bytes, bytes] = {}  # that the origins lie in
        self._around: list[bytes] = []  # the origins that the next record may be inside of
        self._lines_at = -1  # where the lines of the function begin,
        self._file_of_lines = _NO_FILE  # and the file of the first

    def good(self, records: bytes) -> bytes:
        return _OTHER_RECORD.sub(self._replaced, records)

    def _replaced(self, found: re.Match[bytes]) -> bytes:
        record = b" ".join(found[0].split())
        if not record:
            return b""
        if _GOOD_RECORD.fullmatch(record):  # but for its blanks
            return record + b"\n"
        origin = _ORIGIN_WITH_FILE.fullmatch(record)
        if origin:
            self._files[origin[1]] = origin[2] if origin[2].isdigit() else _NO_FILE
            return b"INLINE_ORIGIN %b %b\n" % (origin[1], origin[3])
        inline = _INLINE.fullmatch(record)
        if inline:
            return self._with_file(inline, found)
        if not record.startswith((b"INFO ", b"MODULE ")):  # which are good at the top only
            self._bad += 1
            if self._bad > MAX_BAD_RECORDS:
                raise FormatError(f"more than {MAX_BAD_RECORDS} records of the file are damaged")
        return b""

    def _with_file(self, inline: re.Match[bytes], found: re.Match[bytes]) -> bytes:
        """A call within an inlined function is in the function's file, any other in that of the
        lines around it."""
        depth, line, no_file, origin, places = inline.groups()
        file = _NO_FILE
        if no_file is None:
            del self._around[int(depth) :]
            if self._around:
                file = self._files.get(self._around[-1], _NO_FILE)
            else:
                file = self._file_around(found)
            self._around.append(origin)
        return b"INLINE %b %b %b %b%b\n" % (depth, line, file, origin, places)

    def _file_around(self, found: re.Match[bytes]) -> bytes:
        if found.end() > self._lines_at:
            records = found.string
            last = _INLINES.match(records, found.end())
            self._lines_at = last.end() if last else found.end()
            first = _LINE.match(records, self._lines_at)
            self._file_of_lines = first[1] if first else _NO_FILE
        return self._file_of_lines
