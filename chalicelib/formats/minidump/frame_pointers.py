"""The caller of a frame by its frame pointer, in each CPU's convention.

Source: `GetCallerByFramePointerRecovery` (amd64), `GetCallerByEBPAtBase` (x86)
and `GetCallerByFramePointer` (arm of iOS, arm64) in Breakpad's stack walkers.
"""

from __future__ import annotations

from chalicelib.formats.minidump import scanning
from chalicelib.formats.minidump.code_map import CodeMap
from chalicelib.formats.minidump.frame_state import FrameState
from chalicelib.formats.minidump.machine import AMD64, ARM64, X86, Machine
from chalicelib.formats.minidump.pointer_authentication import PointerStrip
from chalicelib.formats.minidump.stack_memory import StackMemory

_MAX_GAP = 128 * 1024  # bytes between two frame pointers; kMaxReasonableGapBetweenFrames
_NOT_CANONICAL = range(0x8000_0000_0000, 0xFFFF_8000_0000_0000)


def amd64_caller(state: FrameState, stack: StackMemory) -> FrameState | None:
    """`push rbp; mov rbp, rsp`: the caller's rbp is at rbp, the return address above it."""
    frame_pointer = state.registers.get("$rbp")
    if frame_pointer is None or frame_pointer % 8:
        return None
    return_address = stack.read(frame_pointer + 8)
    pushed = stack.read(frame_pointer)
    if return_address is None or pushed is None or return_address in _NOT_CANONICAL:
        return None
    above = frame_pointer + 16
    if pushed < above or stack.read(pushed) is None:
        return None
    return _moved(state, AMD64, return_address, above, pushed)


def x86_caller(state: FrameState, stack: StackMemory, code: CodeMap) -> FrameState | None:
    """`push ebp; mov ebp, esp`; where ebp is outside of the stack, the stack is searched instead.

    A search tries to go on with the pointer pushed right below the return
    address found, where that can be a caller's.
    """
    frame_pointer = state.registers["$ebp"]
    return_address = stack.read(frame_pointer + 4)
    pushed = stack.read(frame_pointer)
    if return_address is not None and pushed is not None:
        return _moved(state, X86, return_address, frame_pointer + 8, pushed)
    found = scanning.find_above(state, stack, code, state.registers["$esp"])
    if found is None:
        return None
    below = found.location - 4
    pushed = stack.read(below)
    if pushed is None or not below < pushed <= below + _MAX_GAP:
        pushed = frame_pointer
    caller = _moved(state, X86, found.return_address, found.location + 4, pushed)
    caller.trust = "scan"
    return caller


def arm_caller(
    state: FrameState, machine: Machine, stack: StackMemory, code: CodeMap, strip: PointerStrip
) -> FrameState | None:
    """A frame record of two words, the caller's frame pointer and the return address above it.

    Of the crashed frame, the return address is in the link register until the
    function has made a record of its own; so that register is believed first,
    as in Breakpad, unless the record says the same, which shows that it is the
    frame's own. Breakpad's next frame pointer is one record ahead of its frames
    then; it gives a frame twice where unwind data or an own record led to it.
    A record without a frame pointer belongs to the outermost frame: the
    caller given then has no address.
    """
    frame_pointer = state.registers.get(machine.fp)
    if frame_pointer is None:
        return None
    record = _record(frame_pointer, machine, stack)
    if record is None:
        return None
    pushed, return_address = record[0], strip(record[1])
    link_name = "x30" if machine is ARM64 else "lr"
    link = state.registers.get(link_name) if state.trust == "context" else None
    if link is not None and link != return_address:
        return _moved(state, machine, link, state.registers[machine.sp], frame_pointer)
    if not (frame_pointer and (pushed or link)):
        return _moved(state, machine, 0, state.registers[machine.sp], 0)
    if machine.fp not in state.known and frame_pointer < state.registers[machine.sp]:
        return None
    if not code.is_return_address(return_address):
        return None
    return _moved(state, machine, return_address, frame_pointer + 2 * machine.word, pushed)


def plausible_arm_caller(
    state: FrameState, machine: Machine, stack: StackMemory, code: CodeMap, strip: PointerStrip
) -> FrameState | None:
    """The same where compilers often use r11 for something else: every word must look right.

    Breakpad goes straight to the search there, which finds such a record's
    return address too, unless something older lies before it.
    """
    frame_pointer = state.registers.get(machine.fp, 0)
    if machine.fp not in state.known or frame_pointer < state.registers[machine.sp]:
        return None
    record = _record(frame_pointer, machine, stack)
    if record is None or not code.is_return_address(record[1]):
        return None
    pushed = record[0]
    if pushed and (pushed <= frame_pointer or pushed % 4 or stack.read(pushed) is None):
        return None
    caller = arm_caller(state, machine, stack, code, strip)
    if caller and (not pushed or code.is_return_address(caller.registers[machine.ip])):
        return caller
    return _moved(state, machine, record[1], frame_pointer + 8, pushed)


def _record(frame_pointer: int, machine: Machine, stack: StackMemory) -> tuple[int, int] | None:
    """What a frame pointer points to; two zeros for the one that ends the chain."""
    if not frame_pointer:
        return 0, 0
    pushed = stack.read(frame_pointer)
    return_address = stack.read(frame_pointer + machine.word)
    return None if pushed is None or return_address is None else (pushed, return_address)


def _moved(state: FrameState, machine: Machine, ip: int, sp: int, fp: int) -> FrameState:
    registers = dict(state.registers)
    registers[machine.ip], registers[machine.sp], registers[machine.fp] = ip, sp, fp
    return FrameState(registers, frozenset((machine.ip, machine.sp, machine.fp)), "frame_pointer")
