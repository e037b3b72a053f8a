"""Pointers of arm64 without the authentication codes in their upper bits.

Source: `StackwalkerARM64::PtrauthStrip` in Breakpad: what the addresses of
the modules leave unused cannot be address.
"""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.formats.minidump.code_map import CodeMap

PointerStrip = Callable[[int], int]


def pointer_strip(code: CodeMap) -> PointerStrip:
    """What takes the code off a pointer into a module, and leaves any other value alone."""
    mask = (1 << code.high.bit_length()) - 1

    def strip(pointer: int) -> int:
        stripped = pointer & mask
        return stripped if code.loaded_at(stripped) else pointer

    return strip
