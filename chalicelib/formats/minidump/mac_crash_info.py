"""What system libraries of macOS left in their `__DATA,__crash_info` for a crash report.

Format: Mozilla's Breakpad and rust-minidump (`format.rs`, MINIDUMP_MAC_CRASH_INFO): the fields
of Apple's CrashReporterClient.h, with the texts behind each record.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from struct import Struct

from chalicelib.formats.minidump.directory import Stream
from chalicelib.formats.minidump.dump_bytes import Damaged, DumpBytes, Notes, decode_utf8

_HEADER = Struct("<3I")
_PLACE = Struct("<2I")
_RECORD = Struct("<2Q")
_MAX_RECORDS = 20  # the writer's own limit
_MAX_TEXT_BYTES = 8192  # the writer's own limit
_FIRST_WITH_TEXTS = 4
_TEXTS = ("message", "signature", "backtrace", "message 2")


def read_mac_crash_info(
    dump: DumpBytes, stream: Stream, notes: Notes
) -> tuple[tuple[str, str], ...]:
    """Annotations: `dyld message` and the text. A damaged record costs its own texts only."""
    _, count, fixed_size = dump.fields(_HEADER, stream.offset)
    said: list[tuple[str, str]] = []
    for place in range(min(count, _MAX_RECORDS)):
        at = stream.offset + _HEADER.size + place * _PLACE.size
        try:
            size, offset = dump.fields(_PLACE, at)
            if size:
                said += _record(dump, offset, size, fixed_size)
        except Damaged as damage:
            notes.add(f"mac crash info {place + 1}", str(damage))
    return tuple(said)


def _record(dump: DumpBytes, offset: int, size: int, fixed_size: int) -> list[tuple[str, str]]:
    record = dump.part(offset, size)
    _, version = dump.fields(_RECORD, offset)
    if version < _FIRST_WITH_TEXTS:
        return []
    texts: list[str] = []
    begin = fixed_size
    for _ in ("module", *_TEXTS):
        candidate = record[begin : begin + _MAX_TEXT_BYTES]
        length = bytes(candidate).find(b"\0")
        if length < 0:
            raise Damaged(f"a text of the record at byte {offset} does not end")
        texts.append(decode_utf8(candidate[:length]))
        begin += length + 1
    module = PurePosixPath(texts[0]).name
    return [
        (f"{module} {name}".strip(), text)
        for name, text in zip(_TEXTS, texts[1:], strict=True)
        if text
    ]
