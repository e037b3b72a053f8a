"""Reasons as Breakpad's minidump_stackwalk 0.26 prints them for dumps that are built here.

The expected texts were compared with that program's own output.
"""

from __future__ import annotations

import pytest

from chalicelib.formats.minidump.ntstatus import ntstatus_name
from chalicelib.formats.minidump.reader import read
from chalicelib.formats.minidump.reason import CrashReason, reason_of
from tests.formats.minidump.builder import MinidumpBuilder


def reason(
    os: str,
    code: int,
    flags: int = 0,
    address: int = 0x1000,
    parameters: tuple[int, ...] = (),
    cpu: str = "amd64",
) -> CrashReason:
    builder = MinidumpBuilder(os, cpu).thread(1, {})
    builder.exception(1, code=code, flags=flags, address=address, parameters=parameters)
    return reason_of(read(builder.build()))


@pytest.mark.parametrize(
    ("code", "parameters", "text"),
    [
        (0xC0000005, (0, 0x45), "EXCEPTION_ACCESS_VIOLATION_READ"),
        (0xC0000005, (1, 0x45), "EXCEPTION_ACCESS_VIOLATION_WRITE"),
        (0xC0000005, (8, 0x45), "EXCEPTION_ACCESS_VIOLATION_EXEC"),
        (0xC0000005, (3, 0x45), "EXCEPTION_ACCESS_VIOLATION"),
        (0xC0000005, (1 << 32, 0x45), "EXCEPTION_ACCESS_VIOLATION_READ"),
        (0xC0000006, (1, 0x45), "EXCEPTION_IN_PAGE_ERROR_WRITE"),
        (
            0xC0000006,
            (0, 0x45, 0xC000009C),
            "EXCEPTION_IN_PAGE_ERROR_READ / STATUS_DEVICE_DATA_ERROR",
        ),
        (0xC0000006, (8, 0x45, 0xC0DE0000), "EXCEPTION_IN_PAGE_ERROR_EXEC / 0xc0de0000"),
    ],
)
def test_windows_says_what_was_tried_at_which_address(
    code: int, parameters: tuple[int, ...], text: str
) -> None:
    assert reason("windows", code, parameters=parameters) == CrashReason(text, 0x45)


@pytest.mark.parametrize(
    ("code", "parameters", "text", "meaning"),
    [
        (0xC0000005, (), "EXCEPTION_ACCESS_VIOLATION", None),
        (0xC0000005, (1,), "EXCEPTION_ACCESS_VIOLATION_WRITE", None),
        (0xC00000FD, (1, 0x45), "EXCEPTION_STACK_OVERFLOW", None),
        (0xC0000409, (), "EXCEPTION_STACK_BUFFER_OVERRUN", None),
        (0xC0000409, (0,), "EXCEPTION_STACK_BUFFER_OVERRUN", None),
        (0xC0000409, (7,), "FAST_FAIL_FATAL_APP_EXIT", None),
        (0xC0000409, (15,), "EXCEPTION_STACK_BUFFER_OVERRUN", None),
        (0xC0000409, (18,), "FAST_FAIL_INVALID_JUMP_BUFFER", None),
        (0xC0000409, (70,), "FAST_FAIL_INVALID_FLS_DATA", None),
        (0xC0000409, (71,), "EXCEPTION_STACK_BUFFER_OVERRUN", None),
        (0xE06D7363, (1, 2, 3), "Unhandled C++ Exception", None),
        (0x0517A7ED, (), "Simulated Exception", None),
        (0xC0000420, (), "0xc0000420 / 0x00000001", "STATUS_ASSERTION_FAILURE"),
        (0xE0434352, (), "0xe0434352 / 0x00000001", ".NET exception"),
        (0x12345678, (), "0x12345678 / 0x00000001", None),
    ],
)
def test_windows_exceptions_have_breakpads_names(
    code: int, parameters: tuple[int, ...], text: str, meaning: str | None
) -> None:
    found = reason("windows", code, 1, parameters=parameters)
    assert found == CrashReason(text, 0x1000, meaning)


@pytest.mark.parametrize("os", ["linux", "android"])
@pytest.mark.parametrize(
    ("signal", "code", "text", "meaning"),
    [
        (11, 1, "SIGSEGV /SEGV_MAPERR", None),
        (11, 0, "SIGSEGV /0x00000000", None),
        (11, 0x80, "SIGSEGV /0x00000080", "SI_KERNEL"),
        (11, 9, "SIGSEGV /0x00000009", "SEGV_MTESERR"),
        (4, 2, "SIGILL / ILL_ILLOPN", None),
        (7, 5, "SIGBUS / BUS_MCEERR_AO", None),
        (8, 1, "SIGFPE / FPE_INTDIV", None),
        (5, 1, "SIGTRAP", "TRAP_BRKPT"),
        (6, 0xFFFF_FFFA, "SIGABRT", "SI_TKILL"),
        (31, 1, "SIGSYS", "SYS_SECCOMP"),
        (0xFFFF_FFFF, 0, "DUMP_REQUESTED", None),
        (35, 0, "0x00000023 / 0x00000000", None),
        (0, 0, "0x00000000 / 0x00000000", None),
    ],
)
def test_linux_signals_have_breakpads_names(
    os: str, signal: int, code: int, text: str, meaning: str | None
) -> None:
    assert reason(os, signal, code) == CrashReason(text, 0x1000, meaning)


@pytest.mark.parametrize("os", ["macos", "ios"])
@pytest.mark.parametrize(
    ("cpu", "code", "flags", "text", "meaning"),
    [
        ("amd64", 1, 1, "EXC_BAD_ACCESS / KERN_INVALID_ADDRESS", None),
        ("arm64", 1, 2, "EXC_BAD_ACCESS / KERN_PROTECTION_FAILURE", None),
        ("amd64", 1, 13, "EXC_BAD_ACCESS / EXC_I386_GPFLT", None),
        ("amd64", 2, 1, "EXC_BAD_INSTRUCTION / EXC_I386_INVOP", None),
        ("arm", 2, 1, "EXC_BAD_INSTRUCTION / EXC_ARM_UNDEFINED", None),
        ("x86", 3, 1, "EXC_ARITHMETIC / EXC_I386_DIV", None),
        ("x86", 6, 2, "EXC_BREAKPOINT / EXC_I386_BPT", None),
        ("arm64_old", 6, 1, "EXC_BREAKPOINT / EXC_ARM_BREAKPOINT", None),
        ("arm64", 6, 1, "EXC_BREAKPOINT / 0x00000001", "EXC_ARM_BREAKPOINT"),
        ("arm64", 5, 0x10002, "EXC_SOFTWARE / SIGABRT", None),
        ("arm64", 5, 0xDEADC0DE, "EXC_SOFTWARE / UNCAUGHT_NS_EXCEPTION", None),
        ("arm64", 10, 0, "0x0000000a / 0x00000000", "EXC_CRASH"),
        ("arm64", 11, 0x6000_0000, "EXC_RESOURCE / 0x60000000", "RESOURCE_TYPE_MEMORY"),
        ("arm64", 12, 0x4000_0001, "EXC_GUARD / 0x40000001", "GUARD_TYPE_FD"),
        ("arm64", 0x43507378, 0, "Simulated Exception", None),
        ("amd64", 77, 1, "0x0000004d / 0x00000001", None),
    ],
)
def test_mach_exceptions_have_breakpads_names(
    os: str, cpu: str, code: int, flags: int, text: str, meaning: str | None
) -> None:
    assert reason(os, code, flags, cpu=cpu) == CrashReason(text, 0x1000, meaning)


def test_a_unix_signal_within_a_mach_exception_is_named() -> None:
    found = reason("macos", 5, 0x10003, address=6, cpu="arm64")
    assert found == CrashReason("EXC_SOFTWARE / 0x00010003", 6, "SIGABRT")


def test_fuchsia_and_unknown_systems_are_as_breakpad_has_them() -> None:
    assert reason("fuchsia", 0x108, 5).reason == "FATAL_PAGE_FAULT / 0x00000005"
    assert reason("fuchsia", 1, 5).reason == "0x00000001 / 0x00000005"


@pytest.mark.parametrize(
    ("cpu", "address"),
    [
        ("x86", 0x9ABC_DEF0),
        ("arm", 0x9ABC_DEF0),
        ("amd64", 0x1234_5678_9ABC_DEF0),
        ("arm64", 0x1234_5678_9ABC_DEF0),
    ],
)
def test_addresses_have_the_width_of_the_cpu(cpu: str, address: int) -> None:
    wide = 0x1234_5678_9ABC_DEF0
    assert reason("linux", 11, address=wide, cpu=cpu).address == address
    assert reason("windows", 0xC0000005, parameters=(0, wide), cpu=cpu).address == address


def test_a_count_of_parameters_beyond_windows_own_limit_is_bounded() -> None:
    assert reason("windows", 0xC0000005, parameters=(1,) * 15).reason.endswith("_WRITE")


def test_without_system_info_the_reason_is_the_numbers() -> None:
    builder = MinidumpBuilder(system_info=False).thread(1, {})
    found = reason_of(read(builder.exception(1, code=11, flags=1, address=1 << 40).build()))
    assert found == CrashReason("0x0000000b / 0x00000001", 1 << 40)


def test_a_dump_that_was_asked_for_is_no_crash() -> None:
    assert reason_of(read(MinidumpBuilder().thread(1, {}).build())) == CrashReason("No crash", None)


def test_an_assertion_is_the_reason_where_there_is_no_exception() -> None:
    builder = MinidumpBuilder("windows").thread(1, {}).assertion(2)
    assert reason_of(read(builder.build())) == CrashReason("Pure virtual function called", None)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (0xC0000001, "STATUS_UNSUCCESSFUL"),
        (0xC0000017, "STATUS_NO_MEMORY"),
        (0xC0020001, "RPC_NT_INVALID_STRING_BINDING"),
        (0xC0010001, "DBG_NO_STATE_CHANGE"),
        (0xC0E7000B, "STATUS_SPACES_NOT_ENOUGH_DRIVES"),
        (0xC0000000, None),
        (0, None),
    ],
)
def test_ntstatus_codes_have_windows_names(code: int, name: str | None) -> None:
    assert ntstatus_name(code) == name
