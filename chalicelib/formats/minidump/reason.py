"""Why a process crashed, and at which address.

The texts and the address are those of Breakpad 0.26's `minidump_processor.cc` (GetCrashReason),
to the letter: other tools and people's searches know them. What is known beyond them, where
Breakpad has but a number, is the `meaning`.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.formats.minidump import reason_linux, reason_macos, reason_windows
from chalicelib.formats.minidump.dump import ExceptionRecord, Minidump, OsName

# GetAddressForArchitecture: x86, MIPS, PPC, SuperH, ARM, x86 on Win64.
_32_BIT_ARCHITECTURES = frozenset({0, 1, 3, 4, 5, 10})
_NO_CRASH = "No crash"  # a dump that was asked for

_FUCHSIA = {
    0x8: "GENERAL",
    0x108: "FATAL_PAGE_FAULT",
    0x208: "UNDEFINED_INSTRUCTION",
    0x308: "SW_BREAKPOINT",
    0x408: "HW_BREAKPOINT",
    0x508: "UNALIGNED_ACCESS",
    0x8008: "THREAD_STARTING",
    0x8108: "THREAD_EXITING",
    0x8208: "POLICY_ERROR",
    0x8308: "PROCESS_STARTING",
}


@dataclass(frozen=True, slots=True)
class CrashReason:
    """`reason` as Breakpad prints it: `EXCEPTION_ACCESS_VIOLATION_READ`, `SIGSEGV /SEGV_MAPERR`.

    `address` is the one that was accessed where the exception says it, else that of the
    instruction; None when there was no exception. `meaning` names what `reason` has as a
    number only: `SI_TKILL`, `STATUS_ASSERTION_FAILURE`.
    """

    reason: str
    address: int | None
    meaning: str | None = None


def reason_of(dump: Minidump) -> CrashReason:
    """The reason of a dump; without an exception, the assertion that failed or `No crash`."""
    exception = dump.exception
    if exception is None:
        return CrashReason(dump.assertion or _NO_CRASH, None)
    address = _address(dump.system.os, exception)
    if dump.system.architecture in _32_BIT_ARCHITECTURES:
        address &= 0xFFFF_FFFF
    reason, meaning = _reason(dump, exception)
    return CrashReason(
        reason or f"0x{exception.code:08x} / 0x{exception.flags:08x}", address, meaning
    )


def _address(os: OsName, exception: ExceptionRecord) -> int:
    if os == "windows":
        return reason_windows.address(exception)
    return exception.address


def _reason(dump: Minidump, exception: ExceptionRecord) -> tuple[str | None, str | None]:
    os = dump.system.os
    if os == "windows":
        return reason_windows.reason(exception), reason_windows.meaning(exception)
    if os in {"linux", "android"}:
        return reason_linux.reason(exception), reason_linux.meaning(exception)
    if os in {"macos", "ios"}:
        architecture = dump.system.architecture
        return (
            reason_macos.reason(exception, architecture),
            reason_macos.meaning(exception, architecture),
        )
    if os == "fuchsia" and exception.code in _FUCHSIA:
        return f"{_FUCHSIA[exception.code]} / 0x{exception.flags:08x}", None
    return None, None
