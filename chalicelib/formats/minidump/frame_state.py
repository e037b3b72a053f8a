"""A frame while its stack is being unwound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.formats.minidump.code_map import Code
from chalicelib.formats.minidump.symbol_source import Location
from chalicelib.model import Trust


@dataclass(slots=True)
class FrameState:
    """The registers as they were in a frame, by the names in `machine`.

    `known` are those that were recovered; the others hold what they had in the
    frame that this one called, which may have changed since. `looked_up` is
    the address whose source is asked for: inside the call that has not
    returned, while the instruction pointer is already behind it.
    `parameter_size` is the bytes of arguments the frame's function takes on
    the stack (x86), None when not known.
    """

    registers: dict[str, int]
    known: frozenset[str]
    trust: Trust
    looked_up: int = 0
    code: Code | None = None
    locations: Sequence[Location] = ()
    parameter_size: int | None = None
