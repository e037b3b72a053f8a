"""Unwound frames as a report has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from chalicelib.formats.minidump.frame_names import split_name
from chalicelib.formats.minidump.frame_state import FrameState
from chalicelib.formats.minidump.machine import Machine
from chalicelib.formats.minidump.ownership import Ownership
from chalicelib.formats.minidump.symbol_source import Location
from chalicelib.formats.minidump.unwinding import MAX_FRAMES
from chalicelib.formats.path_names import file_name
from chalicelib.model import Frame, Trust

_MAX_SHOWN = 2 * MAX_FRAMES  # of one thread, with inlined ones

_split = lru_cache(maxsize=4096)(split_name)


class Frames:
    """Makes the frames of the threads of one process; threads begin alike, so each is kept."""

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership
        self._known: dict[tuple[int, int, Trust], tuple[Frame, ...]] = {}

    def of(self, states: Sequence[FrameState], machine: Machine) -> tuple[Frame, ...]:
        """The frames of a thread, each with the functions inlined in it before it."""
        frames: list[Frame] = []
        for state in states:
            address = state.looked_up if machine.shows_call else state.registers[machine.ip]
            key = (address, state.looked_up, state.trust)
            made = self._known.get(key)
            if made is None:
                made = self._known[key] = tuple(self._made(state, address))
            frames += made
            if len(frames) > _MAX_SHOWN:
                break
        return tuple(frames[:_MAX_SHOWN])

    def _made(self, state: FrameState, address: int) -> Iterator[Frame]:
        code = state.code
        module = code.module if code else None
        name = file_name(module.code_file) if module else None
        offset = address - code.start if code else None
        if not state.locations:
            yield Frame(
                module=name,
                address=address,
                offset=offset,
                in_app=self._ownership.owns(module, None),
                trust=state.trust,
            )
            return
        outermost: Location = state.locations[-1]
        for location in state.locations:
            class_name, method = _split(location.function)
            yield Frame(
                function=location.function,
                class_name=class_name,
                method=method,
                module=name,
                file=location.file,
                line=location.line,
                address=address,
                offset=offset,
                in_app=self._ownership.owns(module, location),
                trust=state.trust,
                inlined=location is not outermost,
            )
