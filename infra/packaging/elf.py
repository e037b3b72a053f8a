"""Shared libraries without what only a debugger reads.

Source: System V ABI, "ELF Header", "Program Header"; glibc's loader reads nothing else. Written
here because `strip` is not on every machine, knows only the machine's own processor where it is,
and leaves other bytes from version to version: the same wheels must make the same zip.
"""

from __future__ import annotations

import struct

_MAGIC = b"\x7fELF\x02\x01\x01"  # 64 bits, little-endian, version 1: both processors of Lambda
_HEADER_BYTES = 64
_SEGMENTS_AT = 32  # e_phoff
_SECTIONS_AT = 40  # e_shoff
_SEGMENT_COUNTS = struct.Struct("<HH")  # e_phentsize, e_phnum
_SEGMENT_COUNTS_AT = 54
_SECTION_COUNTS_AT = 60  # e_shnum, e_shstrndx
_FILE_RANGE = struct.Struct("<8xQ16xQ")  # p_offset, p_filesz of a program header


def stripped(library: bytes) -> bytes:
    """The library up to the end of what is loaded: sections behind it are symbols and debug data.

    Anything but a 64-bit little-endian ELF file comes back as it is.
    """
    if not library.startswith(_MAGIC) or len(library) < _HEADER_BYTES:
        return library
    (segments_at,) = struct.unpack_from("<Q", library, _SEGMENTS_AT)
    size, count = _SEGMENT_COUNTS.unpack_from(library, _SEGMENT_COUNTS_AT)
    loaded_to = segments_at + count * size
    for number in range(count):
        offset, length = _FILE_RANGE.unpack_from(library, segments_at + number * size)
        loaded_to = max(loaded_to, offset + length)
    kept = bytearray(library[:loaded_to])
    struct.pack_into("<Q", kept, _SECTIONS_AT, 0)
    struct.pack_into("<HH", kept, _SECTION_COUNTS_AT, 0, 0)
    return bytes(kept)
