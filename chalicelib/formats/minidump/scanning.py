"""The caller of a frame by searching the stack for what looks like a return address.

The last resort: what is found may be left over from an earlier call. Source:
`Stackwalker::ScanForReturnAddress` and the `GetCallerByStackScan` of each CPU
in Breakpad.
"""

from __future__ import annotations

from typing import NamedTuple

from chalicelib.formats.minidump.code_map import CodeMap
from chalicelib.formats.minidump.frame_state import FrameState
from chalicelib.formats.minidump.machine import Machine
from chalicelib.formats.minidump.stack_memory import StackMemory

_WINDOW = 40  # words; kRASearchWords
_CONTEXT_WINDOW = 160  # the crashed function may have large locals and no unwind data


class Found(NamedTuple):
    """A word of the stack at `location` that may be a return address."""

    location: int
    return_address: int


def find_return_address(stack: StackMemory, code: CodeMap, start: int, words: int) -> Found | None:
    """The first return address at `start` or up to `words` words above it."""
    low, high = code.low, code.high
    for index, value in enumerate(stack.words(start, words + 1)):
        if low < value <= high and code.is_return_address(value):
            return Found(start + index * stack.word, value)
    return None


def find_above(state: FrameState, stack: StackMemory, code: CodeMap, start: int) -> Found | None:
    """The first return address in the window that a frame allows."""
    window = _CONTEXT_WINDOW if state.trust == "context" else _WINDOW
    return find_return_address(stack, code, start, window)


def caller(
    state: FrameState, machine: Machine, stack: StackMemory, code: CodeMap
) -> FrameState | None:
    """The frame whose return address comes first above the stack pointer."""
    found = find_above(state, stack, code, state.registers[machine.sp])
    if found is None:
        return None
    registers = dict(state.registers)
    registers[machine.ip] = found.return_address
    registers[machine.sp] = above = found.location + machine.word
    known = {machine.ip, machine.sp}
    if machine.cpu == "amd64" and machine.fp in state.known:
        # A function usually begins by pushing its caller's frame pointer, right below the return
        # address, and lets its own point there; one that does not leaves the caller's in place.
        frame_pointer = state.registers[machine.fp]
        if frame_pointer == found.location - machine.word:
            pushed = stack.read(frame_pointer)
            if pushed is not None and pushed > found.location:
                registers[machine.fp] = pushed
                known.add(machine.fp)
        elif frame_pointer >= above:
            known.add(machine.fp)
    return FrameState(registers, frozenset(known), "scan")
