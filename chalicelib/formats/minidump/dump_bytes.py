"""The bytes of a dump, every read of which is checked against those that there are."""

from __future__ import annotations

from collections import Counter
from struct import Struct

from chalicelib.formats.minidump.limits import MAX_NAME_CHARS, MAX_NOTES, MAX_NOTES_OF_A_KIND

_UINT32 = Struct("<I")


class Damaged(Exception):
    """A part of the dump cannot be read; the message says why, in words a user understands."""


class DumpBytes:
    """A dump's bytes; offsets count from its beginning. Nothing is copied but what is decoded."""

    def __init__(self, raw: bytes | memoryview) -> None:
        self._view = memoryview(raw)

    def __len__(self) -> int:
        return len(self._view)

    def part(self, offset: int, size: int) -> memoryview:
        """The `size` bytes at `offset`. Raises `Damaged` where the dump ends before."""
        if offset + size > len(self._view):
            raise Damaged(self._beyond(offset, size))
        return self._view[offset : offset + size]

    def part_there_is(self, offset: int, size: int) -> memoryview:
        """The bytes at `offset`, up to `size`, that the dump has: fewer or none at its end."""
        return self._view[offset : offset + size]

    def fields(self, layout: Struct, offset: int) -> tuple[int, ...]:
        """The numbers of a record. Raises `Damaged` where the dump ends before."""
        if offset + layout.size > len(self._view):
            raise Damaged(self._beyond(offset, layout.size))
        return layout.unpack_from(self._view, offset)

    def uint32(self, offset: int) -> int:
        return self.fields(_UINT32, offset)[0]

    def utf16(self, offset: int) -> str:
        """A MINIDUMP_STRING: a byte count and UTF-16. Cut off at MAX_NAME_CHARS."""
        size = self.uint32(offset)
        text = self.part(offset + 4, size)[: MAX_NAME_CHARS * 2]
        return decode_utf16(text[: len(text) & ~1])

    def utf8(self, offset: int, limit: int) -> str:
        """A Crashpad string: a byte count and UTF-8. Cut off at `limit` bytes."""
        size = self.uint32(offset)
        return decode_utf8(self.part(offset + 4, size)[:limit])

    def _beyond(self, offset: int, size: int) -> str:
        return (
            f"its {size} bytes at byte {offset} reach beyond the end of the dump, "
            f"which has {len(self._view)} bytes"
        )


class Notes:
    """What could not be read, each damage once, in the order found.

    Of parts that come in numbers ("registers of thread 7") the first few are told, then how
    many more there are: one bad list leaves room for the others.
    """

    def __init__(self) -> None:
        self._texts: dict[str, None] = {}
        self._counts: Counter[str] = Counter()

    def add(self, part: str, problem: str) -> None:
        """`part` is what a user may miss ("thread list"), `problem` why it is missed."""
        text = f"{part}: {problem}"
        if text in self._texts:
            return
        kind = part.rstrip("0123456789").rstrip()
        self._counts[kind] += 1
        if self._counts[kind] <= MAX_NOTES_OF_A_KIND and len(self._texts) < MAX_NOTES:
            self._texts[text] = None

    @property
    def texts(self) -> tuple[str, ...]:
        more = (
            f"{kind}: {count - MAX_NOTES_OF_A_KIND} more that are not told"
            for kind, count in self._counts.items()
            if count > MAX_NOTES_OF_A_KIND
        )
        return (*self._texts, *more)


def decode_utf16(text: memoryview) -> str:
    """Little-endian UTF-16 up to its first NUL; what is no UTF-16 becomes U+FFFD."""
    return bytes(text).decode("utf-16-le", "replace").partition("\0")[0]


def decode_utf8(text: bytes | memoryview) -> str:
    """UTF-8 up to its first NUL; what is no UTF-8 becomes U+FFFD."""
    return bytes(text).decode("utf-8", "replace").partition("\0")[0]
