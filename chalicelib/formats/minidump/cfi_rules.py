"""The caller of a frame by the call frame information of its function.

Source: Breakpad's `cfi_frame_info.cc` and `cfi_frame_info-inl.h`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from chalicelib.formats.minidump.frame_state import FrameState
from chalicelib.formats.minidump.machine import Machine
from chalicelib.formats.minidump.postfix import PostfixError, value_of
from chalicelib.formats.minidump.stack_memory import StackMemory


def caller(
    state: FrameState, rules: Mapping[str, str], machine: Machine, stack: StackMemory
) -> FrameState | None:
    """The caller's registers by the rules at its address; None when they do not give both the
    instruction pointer and the stack pointer.

    A register that the calling convention keeps is as it was where it has no
    rule, or one that cannot be evaluated.
    """
    frame_rule, return_rule = rules.get(".cfa"), rules.get(".ra")
    if not frame_rule or not return_rule:
        return None
    registers = state.registers
    names = (
        registers.copy()
        if len(state.known) == len(registers)
        else {name: registers[name] for name in state.known}
    )
    try:
        frame_address = _by_frame_record(state, rules, machine)
        if frame_address is None:
            frame_address = value_of(frame_rule, names, stack)
        names[".cfa"] = frame_address
        return_address = value_of(return_rule, names, stack)
    except PostfixError:
        return None
    found: dict[str, int] = {}
    for name in machine.kept:
        if name in state.known:
            found[name] = names[name]
    for rule_name, expression in rules.items():
        name = rule_name
        if name not in machine.known:
            name = machine.renamed.get(rule_name, "")
        if not name:
            continue
        try:
            value = value_of(expression, names, stack)
        except PostfixError:
            continue
        found[name] = value
    found.setdefault(machine.sp, frame_address)
    found.setdefault(machine.ip, return_address)
    # On amd64 such rules are not believed; elsewhere they mark the end of the stack.
    if machine.cpu == "amd64" and not (found[machine.ip] and found[machine.sp]):
        return None
    return FrameState(found, frozenset(found), "cfi")


_SAVED = re.compile(r"\.cfa (?:-(\d{1,9}) \+|(\d{1,9}) -) \^")


def _by_frame_record(state: FrameState, rules: Mapping[str, str], machine: Machine) -> int | None:
    """The frame's address by where its frame pointer was saved, where that is surer.

    On arm64 a frame pointer tells nothing of the stack pointer of the frame it
    leads to: the one assumed is often too low. But the frame pointer itself
    points to where the function saved the one before.
    """
    if machine.cpu != "arm64" or state.trust != "frame_pointer":
        return None
    frame_pointer = state.registers.get(machine.fp)
    saved = _SAVED.fullmatch(rules.get(machine.fp, ""))
    if not frame_pointer or not saved:
        return None
    return frame_pointer + int(saved[1] or saved[2]) & machine.mask
