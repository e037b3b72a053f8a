"""Exceptions of Windows.

Source: Breakpad's `minidump_exception_win32.h` and `minidump_processor.cc`; for the meanings
Microsoft's ntstatus.h and winnt.h and the documents of the runtimes that throw them.
"""

from __future__ import annotations

from chalicelib.formats.minidump.dump import ExceptionRecord
from chalicelib.formats.minidump.ntstatus import ntstatus_name

_ACCESS_VIOLATION = 0xC0000005
_IN_PAGE_ERROR = 0xC0000006
_STACK_BUFFER_OVERRUN = 0xC0000409
_KINDS = {0: "_READ", 1: "_WRITE", 8: "_EXEC"}  # what was tried at the address

_NAMES = {
    0x40010005: "DBG_CONTROL_C",
    0x80000001: "EXCEPTION_GUARD_PAGE",
    0x80000002: "EXCEPTION_DATATYPE_MISALIGNMENT",
    0x80000003: "EXCEPTION_BREAKPOINT",
    0x80000004: "EXCEPTION_SINGLE_STEP",
    _ACCESS_VIOLATION: "EXCEPTION_ACCESS_VIOLATION",
    _IN_PAGE_ERROR: "EXCEPTION_IN_PAGE_ERROR",
    0xC0000008: "EXCEPTION_INVALID_HANDLE",
    0xC000001D: "EXCEPTION_ILLEGAL_INSTRUCTION",
    0xC0000025: "EXCEPTION_NONCONTINUABLE_EXCEPTION",
    0xC0000026: "EXCEPTION_INVALID_DISPOSITION",
    0xC000008C: "EXCEPTION_BOUNDS_EXCEEDED",
    0xC000008D: "EXCEPTION_FLT_DENORMAL_OPERAND",
    0xC000008E: "EXCEPTION_FLT_DIVIDE_BY_ZERO",
    0xC000008F: "EXCEPTION_FLT_INEXACT_RESULT",
    0xC0000090: "EXCEPTION_FLT_INVALID_OPERATION",
    0xC0000091: "EXCEPTION_FLT_OVERFLOW",
    0xC0000092: "EXCEPTION_FLT_STACK_CHECK",
    0xC0000093: "EXCEPTION_FLT_UNDERFLOW",
    0xC0000094: "EXCEPTION_INT_DIVIDE_BY_ZERO",
    0xC0000095: "EXCEPTION_INT_OVERFLOW",
    0xC0000096: "EXCEPTION_PRIV_INSTRUCTION",
    0xC00000FD: "EXCEPTION_STACK_OVERFLOW",
    0xC00000FF: "EXCEPTION_BAD_FUNCTION_TABLE",
    0xC0000194: "EXCEPTION_POSSIBLE_DEADLOCK",
    _STACK_BUFFER_OVERRUN: "EXCEPTION_STACK_BUFFER_OVERRUN",
    0xC0000374: "EXCEPTION_HEAP_CORRUPTION",
    0xE0000008: "Out of Memory",  # thrown by Chromium's allocators
    0xE06D7363: "Unhandled C++ Exception",  # Visual C++'s
    0x0517A7ED: "Simulated Exception",  # Crashpad's DumpWithoutCrash
}
# __fastfail's codes (winnt.h, FAST_FAIL_*), from 1 on; those in between that have no name are
# empty. 0 is what /GS used before Windows 8.
_FAST_FAILS = (
    *("VTGUARD_CHECK_FAILURE", "STACK_COOKIE_CHECK_FAILURE", "CORRUPT_LIST_ENTRY"),
    *("INCORRECT_STACK", "INVALID_ARG", "GS_COOKIE_INIT", "FATAL_APP_EXIT"),
    *("RANGE_CHECK_FAILURE", "UNSAFE_REGISTRY_ACCESS", "GUARD_ICALL_CHECK_FAILURE"),
    *("GUARD_WRITE_CHECK_FAILURE", "INVALID_FIBER_SWITCH", "INVALID_SET_OF_CONTEXT"),
    *("INVALID_REFERENCE_COUNT", "", "", "", "INVALID_JUMP_BUFFER", "MRDATA_MODIFIED"),
    *("CERTIFICATION_FAILURE", "INVALID_EXCEPTION_CHAIN", "CRYPTO_LIBRARY"),
    *("INVALID_CALL_IN_DLL_CALLOUT", "INVALID_IMAGE_BASE", "DLOAD_PROTECTION_FAILURE"),
    *("UNSAFE_EXTENSION_CALL", "DEPRECATED_SERVICE_INVOKED", "INVALID_BUFFER_ACCESS"),
    *("INVALID_BALANCED_TREE", "INVALID_NEXT_THREAD", "GUARD_ICALL_CHECK_SUPPRESSED"),
    *("APCS_DISABLED", "INVALID_IDLE_STATE", "MRDATA_PROTECTION_FAILURE"),
    *("UNEXPECTED_HEAP_EXCEPTION", "INVALID_LOCK_STATE", "GUARD_JUMPTABLE"),
    *("INVALID_LONGJUMP_TARGET", "INVALID_DISPATCH_CONTEXT", "INVALID_THREAD"),
    *("INVALID_SYSCALL_NUMBER", "INVALID_FILE_OPERATION", "LPAC_ACCESS_DENIED"),
    *("GUARD_SS_FAILURE", "LOADER_CONTINUITY_FAILURE", "GUARD_EXPORT_SUPPRESSION_FAILURE"),
    *("INVALID_CONTROL_STACK", "SET_CONTEXT_DENIED", "INVALID_IAT"),
    *("HEAP_METADATA_CORRUPTION", "PAYLOAD_RESTRICTION_VIOLATION", "LOW_LABEL_ACCESS_DENIED"),
    *("ENCLAVE_CALL_FAILURE", "UNHANDLED_LSS_EXCEPTON", "ADMINLESS_ACCESS_DENIED"),
    *("UNEXPECTED_CALL", "CONTROL_INVALID_RETURN_ADDRESS", "UNEXPECTED_HOST_BEHAVIOR"),
    *("FLAGS_CORRUPTION", "VEH_CORRUPTION", "ETW_CORRUPTION", "RIO_ABORT", "INVALID_PFN"),
    *("GUARD_ICALL_CHECK_FAILURE_XFG", "CAST_GUARD", "HOST_VISIBILITY_CHANGE"),
    *("KERNEL_CET_SHADOW_STACK_ASSIST", "PATCH_CALLBACK_FAILED", "NTDLL_PATCH_FAILED"),
    "INVALID_FLS_DATA",
)
_MEANINGS = {
    0x40000015: "STATUS_FATAL_APP_EXIT",
    0x4000001F: "STATUS_WX86_BREAKPOINT",
    0x40010006: "DBG_PRINTEXCEPTION_C",
    0x406D1388: "a thread's name for the debugger (Visual C++)",
    0xC06D007E: "a delay-loaded module was not found (Visual C++)",
    0xC06D007F: "a delay-loaded function was not found (Visual C++)",
    0xCFFFFFFF: "the application did not respond (Windows Error Reporting)",
    0xE0434352: ".NET exception",
    0xE0434F4D: ".NET exception (before .NET 4)",
    0x0EEDFADE: "Delphi exception",
}


def reason(exception: ExceptionRecord) -> str | None:
    """The exception's name; None for a code that Breakpad does not know."""
    name = _NAMES.get(exception.code)
    parameters = exception.parameters
    if name is None or not parameters:
        return name
    # A 64-bit field, of which Breakpad takes the low half.
    first = parameters[0] & 0xFFFF_FFFF
    if exception.code == _STACK_BUFFER_OVERRUN:
        fast_fail = _FAST_FAILS[first - 1] if 1 <= first <= len(_FAST_FAILS) else ""
        return f"FAST_FAIL_{fast_fail}" if fast_fail else name
    if exception.code in {_ACCESS_VIOLATION, _IN_PAGE_ERROR}:
        name += _KINDS.get(first, "")
    if exception.code == _IN_PAGE_ERROR and len(parameters) >= 3:
        status = parameters[2] & 0xFFFF_FFFF
        name += f" / {ntstatus_name(status) or f'0x{status:08x}'}"
    return name


def address(exception: ExceptionRecord) -> int:
    """The address that was accessed, where the exception says it; else the instruction's."""
    if exception.code in {_ACCESS_VIOLATION, _IN_PAGE_ERROR} and len(exception.parameters) >= 2:
        return exception.parameters[1]
    return exception.address


def meaning(exception: ExceptionRecord) -> str | None:
    """What is known of a code that Breakpad does not name."""
    if exception.code in _NAMES:
        return None
    return _MEANINGS.get(exception.code) or ntstatus_name(exception.code)
