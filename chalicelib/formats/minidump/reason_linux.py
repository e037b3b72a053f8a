"""Signals of Linux and Android and their codes.

Source: Breakpad's `minidump_exception_linux.h` and `minidump_processor.cc`; for the meanings
Linux's asm-generic/siginfo.h.
"""

from __future__ import annotations

from chalicelib.formats.minidump.dump import ExceptionRecord

_DUMP_REQUESTED = 0xFFFF_FFFF
# By number, from 1 on.
_SIGNALS = (
    *("SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE"),
    *("SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT"),
    *("SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU"),
    *("SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS"),
)
_ILL, _TRAP, _BUS, _FPE, _SEGV, _SYS = 4, 5, 7, 8, 11, 31
# The signals that Breakpad tells the code of (from 1 on), with how it separates the two.
_CODES: dict[int, tuple[str, tuple[str, ...]]] = {
    _ILL: (
        "SIGILL / ",
        (
            *("ILL_ILLOPC", "ILL_ILLOPN", "ILL_ILLADR", "ILL_ILLTRP"),
            *("ILL_PRVOPC", "ILL_PRVREG", "ILL_COPROC", "ILL_BADSTK"),
        ),
    ),
    _BUS: (
        "SIGBUS / ",
        ("BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR", "BUS_MCEERR_AR", "BUS_MCEERR_AO"),
    ),
    _FPE: (
        "SIGFPE / ",
        (
            *("FPE_INTDIV", "FPE_INTOVF", "FPE_FLTDIV", "FPE_FLTOVF"),
            *("FPE_FLTUND", "FPE_FLTRES", "FPE_FLTINV", "FPE_FLTSUB"),
        ),
    ),
    _SEGV: ("SIGSEGV /", ("SEGV_MAPERR", "SEGV_ACCERR", "SEGV_BNDERR", "SEGV_PKUERR")),
}
# What Breakpad does not name: (signal, code).
_MEANINGS = {
    (_ILL, 9): "ILL_BADIADDR",
    (_TRAP, 1): "TRAP_BRKPT",
    (_TRAP, 2): "TRAP_TRACE",
    (_TRAP, 3): "TRAP_BRANCH",
    (_TRAP, 4): "TRAP_HWBKPT",
    (_TRAP, 5): "TRAP_UNK",
    (_TRAP, 6): "TRAP_PERF",
    (_FPE, 14): "FPE_FLTUNK",
    (_FPE, 15): "FPE_CONDTRAP",
    (_SEGV, 5): "SEGV_ACCADI",
    (_SEGV, 6): "SEGV_ADIDERR",
    (_SEGV, 7): "SEGV_ADIPERR",
    (_SEGV, 8): "SEGV_MTEAERR",
    (_SEGV, 9): "SEGV_MTESERR",
    (_SEGV, 10): "SEGV_CPERR",
    (_SYS, 1): "SYS_SECCOMP",
    (_SYS, 2): "SYS_USER_DISPATCH",
}
# Codes of any signal. 0 would be SI_USER, but writers that do not know the code leave it 0 too.
_SENDERS = {
    0x80: "SI_KERNEL",
    0xFFFF_FFFF: "SI_QUEUE",
    0xFFFF_FFFE: "SI_TIMER",
    0xFFFF_FFFD: "SI_MESGQ",
    0xFFFF_FFFC: "SI_ASYNCIO",
    0xFFFF_FFFB: "SI_SIGIO",
    0xFFFF_FFFA: "SI_TKILL",
    0xFFFF_FFF9: "SI_DETHREAD",
    0xFFFF_FFC4: "SI_ASYNCNL",
}


def reason(exception: ExceptionRecord) -> str | None:
    """The signal, and its code where Breakpad tells it; None for an unknown signal."""
    signal, code = exception.code, exception.flags
    if signal in _CODES:
        text, names = _CODES[signal]
        return text + (names[code - 1] if 1 <= code <= len(names) else f"0x{code:08x}")
    if signal == _DUMP_REQUESTED:
        return "DUMP_REQUESTED"
    return _SIGNALS[signal - 1] if 1 <= signal <= len(_SIGNALS) else None


def meaning(exception: ExceptionRecord) -> str | None:
    """The name of the signal's code where `reason` has none."""
    return _MEANINGS.get((exception.code, exception.flags)) or _SENDERS.get(exception.flags)
