"""Mach exceptions of macOS and iOS and their codes.

Source: Breakpad's `minidump_exception_mac.h` and `minidump_processor.cc`; for the meanings
Apple's <mach/exception_types.h>, <kern/exc_resource.h>, <kern/exc_guard.h>.
"""

from __future__ import annotations

from chalicelib.formats.minidump.dump import ExceptionRecord

_BAD_ACCESS, _BAD_INSTRUCTION, _ARITHMETIC, _SOFTWARE, _BREAKPOINT = 1, 2, 3, 5, 6
_CRASH, _RESOURCE, _GUARD = 10, 11, 12
_SOFT_SIGNAL = 0x10003  # EXC_SOFT_SIGNAL: a UNIX signal, its number in the subcode

_NAMES = {
    _BAD_ACCESS: "EXC_BAD_ACCESS",
    _BAD_INSTRUCTION: "EXC_BAD_INSTRUCTION",
    _ARITHMETIC: "EXC_ARITHMETIC",
    4: "EXC_EMULATION",
    _SOFTWARE: "EXC_SOFTWARE",
    _BREAKPOINT: "EXC_BREAKPOINT",
    7: "EXC_SYSCALL",
    8: "EXC_MACH_SYSCALL",
    9: "EXC_RPC_ALERT",
    _RESOURCE: "EXC_RESOURCE",
    _GUARD: "EXC_GUARD",
}
_WHOLE = {
    0x43507378: "Simulated Exception",  # 'CPsx', Crashpad's SimulateCrash
    0x43506E78: "Uncaught NSException",  # 'CPnx', Crashpad's
}
_ANY_CPU = {
    (_BAD_ACCESS, 1): "KERN_INVALID_ADDRESS",
    (_BAD_ACCESS, 2): "KERN_PROTECTION_FAILURE",
    (_BAD_ACCESS, 8): "KERN_NO_ACCESS",
    (_BAD_ACCESS, 9): "KERN_MEMORY_FAILURE",
    (_BAD_ACCESS, 10): "KERN_MEMORY_ERROR",
    (_BAD_ACCESS, 50): "KERN_CODESIGN_ERROR",
    (_SOFTWARE, 0x10002): "SIGABRT",
    (_SOFTWARE, 0xDEADC0DE): "UNCAUGHT_NS_EXCEPTION",
    (_SOFTWARE, 1): "EXC_PPC_TRAP",
    (_SOFTWARE, 0x10100): "EXC_PPC_MIGRATE",
}
_X86 = {
    (_BAD_ACCESS, 13): "EXC_I386_GPFLT",
    (_BAD_INSTRUCTION, 1): "EXC_I386_INVOP",
    (_BAD_INSTRUCTION, 10): "EXC_I386_INVTSSFLT",
    (_BAD_INSTRUCTION, 11): "EXC_I386_SEGNPFLT",
    (_BAD_INSTRUCTION, 12): "EXC_I386_STKFLT",
    (_BAD_INSTRUCTION, 13): "EXC_I386_GPFLT",
    (_BAD_INSTRUCTION, 17): "EXC_I386_ALIGNFLT",
    (_ARITHMETIC, 1): "EXC_I386_DIV",
    (_ARITHMETIC, 2): "EXC_I386_INTO",
    (_ARITHMETIC, 3): "EXC_I386_NOEXT",
    (_ARITHMETIC, 4): "EXC_I386_EXTOVR",
    (_ARITHMETIC, 5): "EXC_I386_EXTERR",
    (_ARITHMETIC, 6): "EXC_I386_EMERR",
    (_ARITHMETIC, 7): "EXC_I386_BOUND",
    (_ARITHMETIC, 8): "EXC_I386_SSEEXTERR",
    (_BREAKPOINT, 1): "EXC_I386_SGL",
    (_BREAKPOINT, 2): "EXC_I386_BPT",
}
_ARM = {
    (_BAD_ACCESS, 0x101): "EXC_ARM_DA_ALIGN",
    (_BAD_ACCESS, 0x102): "EXC_ARM_DA_DEBUG",
    (_BAD_INSTRUCTION, 1): "EXC_ARM_UNDEFINED",
    (_BREAKPOINT, 0x101): "EXC_ARM_DA_ALIGN",
    (_BREAKPOINT, 0x102): "EXC_ARM_DA_DEBUG",
    (_BREAKPOINT, 1): "EXC_ARM_BREAKPOINT",
}
# By PROCESSOR_ARCHITECTURE_*. Breakpad 0.26 takes ARM and its own, older ARM64 (0x8003) for ARM;
# with today's ARM64 (12) it prints the code's number.
_BY_ARCHITECTURE: dict[int | None, dict[tuple[int, int], str]] = {
    0: _X86,
    9: _X86,
    5: _ARM,
    0x8003: _ARM,
}
_ARM64 = 12

_SIGNALS = {
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGEMT",
    8: "SIGFPE",
    9: "SIGKILL",
    10: "SIGBUS",
    11: "SIGSEGV",
    12: "SIGSYS",
    13: "SIGPIPE",
    15: "SIGTERM",
}
_RESOURCES = {
    1: "RESOURCE_TYPE_CPU",
    2: "RESOURCE_TYPE_WAKEUPS",
    3: "RESOURCE_TYPE_MEMORY",
    4: "RESOURCE_TYPE_IO",
    5: "RESOURCE_TYPE_THREADS",
    6: "RESOURCE_TYPE_PORTS",
}
_GUARDS = {
    1: "GUARD_TYPE_MACH_PORT",
    2: "GUARD_TYPE_FD",
    3: "GUARD_TYPE_USER",
    4: "GUARD_TYPE_VN",
    5: "GUARD_TYPE_VIRT_MEMORY",
}


def reason(exception: ExceptionRecord, architecture: int | None) -> str | None:
    """The exception and its code, a number where Breakpad has no name; None if it is unknown."""
    if exception.code in _WHOLE:
        return _WHOLE[exception.code]
    name = _NAMES.get(exception.code)
    if name is None:
        return None
    key = (exception.code, exception.flags)
    code = _ANY_CPU.get(key) or _BY_ARCHITECTURE.get(architecture, {}).get(key)
    return f"{name} / {code or f'0x{exception.flags:08x}'}"


def meaning(exception: ExceptionRecord, architecture: int | None) -> str | None:
    """What is known of a code for which `reason` has a number."""
    code, flags = exception.code, exception.flags
    if architecture == _ARM64 and (code, flags) in _ARM:
        return _ARM[code, flags]
    if code == _SOFTWARE and flags == _SOFT_SIGNAL:
        return _SIGNALS.get(exception.address)
    if code == _CRASH:
        return "EXC_CRASH"
    if code == _RESOURCE:
        return _RESOURCES.get(flags >> 29)
    if code == _GUARD:
        return _GUARDS.get(flags >> 29)
    if (code, flags) == (_BAD_ACCESS, 5):
        return "KERN_FAILURE"
    return None
