"""The memory of one thread's stack, read by words of its CPU."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_STRUCTS = {4: struct.Struct("<I"), 8: struct.Struct("<Q")}
_LETTERS = {4: "I", 8: "Q"}


class StackMemory:
    """Dumped stack from `start` upwards; `word` is 4 or 8 bytes, little-endian, `mask` the
    highest address.

    Only the stack is read, and no other memory of the dump: a register that
    points elsewhere is not a frame pointer, whatever lies there.
    """

    __slots__ = ("_data", "_last", "_unpack", "end", "mask", "start", "word")

    def __init__(self, start: int, data: memoryview, word: int) -> None:
        self.start = start
        self.end = start + len(data)
        self.word = word
        self.mask = (1 << 8 * word) - 1
        self._data = data
        self._last = len(data) - word
        self._unpack = _STRUCTS[word].unpack_from

    def read(self, address: int) -> int | None:
        """The word at an address, aligned or not; None outside of the stack."""
        offset = address - self.start
        if 0 <= offset <= self._last:
            value: int = self._unpack(self._data, offset)[0]
            return value
        return None

    def words(self, address: int, count: int) -> Sequence[int]:
        """Up to `count` words from an address on: as many as the stack has."""
        offset = address - self.start
        if not 0 <= offset <= self._last:
            return ()
        count = min(count, (self._last - offset) // self.word + 1)
        return struct.unpack_from(f"<{count}{_LETTERS[self.word]}", self._data, offset)
