"""Whether a thread died because it went where no code is: a call through a bad pointer."""

from __future__ import annotations

from chalicelib.formats.minidump.code_map import CodeMap
from chalicelib.formats.minidump.dump import Context, Minidump
from chalicelib.formats.minidump.machine import machine_of

_ACCESS_VIOLATION = 0xC000_0005
_LOWEST_MAPPED = 0x1_0000  # no system lets a process map what lies below, where null leads


def is_one(dump: Minidump, context: Context, code: CodeMap) -> bool:
    """Whether the exception was raised by fetching the instruction to run next.

    The address of the fault is then that of the instruction. Code that was
    made at run time belongs to no module either, but can be fetched: it faults
    elsewhere.
    """
    exception = dump.exception
    machine = machine_of(context.cpu, ios=dump.system.os == "ios")
    if exception is None or machine is None:
        return False
    ip = machine.registers(context.registers).get(machine.ip)
    if ip is None or code.at(ip) is not None:
        return False
    if ip < _LOWEST_MAPPED:
        return True
    if dump.system.os == "windows":
        # The record's address is that of the instruction in any case; its second parameter is
        # the address that could not be accessed.
        accessed = exception.parameters[1:2] if exception.code == _ACCESS_VIOLATION else ()
        fault = accessed[0] if accessed else None
    else:
        fault = exception.address
    if fault is None or fault & machine.mask != ip:
        return False
    return not any(
        mapping.start <= ip < mapping.end and "x" in mapping.permissions
        for mapping in dump.mappings
    )
