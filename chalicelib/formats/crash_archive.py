"""The archive that an omaha client may send in the place of a dump: `.tar` or `.tar.gz`.

Gzip is RFC 1952's. Nothing is ever written to a path that an archive names.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from chalicelib.errors import FormatError
from chalicelib.formats import tar

MINIDUMP_MAGICS = (b"MDMP", b"PMDM")  # of a little-endian and of a big-endian machine
GZIP_MAGIC = b"\x1f\x8b"
MAX_INFLATED_BYTES = 60_000_000  # of an archive: thrice a body; a payload's log holds it
_MAX_NAMES = 50  # of the members: told in the report
_MAX_NAME_CHARS = 200

_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")


class BrokenArchive(FormatError):
    """The archive cannot be read; the message is omaha-server's."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The tar file is broken, error: {problem}")


@dataclass(frozen=True, slots=True)
class Contents:
    """What was sent: `dump` is empty where there is none.

    `names` are the files of an archive, at most 50, as far as the dump; empty for a bare dump.
    """

    dump: bytes
    is_archive: bool = False
    names: tuple[str, ...] = ()


def read(data: bytes, filename: str = "") -> Contents:
    """The minidump in what was sent: itself, gzipped, or the first `.dmp` of an archive.

    What it is, its first bytes tell; the name counts only where they do not.
    Raises `BrokenArchive`, or `FormatError` for what is neither dump nor archive.
    """
    if data.startswith(MINIDUMP_MAGICS):
        return Contents(data)
    if data.startswith(GZIP_MAGIC):
        inflated = _inflated(data)
        return Contents(inflated) if inflated.startswith(MINIDUMP_MAGICS) else _archive(inflated)
    if tar.is_tar(data) or filename.lower().endswith(_TAR_SUFFIXES):
        return _archive(data)
    raise FormatError("is neither a minidump nor a tar archive of one")


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    try:
        inflated = inflater.decompress(data, MAX_INFLATED_BYTES + 1)
    except zlib.error as error:
        raise BrokenArchive(f"not a gzip file ({error})") from error
    if len(inflated) > MAX_INFLATED_BYTES:
        raise BrokenArchive(f"it has more than {MAX_INFLATED_BYTES} bytes inside")
    if not inflater.eof:
        raise BrokenArchive("unexpected end of data")
    return inflated


def _archive(data: bytes) -> Contents:
    names: list[str] = []
    try:
        for file in tar.files(data):
            if len(names) < _MAX_NAMES:
                names.append(file.name[:_MAX_NAME_CHARS])
            if file.name.endswith(".dmp"):
                return Contents(bytes(file.data), True, tuple(names))
    except FormatError as error:
        raise BrokenArchive(str(error)) from error
    return Contents(b"", True, tuple(names))
