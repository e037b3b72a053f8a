"""The files of a tar archive in memory: POSIX ustar and pax (IEEE Std 1003.1), GNU tar.

Python's own `tarfile` is not for strangers' archives: of extended headers it
reads as much as they claim, with searches whose time is the square of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chalicelib.errors import FormatError

MAX_MEMBERS = 1000  # a client packs its dump and a few logs
_BLOCK = 512
_MAX_EXTENDED_BYTES = 64 * 1024  # of a long name, or of pax records
_MAX_SIZE_DIGITS = 20

_REGULAR = frozenset({b"0", b"\0", b"7"})
_GNU_LONG_NAME, _GNU_LONG_LINK, _GNU_SPARSE = b"L", b"K", b"S"
_PAX, _PAX_GLOBAL = b"x", b"g"


@dataclass(frozen=True, slots=True)
class TarFile:
    """A regular file of an archive."""

    name: str
    data: memoryview


def files(archive: bytes) -> Iterator[TarFile]:
    """The regular files in their order; raises `FormatError` where the archive is broken."""
    view = memoryview(archive)
    if not archive:
        raise FormatError("empty file")
    position, long_name, long_size = 0, "", None
    for _ in range(MAX_MEMBERS):
        header = bytes(view[position : position + _BLOCK])
        if not header.strip(b"\0"):  # the end: a block of zeros, or of the file
            return
        kind, size = _checked(header, position)
        if long_size is not None:
            size = long_size
        start = position + _BLOCK
        if start + size > len(archive):
            raise FormatError("unexpected end of data", f"byte {len(archive)}")
        data = view[start : start + size]
        position = start + -(-size // _BLOCK) * _BLOCK
        if kind in {_GNU_LONG_NAME, _GNU_LONG_LINK, _PAX, _PAX_GLOBAL}:
            if size > _MAX_EXTENDED_BYTES:
                raise FormatError(f"an extended header of {size} bytes", f"byte {start}")
            if kind == _GNU_LONG_NAME:
                long_name = _text(bytes(data))
            elif kind == _PAX:
                told = _pax_records(bytes(data))
                long_name = told.get("path", long_name)
                long_size = _decimal(told["size"]) if "size" in told else None
            continue
        if kind == _GNU_SPARSE:
            raise FormatError("it holds a sparse file", f"byte {start}")
        if kind in _REGULAR:
            yield TarFile(long_name or _name(header), data)
        long_name, long_size = "", None
    raise FormatError(f"it has more than {MAX_MEMBERS} members")


def is_tar(data: bytes) -> bool:
    """Whether the data begins as a tar archive does, of ustar's kind or of one before it."""
    if data[257:262] == b"ustar":
        return True
    header = data[:_BLOCK]
    return len(header) == _BLOCK and any(header) and _sum_is_right(header)


def _checked(header: bytes, position: int) -> tuple[bytes, int]:
    """The kind of a member and its size in bytes."""
    where = f"byte {position}"
    if len(header) < _BLOCK:
        raise FormatError("truncated header", where)
    if not _sum_is_right(header):
        raise FormatError("bad checksum" if position else "invalid header", where)
    size = _number(header[124:136])
    if size is None:
        raise FormatError("invalid header", where)
    return header[156:157], size


def _sum_is_right(header: bytes) -> bool:
    """The checksum counts its own field as blanks."""
    return _number(header[148:156]) == sum(header) - sum(header[148:156]) + 8 * ord(" ")


def _number(field: bytes) -> int | None:
    """Octal text; or, as GNU writes what that cannot hold, base 256 with the first bit set."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.partition(b"\0")[0].strip()
    if not digits:
        return 0
    return int(digits, 8) if all(digit in b"01234567" for digit in digits) else None


def _name(header: bytes) -> str:
    name = _text(header[:100])
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _pax_records(data: bytes) -> dict[str, str]:
    """Records `LENGTH KEY=VALUE\\n`, whose length counts itself."""
    told: dict[str, str] = {}
    position = 0
    while position < len(data) and data[position]:
        digits, blank, _ = data[position : position + _MAX_SIZE_DIGITS].partition(b" ")
        length = _decimal(digits.decode("latin-1"))
        record = data[position + len(digits) + 1 : position + length - 1]
        key, equals, value = record.partition(b"=")
        if not (blank and equals and position + length <= len(data)):
            raise FormatError("invalid header", "pax record")
        told[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        position += length
    return told


def _decimal(digits: str) -> int:
    if not (digits.isascii() and digits.isdigit() and 0 < len(digits) < _MAX_SIZE_DIGITS):
        raise FormatError("invalid header", "pax record")
    return int(digits)
