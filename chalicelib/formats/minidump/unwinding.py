"""Walking a stack: from the registers of a thread to its frames.

Each technique gives the caller of a frame, the most trustworthy first: unwind
data, the return address of a function without a frame, the frame pointer,
a search of the stack. Order, limits and conditions are those of Breakpad's
`stackwalker.cc` and `stackwalker_{x86,amd64,arm,arm64}.cc`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from chalicelib.formats.minidump import cfi_rules, frame_pointers, scanning, windows_frames
from chalicelib.formats.minidump.code_map import CodeMap
from chalicelib.formats.minidump.dump import Context, OsName
from chalicelib.formats.minidump.frame_state import FrameState
from chalicelib.formats.minidump.machine import Machine, machine_of
from chalicelib.formats.minidump.pointer_authentication import pointer_strip
from chalicelib.formats.minidump.stack_memory import StackMemory

MAX_FRAMES = 1024  # of one thread, inlined ones not counted
_LOWEST_CODE = 4096  # no system maps the first page; a lower address ends a stack


class Unwound(NamedTuple):
    """The frames of a thread; `goes_on` when there are more than were asked for."""

    states: list[FrameState]
    goes_on: bool = False


class Unwinder:
    """Unwinds the threads of one process."""

    def __init__(self, os: OsName, code: CodeMap) -> None:
        self._os = os
        self._code = code
        self._strip = pointer_strip(code)

    def unwind(
        self,
        context: Context,
        stack: Callable[[int], StackMemory | None],
        *,
        max_frames: int = MAX_FRAMES,
        jumped: bool = False,
    ) -> Unwound:
        """The frames of a thread, innermost first: none without a CPU that is known, only that
        of the registers without a stack.

        `stack` gives the memory of the thread's stack for the bytes of a word. With `jumped`,
        the thread died of fetching the instruction it was to run next.
        """
        machine = machine_of(context.cpu, ios=self._os == "ios")
        if machine is None:
            return Unwound([])
        registers = machine.registers(context.registers)
        if machine.ip not in registers or machine.sp not in registers:
            return Unwound([])
        if machine.cpu == "arm64" and "x30" in registers:
            registers["x30"] = self._strip(registers["x30"])
        state = FrameState(registers, frozenset(registers), "context", registers[machine.ip])
        self._resolve(state)
        states = [state]
        memory = stack(machine.word)
        if memory is None:
            return Unwound(states)
        while True:
            caller = self._jumper(state, machine, memory) if jumped and len(states) == 1 else None
            caller = caller or self._caller(states, machine, memory)
            if caller is None or self._ends(caller, state, machine):
                return Unwound(states)
            if len(states) >= max_frames:
                return Unwound(states, goes_on=True)
            caller.looked_up = caller.registers[machine.ip] - machine.call_size
            self._resolve(caller)
            states.append(caller)
            state = caller

    def _resolve(self, state: FrameState) -> None:
        state.code = self._code.at(state.looked_up)
        state.locations = self._code.locate(state.code, state.looked_up)

    @staticmethod
    def _ends(caller: FrameState, state: FrameState, machine: Machine) -> bool:
        """Whether there is no caller: its address is none, or the stack does not grow.

        A function that crashed before it made a frame may share its caller's
        stack pointer, where the return address is in a register.
        """
        if caller.registers[machine.ip] < _LOWEST_CODE:
            return True
        grown = caller.registers[machine.sp] - state.registers[machine.sp]
        return grown < 0 or (grown == 0 and state.trust != "context")

    def _caller(
        self, states: list[FrameState], machine: Machine, stack: StackMemory
    ) -> FrameState | None:
        state = states[-1]
        if machine.cpu == "x86":
            return (
                self._by_windows_frame(states, stack)
                or self._by_cfi(state, machine, stack)
                or frame_pointers.x86_caller(state, stack, self._code)
            )
        return (
            self._by_cfi(state, machine, stack)
            or self._by_frame_pointer(state, machine, stack)
            or scanning.caller(state, machine, stack, self._code)
        )

    def _by_cfi(self, state: FrameState, machine: Machine, stack: StackMemory) -> FrameState | None:
        code = state.code
        if code is None or code.symbols is None:
            return None
        rules = code.symbols.cfi(state.looked_up - code.start)
        if rules is None:
            return None
        caller = cfi_rules.caller(state, rules, machine, stack)
        if caller is None:
            return None
        if machine.cpu == "x86" and machine.fp not in caller.known:
            return None
        if machine.cpu == "arm64":
            caller.registers[machine.ip] = self._strip(caller.registers[machine.ip])
        return caller

    def _by_frame_pointer(
        self, state: FrameState, machine: Machine, stack: StackMemory
    ) -> FrameState | None:
        if machine.cpu == "amd64":
            if self._os != "windows":
                return frame_pointers.amd64_caller(state, stack)
            # No compiler for 64-bit Windows makes frames that rbp could tell of; but functions
            # that call nothing and save nothing have no unwind data there.
            return self._leaf_caller(state, machine, stack) if state.trust == "context" else None
        by_record = (
            frame_pointers.arm_caller
            if machine.cpu == "arm64" or self._os == "ios"
            else frame_pointers.plausible_arm_caller
        )
        return by_record(state, machine, stack, self._code, self._strip)

    def _jumper(self, state: FrameState, machine: Machine, stack: StackMemory) -> FrameState | None:
        """Who called through a bad pointer: a return address is where a call leaves it, and
        nothing has been pushed since.

        Breakpad takes the frame pointer there, which is still the caller's own, and so loses the
        one frame that matters.
        """
        registers = dict(state.registers)
        link = {"arm": "lr", "arm64": "x30"}.get(machine.cpu)
        if link is None:
            return_address = stack.read(registers[machine.sp])
            registers[machine.sp] = registers[machine.sp] + machine.word & machine.mask
        else:
            return_address = registers.pop(link, None)
        if return_address is None or not self._code.is_return_address(return_address):
            return None
        registers[machine.ip] = return_address
        return FrameState(registers, frozenset(registers), "leaf")

    def _leaf_caller(
        self, state: FrameState, machine: Machine, stack: StackMemory
    ) -> FrameState | None:
        found = scanning.find_return_address(stack, self._code, state.registers[machine.sp], 1)
        if found is None:
            return None
        registers = dict(state.registers)
        registers[machine.ip] = found.return_address
        registers[machine.sp] = found.location + machine.word
        return FrameState(registers, state.known, "leaf")

    def _by_windows_frame(self, states: list[FrameState], stack: StackMemory) -> FrameState | None:
        state = states[-1]
        code = state.code
        if code is None or code.symbols is None:
            return None
        record = code.symbols.windows_frame(state.looked_up - code.start)
        if record is None:
            return None
        state.parameter_size = record.parameter_size
        if record.kind not in windows_frames.KINDS:
            return None
        callee_size = states[-2].parameter_size if len(states) > 1 else None
        return windows_frames.caller(state, record, callee_size or 0, stack, self._code)
