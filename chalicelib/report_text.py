"""A memory dump's report as text for people, laid out as Breakpad's `minidump_stackwalk` does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from chalicelib.model import Frame, Module, Processor, Report, Thread, Trust

_FOUND_BY: dict[Trust, str] = {
    "context": "given as instruction pointer in context",
    "cfi": "call frame info",
    "cfi_scan": "call frame info with scanning",
    "frame_pointer": "previous frame's frame pointer",
    "leaf": "return address of a function without a frame",
    "scan": "stack scanning",
}
_REGISTERS_A_LINE = 4


def as_text(report: Report, sent: Mapping[str, str] | None = None) -> str:
    """The crash, the crashed thread with its registers, what its symbols are missing of, the
    other threads, the modules; `sent` is what the client said beside the dump."""
    crashed = [thread for thread in report.threads if thread.crashed]
    others = [thread for thread in report.threads if not thread.crashed]
    lacking = {module.debug_id for module in report.lacking}
    lines = [*_head(report)]
    for thread in crashed:
        lines += ["", *_thread(thread)]
    missing = [f"{module.debug_file}  {module.debug_id}" for module in report.lacking]
    lines += _section("No symbols, which the crashed thread needs:", missing)
    for thread in others:
        lines += ["", *_thread(thread)]
    modules = [
        _module(module, is_main=place == 0, is_lacking=module.debug_id in lacking)
        for place, module in enumerate(report.modules)
    ]
    lines += _section("Loaded modules:", modules)
    unloaded = [_module(module, is_main=False, is_lacking=False) for module in report.unloaded]
    lines += _section("Unloaded modules:", unloaded)
    lines += _section("Annotations:", _pairs(report.annotations))
    lines += _section("Sent with it:", _pairs(tuple((sent or {}).items())))
    lines += _section("Could not be read:", report.unread)
    return "\n".join(lines) + "\n"


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, *lines] if lines else []


def _pairs(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """One line each, so that no value can pass for a line of the report."""
    return [f"{_line(name)}: {_line(text)}" for name, text in pairs]


def _line(text: str) -> str:
    return "\\n".join(text.splitlines())


def _head(report: Report) -> Iterator[str]:
    os, process = report.os, report.process
    system = " ".join(filter(None, (os.name, os.version, os.build)))
    yield f"Operating system: {system or 'unknown'}"
    if os.distribution:
        yield f"                  {os.distribution}"
    if processor := _processor(report.processor):
        yield f"CPU: {processor}"
    if process.id is not None:
        yield f"Process: {process.id}"
    if process.command_line:
        yield f"Command line: {' '.join(map(_line, process.command_line))}"
    yield ""
    yield f"Crash reason:  {_reason(report)}"
    if report.crash_address is not None:
        yield f"Crash address: {report.crash_address:#x}"
    if report.assertion and report.assertion != report.exception_type:
        yield f"Assertion: {_line(report.assertion)}"
    if report.occurred_at is not None:
        yield f"Crash time: {report.occurred_at.isoformat(sep=' ')}"
        if process.started_at is not None:
            lived = report.occurred_at - process.started_at
            yield f"Process uptime: {int(lived.total_seconds())} seconds"


def _processor(processor: Processor) -> str:
    cores = f"{processor.count} CPUs" if processor.count else None
    known = (processor.architecture, processor.description, processor.model, cores)
    return ", ".join(filter(None, known))


def _reason(report: Report) -> str:
    """The reason with what its numbers mean; the address has a line of its own."""
    kind, told = report.exception_type or "none given", report.reason or ""
    if report.crash_address is not None:
        told = told.removesuffix(f" at {report.crash_address:#x}")
    return told if told.startswith(kind) else f"{kind} {told}".rstrip()


def _thread(thread: Thread) -> Iterator[str]:
    name = f' "{_line(thread.name)}"' if thread.name else ""
    number = f" id {thread.thread_id:#x}" if thread.thread_id is not None else ""
    yield f"Thread {thread.number}{' (crashed)' if thread.crashed else ''}{name}{number}"
    if not thread.frames:
        yield " <no frames>"
        yield from _registers(thread.registers)
    registers = thread.registers
    for number_of, frame in enumerate(thread.frames):
        yield f"{number_of:2}  {_place(frame)}"
        if frame.inlined:
            yield "    Found by: inlining"
            continue
        if frame.trust is not None:
            yield f"    Found by: {_FOUND_BY[frame.trust]}"
        yield from _registers(registers)
        registers = ()


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


def _module(module: Module, *, is_main: bool, is_lacking: bool) -> str:
    start, end = module.start or 0, max((module.end or 1) - 1, 0)
    known = (module.name, module.version, module.debug_file, module.debug_id)
    marks = ("(main)" if is_main else None, "(no symbols)" if is_lacking else None)
    return "  ".join(filter(None, (f"0x{start:08x} - 0x{end:08x}", *known, *marks)))
