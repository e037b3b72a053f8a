"""A memory dump's report as text for people, laid out as Breakpad's `minidump_stackwalk` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chalicelib.model import Frame, Module, Report, Thread, Trust

_FOUND_BY: dict[Trust, str] = {
    "context": "given as instruction pointer in context",
    "cfi": "call frame info",
    "cfi_scan": "call frame info with scanning",
    "frame_pointer": "previous frame's frame pointer",
    "leaf": "return address of a function without a frame",
    "scan": "stack scanning",
}
_REGISTERS_A_LINE = 4


def as_text(report: Report) -> str:
    """The crash, the crashed thread with its registers, the other threads, the modules."""
    crashed = [thread for thread in report.threads if thread.crashed]
    others = [thread for thread in report.threads if not thread.crashed]
    lines = [*_head(report)]
    for thread in (*crashed, *others):
        lines += ["", *_thread(thread)]
    if report.modules:
        lines += ["", "Loaded modules:", *map(_module, report.modules)]
    if report.annotations:
        lines += ["", "Annotations:", *(f"{name}: {text}" for name, text in report.annotations)]
    if report.unread:
        lines += ["", "Could not be read:", *report.unread]
    return "\n".join(lines) + "\n"


def _head(report: Report) -> Iterator[str]:
    system = " ".join(filter(None, (report.os.name, report.os.version, report.os.build)))
    yield f"Operating system: {system or 'unknown'}"
    yield f"Crash reason:  {report.exception_type or 'none given'}"
    if report.crash_address is not None:
        yield f"Crash address: {report.crash_address:#x}"
    if report.reason:
        yield f"Reason: {report.reason}"


def _thread(thread: Thread) -> Iterator[str]:
    name = f" {thread.name}" if thread.name else ""
    yield f"Thread {thread.number}{name}{' (crashed)' if thread.crashed else ''}"
    if not thread.frames:
        yield " <no frames>"
    for number, frame in enumerate(thread.frames):
        yield f"{number:2}  {_place(frame)}"
        if frame.inlined:
            yield "    Found by: inlining"
        elif frame.trust is not None:
            yield f"    Found by: {_FOUND_BY[frame.trust]}"
        if number == 0:
            yield from _registers(thread.registers)


def _place(frame: Frame) -> str:
    module = frame.module or "?"
    if frame.function:
        source = ""
        if frame.file:
            source = f" [{frame.file}{f' : {frame.line}' if frame.line else ''}]"
        return f"{module}!{frame.function}{source}"
    if frame.module and frame.offset is not None:
        return f"{module} + {frame.offset:#x}"
    return "?" if frame.address is None else f"{frame.address:#x}"


def _registers(registers: Sequence[tuple[str, int]]) -> Iterator[str]:
    width = max((len(name) for name, _ in registers), default=0)
    digits = 16 if any(value >> 32 for _, value in registers) else 8
    told = [f"{name:>{width}} = 0x{value:0{digits}x}" for name, value in registers]
    for start in range(0, len(told), _REGISTERS_A_LINE):
        yield "    " + "   ".join(told[start : start + _REGISTERS_A_LINE])


def _module(module: Module) -> str:
    start, end = module.start or 0, max((module.end or 1) - 1, 0)
    known = "  ".join(filter(None, (module.version, module.debug_file, module.debug_id)))
    return f"0x{start:08x} - 0x{end:08x}  {module.name}  {known}".rstrip()
