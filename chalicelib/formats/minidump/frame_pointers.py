"""The caller of a frame by its frame pointer, in each CPU's convention.

Source: `GetCallerByFramePointerRecovery` (amd64), `GetCallerByEBPAtBase` (x86)
and `GetCallerByFramePointer` (arm, arm64) in Breakpad's stack walkers.
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


def ios_arm_caller(state: FrameState, machine: Machine, stack: StackMemory) -> FrameState | None:
    """A frame record of two words, the caller's frame pointer and the return address of the
    caller; the frame's own return address is in the link register."""
    if machine.fp not in state.known:
        return None
    return _by_link_register(state, machine, stack)


def arm_caller(
    state: FrameState, machine: Machine, stack: StackMemory, code: CodeMap
) -> FrameState | None:
    """The same for other systems, where r11 often is no frame pointer: only a record that looks
    right in every word is taken.

    Breakpad goes straight to the search there, which finds such a record's
    return address too, unless something older lies before it.
    """
    frame_pointer = state.registers.get(machine.fp, 0)
    if machine.fp not in state.known or frame_pointer < state.registers[machine.sp]:
        return None
    pushed, return_address = stack.read(frame_pointer), stack.read(frame_pointer + 4)
    if pushed is None or return_address is None or not code.is_return_address(return_address):
        return None
    if pushed and (pushed <= frame_pointer or pushed % 4 or stack.read(pushed) is None):
        return None
    return _moved(state, machine, return_address, frame_pointer + 8, pushed)


def arm64_caller(
    state: FrameState, callee: FrameState | None, stack: StackMemory, strip: PointerStrip
) -> FrameState | None:
    """As on iOS, with pointer authentication codes taken off; `callee` is the frame that `state`
    called, whose record holds the link register where unwind data did not give it."""
    if "x30" not in state.known:
        _restore_link_register(state, callee, stack, strip)
    return _by_link_register(state, ARM64, stack, strip)


def _restore_link_register(
    state: FrameState, callee: FrameState | None, stack: StackMemory, strip: PointerStrip
) -> None:
    frame_pointer = state.registers.get("x29", 0)
    if callee is None or frame_pointer <= state.registers["sp"]:
        return
    record = callee.registers.get("x29", 0)
    # Only where the frame record agrees with the unwind data.
    if not record or stack.read(record) != frame_pointer:
        return
    link = stack.read(record + 8)
    if link is not None:
        state.registers["x30"] = strip(link)


def _by_link_register(
    state: FrameState, machine: Machine, stack: StackMemory, strip: PointerStrip | None = None
) -> FrameState | None:
    link_name = "x30" if machine is ARM64 else "lr"
    frame_pointer = state.registers.get(machine.fp, 0)
    return_address = state.registers.get(link_name)
    if return_address is None:
        return None
    pushed: int | None = 0
    link: int | None = 0
    above = state.registers[machine.sp]
    if frame_pointer:
        pushed = stack.read(frame_pointer)
        link = stack.read(frame_pointer + machine.word)
        above = frame_pointer + 2 * machine.word
        if pushed is None or link is None:
            return None
    caller = _moved(state, machine, return_address, above, pushed or 0)
    caller.registers[link_name] = strip(link or 0) if strip else link or 0
    caller.known |= {link_name}
    return caller


def _moved(state: FrameState, machine: Machine, ip: int, sp: int, fp: int) -> FrameState:
    registers = dict(state.registers)
    registers[machine.ip], registers[machine.sp], registers[machine.fp] = ip, sp, fp
    return FrameState(registers, frozenset((machine.ip, machine.sp, machine.fp)), "frame_pointer")
