"""A minidump's header and stream directory: which streams there are, and where.

Format: Microsoft's minidumpapiset.h (MINIDUMP_HEADER, MINIDUMP_DIRECTORY); the
numbers of the streams that Breakpad, Crashpad and Mozilla added are in Breakpad's
`minidump_format.h` and rust-minidump's `format.rs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from struct import Struct

from chalicelib.errors import FormatError
from chalicelib.formats.minidump.dump_bytes import DumpBytes, Notes
from chalicelib.formats.minidump.limits import MAX_STREAMS

_HEADER = Struct("<4sIIIIIQ")
_ENTRY = Struct("<III")
_SIGNATURE = b"MDMP"
_VERSION = 0xA793
# What people send instead of a dump, by its first bytes.
_OTHER_FORMATS = (
    (b"\x1f\x8b", "gzip data"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x7fELF", "an ELF file (a core dump?)"),
    (b"PAGEDU", "a Windows kernel dump"),
    (b"{", "JSON"),
    (b"<", "XML or HTML"),
)


class Kind(IntEnum):
    """The streams that are read."""

    THREAD_LIST = 3
    MODULE_LIST = 4
    MEMORY_LIST = 5
    EXCEPTION = 6
    SYSTEM_INFO = 7
    MEMORY_64_LIST = 9
    COMMENT_A = 10
    COMMENT_W = 11
    UNLOADED_MODULE_LIST = 14
    MISC_INFO = 15
    MEMORY_INFO_LIST = 16
    THREAD_NAME_LIST = 24
    BREAKPAD_INFO = 0x47670001
    ASSERTION_INFO = 0x47670002
    LINUX_CPU_INFO = 0x47670003
    LINUX_PROC_STATUS = 0x47670004
    LINUX_LSB_RELEASE = 0x47670005
    LINUX_COMMAND_LINE = 0x47670006
    LINUX_AUXV = 0x47670008
    LINUX_MAPS = 0x47670009
    CRASHPAD_INFO = 0x43500001
    MAC_CRASH_INFO = 0x4D7A0001

    @property
    def title(self) -> str:
        """`thread list`, as a user reads it."""
        return self.name.replace("_", " ").lower()


@dataclass(frozen=True, slots=True)
class Stream:
    """Where a stream lies: `offset` from the beginning of the dump, `size` in bytes."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Directory:
    """`written_at` is the header's time; `streams` has one of each kind that the dump has."""

    written_at: datetime | None
    streams: Mapping[Kind, Stream]


def read_directory(dump: DumpBytes, notes: Notes) -> Directory:
    """The streams of a dump. Of a kind that comes twice, the first that lies in the file counts.

    Raises `FormatError` for what is no little-endian minidump, or has no directory.
    """
    head = bytes(dump.part_there_is(0, _HEADER.size))
    if head[:4] != _SIGNATURE:
        raise FormatError(_other_format(dump, head), "byte 0")
    if len(head) < _HEADER.size:
        raise FormatError(
            f"the minidump ends within its header: {len(head)} of {_HEADER.size} bytes",
            f"byte {len(head)}",
        )
    _, version, count, offset, _, written_at, _ = _HEADER.unpack(head)
    if version & 0xFFFF != _VERSION:
        raise FormatError(
            f"the minidump says it has version 0x{version & 0xFFFF:04x}; "
            f"the only known one is 0x{_VERSION:04x}",
            "byte 4",
        )
    return Directory(
        datetime.fromtimestamp(written_at, UTC) if written_at else None,
        _streams(dump, offset, count, notes),
    )


def _streams(dump: DumpBytes, offset: int, count: int, notes: Notes) -> dict[Kind, Stream]:
    there_is = dump.part_there_is(offset, min(count, MAX_STREAMS) * _ENTRY.size)
    entries = there_is[: len(there_is) // _ENTRY.size * _ENTRY.size]
    if not entries:
        raise FormatError(
            f"the stream directory ({count} entries) lies beyond the end of the dump, "
            f"which has {len(dump)} bytes"
            if count
            else "the minidump has no streams",
            f"byte {offset}",
        )
    if len(entries) < count * _ENTRY.size:
        notes.add(
            "stream directory", f"{count} entries claimed, {len(entries) // _ENTRY.size} read"
        )
    streams: dict[Kind, Stream] = {}
    for number, size, start in _ENTRY.iter_unpack(entries):
        if number not in _KINDS:
            continue
        kind = Kind(number)
        found = streams.get(kind)
        if found is None or (found.offset >= len(dump) and start < len(dump)):
            streams[kind] = Stream(start, size)
        if found is not None:
            notes.add(kind.title, "the dump has more than one; one is read")
    return streams


_KINDS = frozenset(map(int, Kind))


def _other_format(dump: DumpBytes, head: bytes) -> str:
    if not head:
        return "the minidump is empty"
    if head[:4] == _SIGNATURE[::-1]:
        return "a big-endian minidump (PowerPC, SPARC) is not read"
    if bytes(dump.part_there_is(257, 5)) == b"ustar":
        return "this is a tar archive, not a minidump"
    for magic, name in _OTHER_FORMATS:
        if head.startswith(magic):
            return f"this is {name}, not a minidump"
    return f"not a minidump: it begins with {head[:4]!r}, not with {_SIGNATURE!r}"
