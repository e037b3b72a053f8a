"""What the writer of a dump says of the process: who asked for the dump, when it started.

Format: MINIDUMP_MISC_INFO (1 to 5; all begin alike), Breakpad's MDRawBreakpadInfo and
MDRawAssertionInfo; the assertion's wording is that of `minidump_processor.cc` (GetAssertion).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct

from chalicelib.formats.minidump.directory import Stream
from chalicelib.formats.minidump.dump_bytes import DumpBytes, decode_utf8, decode_utf16
from chalicelib.formats.minidump.limits import MAX_ANNOTATION_BYTES

_MISC = Struct("<4I")
_HAS_PROCESS_ID, _HAS_PROCESS_TIMES = 1, 2
_BREAKPAD = Struct("<3I")
_HAS_DUMP_THREAD, _HAS_REQUESTING_THREAD = 1, 2
_ASSERTION_TEXT_BYTES = 256
_ASSERTION = Struct("<2I")
_ASSERTION_TYPES = {
    1: "Invalid parameter passed to library function",
    2: "Pure virtual function called",
}


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    process_id: int | None = None
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BreakpadInfo:
    """Ids of the thread that wrote the dump and of the one that asked for it."""

    dump_thread_id: int | None = None
    requesting_thread_id: int | None = None


def read_misc_info(dump: DumpBytes, stream: Stream) -> ProcessInfo:
    _, flags, process_id, created_at = dump.fields(_MISC, stream.offset)
    return ProcessInfo(
        process_id if flags & _HAS_PROCESS_ID else None,
        datetime.fromtimestamp(created_at, UTC)
        if flags & _HAS_PROCESS_TIMES and created_at
        else None,
    )


def read_breakpad_info(dump: DumpBytes, stream: Stream) -> BreakpadInfo:
    validity, dump_thread, requesting_thread = dump.fields(_BREAKPAD, stream.offset)
    return BreakpadInfo(
        dump_thread if validity & _HAS_DUMP_THREAD else None,
        requesting_thread if validity & _HAS_REQUESTING_THREAD else None,
    )


def read_assertion(dump: DumpBytes, stream: Stream) -> str:
    """`Pure virtual function called in function f, in file f.cc at line 12`."""
    record = dump.part(stream.offset, 3 * _ASSERTION_TEXT_BYTES + _ASSERTION.size)
    expression, function, file = (
        decode_utf16(record[begin : begin + _ASSERTION_TEXT_BYTES])
        for begin in range(0, 3 * _ASSERTION_TEXT_BYTES, _ASSERTION_TEXT_BYTES)
    )
    line, kind = _ASSERTION.unpack_from(record, 3 * _ASSERTION_TEXT_BYTES)
    text = _ASSERTION_TYPES.get(kind) or f"Unknown assertion type 0x{kind:08x}"
    if expression:
        text += f" {expression}"
    if function:
        text += f" in function {function}"
    if file:
        text += f", in file {file}"
    if line:
        text += f" at line {line}"
    return text


def read_comment(dump: DumpBytes, stream: Stream, *, is_utf16: bool) -> str:
    """A comment stream: text of the app that called MiniDumpWriteDump."""
    text = dump.part(stream.offset, stream.size)[:MAX_ANNOTATION_BYTES]
    return decode_utf16(text[: len(text) & ~1]) if is_utf16 else decode_utf8(text)
