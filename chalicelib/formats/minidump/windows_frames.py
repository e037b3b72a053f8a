"""The caller of an x86 Windows frame by its function's `STACK WIN` record.

Compilers without a frame pointer describe a frame by a program in postfix
notation, or by the sizes of its parts. Both count from the stack pointer, and
are wrong now and then: so the stack is searched where what they give is no
code. Source: `GetCallerByWindowsFrameInfo` in Breakpad's `stackwalker_x86.cc`,
`windows_frame_info.h`.
"""

from __future__ import annotations

from chalicelib.formats.minidump import scanning
from chalicelib.formats.minidump.code_map import CodeMap
from chalicelib.formats.minidump.frame_state import FrameState
from chalicelib.formats.minidump.postfix import PostfixError, assign
from chalicelib.formats.minidump.stack_memory import StackMemory
from chalicelib.formats.minidump.symbol_source import WindowsFrame
from chalicelib.model import Trust

_FPO = 0  # StackFrameTypeEnum of the DIA SDK
_FRAME_DATA = 4
# A record of another kind tells nothing but how many bytes of arguments its function takes.
KINDS = frozenset((_FPO, _FRAME_DATA))
_MASK = 0xFFFF_FFFF
_SEARCH_WORDS = 3  # a stack aligned to eight or sixteen bytes moves a frame by up to this much
_MAX_SAVED_WORDS = 1024  # four registers are saved; the record is a stranger's

_BASE_POINTER_PROGRAM = (
    "$eip .raSearchStart ^ = $ebp $esp .cbCalleeParams + .cbSavedRegs + 8 - ^ = "
    "$esp .raSearchStart 4 + ="
)
_PLAIN_PROGRAM = "$eip .raSearchStart ^ = $esp .raSearchStart 4 + ="
_KEPT = ("$ebx", "$esi", "$edi")


def caller(
    state: FrameState,
    record: WindowsFrame,
    callee_parameter_size: int,
    stack: StackMemory,
    code: CodeMap,
) -> FrameState | None:
    """The caller by a record; `callee_parameter_size` is how many bytes of arguments the frame
    had pushed for the function that it called, 0 when not known."""
    registers = state.registers
    start = _search_start(state, record, callee_parameter_size, stack, code)
    program = record.program or (
        _BASE_POINTER_PROGRAM if record.allocates_base_pointer else _PLAIN_PROGRAM
    )
    recovers_ebp = bool(record.program) or record.allocates_base_pointer
    if not recovers_ebp and "$ebx" in state.known:
        program += " $ebx $ebx ="
    if "$ebp" in state.known and "@" in program:
        # Alignment loses how far the stack pointer moved; the frame pointer still tells.
        start = registers["$ebp"] + 4 & _MASK
    names = {
        "$ebp": registers["$ebp"],
        "$esp": registers["$esp"],
        ".cbCalleeParams": callee_parameter_size,
        ".cbSavedRegs": record.saved_register_size,
        ".cbLocals": record.local_size,
        ".cbParams": record.parameter_size,
        ".raSearchStart": start,
        ".raSearch": start,
    }
    if "$ebx" in state.known:
        names["$ebx"] = registers["$ebx"]
    assigned: set[str] = set()
    trust: Trust = "cfi"
    try:
        assign(program, names, assigned, stack)
        failed = not {"$eip", "$esp"} <= assigned
    except PostfixError:
        failed = True
    if failed:
        found = scanning.find_above(state, stack, code, registers["$esp"])
        if found is None:
            return None
        names["$eip"], names["$esp"] = found.return_address, found.location + 4
        trust = "scan"
    if names["$eip"] or names["$ebp"]:  # both 0: the end of the stack
        offset = 0
        if code.loaded_at(names["$eip"]) is None:
            above = start + 4
            found = scanning.find_above(state, stack, code, above)
            if found is not None:
                names["$eip"], names["$esp"] = found.return_address, found.location + 4
                offset = found.location - above
                trust = "cfi_scan"
        if recovers_ebp:
            skipped = trust != "cfi" and names["$ebp"] <= start + offset
            if skipped or stack.read(names["$ebp"]) is None:
                _recover_ebp(names, record.saved_register_size + offset, stack, registers["$esp"])
    result = dict(registers)
    for name in ("$eip", "$esp", "$ebp"):
        result[name] = names[name]
    kept = [name for name in _KEPT if name in assigned]
    for name in kept:
        result[name] = names[name]
    return FrameState(result, frozenset(("$eip", "$esp", "$ebp", *kept)), trust)


def _search_start(
    state: FrameState,
    record: WindowsFrame,
    callee_parameter_size: int,
    stack: StackMemory,
    code: CodeMap,
) -> int:
    """Where the return address should be, by the sizes of what lies below it."""
    start = _MASK & (
        state.registers["$esp"]
        + callee_parameter_size
        + record.local_size
        + record.saved_register_size
    )
    found = scanning.find_return_address(stack, code, start, _SEARCH_WORDS)
    if found is None:
        return start
    if (
        state.trust == "context"
        and record.kind == _FPO
        and found == (start, state.registers["$eip"])
    ):
        # A system call returns to where it already is: the callee's address is still on top.
        start += 4
        found = scanning.find_return_address(stack, code, start, _SEARCH_WORDS)
    return found.location if found else start


def _recover_ebp(
    names: dict[str, int], search_bytes: int, stack: StackMemory, stack_pointer: int
) -> None:
    """Look for the caller's ebp in the saved registers, from the highest down: a function saves
    it first."""
    lowest = stack_pointer + names[".cbCalleeParams"] & _MASK
    location = lowest + min(search_bytes, 4 * _MAX_SAVED_WORDS)
    while location >= lowest:
        value = stack.read(location)
        if value is None:
            return
        if stack.read(value) is not None:
            names["$ebp"] = value
            return
        location -= 4
