"""A minidump's bytes to a `Minidump`.

Each stream is read by itself: one that is damaged costs what it held and is named in
`Minidump.unread`; the others are not affected. Nothing here follows a pointer in the dumped
memory, and the dumped memory is not copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from chalicelib.errors import FormatError
from chalicelib.formats.minidump.crashpad import CrashpadInfo, read_crashpad_info
from chalicelib.formats.minidump.directory import Kind, Stream, read_directory
from chalicelib.formats.minidump.dump import (
    Cpu,
    DumpModule,
    ExceptionRecord,
    Memory,
    MemoryMapping,
    Minidump,
    OsName,
    SystemInfo,
    ThreadDump,
)
from chalicelib.formats.minidump.dump_bytes import Damaged, DumpBytes, Notes
from chalicelib.formats.minidump.linux import (
    read_auxiliary_vector,
    read_command_line,
    read_cpu_model,
    read_distribution,
    read_maps,
    read_process_id,
)
from chalicelib.formats.minidump.mac_crash_info import read_mac_crash_info
from chalicelib.formats.minidump.memory import (
    around,
    read_memory_64_list,
    read_memory_info,
    read_memory_list,
)
from chalicelib.formats.minidump.module_map import without_duplicates
from chalicelib.formats.minidump.modules import read_modules, read_unloaded_modules
from chalicelib.formats.minidump.process_info import (
    BreakpadInfo,
    ProcessInfo,
    read_assertion,
    read_breakpad_info,
    read_comment,
    read_misc_info,
)
from chalicelib.formats.minidump.system_info import read_system_info
from chalicelib.formats.minidump.threads import (
    RawThread,
    read_exception,
    read_thread_names,
    read_threads,
)

_Value = TypeVar("_Value")
_STACK_POINTERS: Mapping[Cpu, str] = {"x86": "esp", "amd64": "rsp", "arm": "sp", "arm64": "sp"}


def read(raw: bytes | memoryview) -> Minidump:
    """The crashed process, as far as the dump can be read.

    Linear in the size of the dump; the memory ranges are views into `raw`. Raises `FormatError`,
    saying where, for what is no little-endian minidump and for one in which neither a thread nor
    an exception can be read.
    """
    return _Reader(DumpBytes(raw)).minidump()


class _Reader:
    def __init__(self, dump: DumpBytes) -> None:
        self._dump = dump
        self._notes = Notes()
        self._directory = read_directory(dump, self._notes)

    def minidump(self) -> Minidump:
        dump, notes = self._dump, self._notes
        system = self._read(Kind.SYSTEM_INFO, lambda at: read_system_info(dump, at, notes))
        cpu = system.cpu if system else None
        exception = self._read(Kind.EXCEPTION, lambda at: read_exception(dump, at, cpu, notes))
        raw_threads = self._read(Kind.THREAD_LIST, lambda at: read_threads(dump, at, cpu, notes))
        if exception is None and not raw_threads:
            known = f"the {len(self._directory.streams)} known streams have neither"
            raise FormatError(
                f"neither a thread nor an exception can be read: {'; '.join(notes.texts) or known}"
            )
        raw_threads = self._with_crashed(raw_threads or (), exception)
        if system is None:
            if Kind.SYSTEM_INFO not in self._directory.streams:
                notes.add("system info", "the dump has none")
            system = SystemInfo("other", _cpu_of(exception, raw_threads))
        breakpad = self._read(Kind.BREAKPAD_INFO, lambda at: read_breakpad_info(dump, at))
        breakpad = breakpad or BreakpadInfo()
        process = self._read(Kind.MISC_INFO, lambda at: read_misc_info(dump, at)) or ProcessInfo()
        crashpad = self._read(Kind.CRASHPAD_INFO, lambda at: read_crashpad_info(dump, at, notes))
        crashpad = crashpad or CrashpadInfo()
        names = self._read(Kind.THREAD_NAME_LIST, lambda at: read_thread_names(dump, at, notes))
        memory = self._memory(raw_threads)
        threads = _threads(raw_threads, names or {}, memory)
        return Minidump(
            system=replace(system, cpu_model=self._cpu_model()),
            threads=threads,
            crash_thread=_crash_thread(threads, exception, breakpad.requesting_thread_id),
            exception=exception,
            modules=self._modules(system.os, crashpad),
            unloaded_modules=self._read(
                Kind.UNLOADED_MODULE_LIST, lambda at: read_unloaded_modules(dump, at, notes)
            )
            or (),
            memory=memory,
            mappings=self._mappings(),
            requesting_thread_id=breakpad.requesting_thread_id,
            dump_thread_id=breakpad.dump_thread_id,
            process_id=self._process_id() if process.process_id is None else process.process_id,
            crashed_at=self._directory.written_at,
            process_started_at=process.started_at,
            annotations=(*crashpad.annotations, *self._other_annotations()),
            crashpad_report_id=crashpad.report_id,
            crashpad_client_id=crashpad.client_id,
            assertion=self._read(Kind.ASSERTION_INFO, lambda at: read_assertion(dump, at)),
            linux_distribution=self._read(
                Kind.LINUX_LSB_RELEASE, lambda at: read_distribution(dump, at)
            )
            or {},
            command_line=self._read(Kind.LINUX_COMMAND_LINE, lambda at: read_command_line(dump, at))
            or (),
            auxiliary_vector=self._auxiliary_vector(system.cpu),
            unread=notes.texts,
        )

    def _with_crashed(
        self, threads: tuple[RawThread, ...], exception: ExceptionRecord | None
    ) -> tuple[RawThread, ...]:
        """A thread that is not in the list (cut off, say) still crashed where the exception has
        its registers; its stack may be among the memory."""
        if exception is None or exception.context is None:
            return threads
        thread_id = exception.thread_id
        if any(thread.thread_id == thread_id for thread in threads):
            return threads
        self._notes.add("thread list", f"thread {thread_id}, which crashed, is not in it")
        return (*threads, RawThread(thread_id, exception.context, 0, None))

    def _modules(self, os: OsName, crashpad: CrashpadInfo) -> tuple[DumpModule, ...]:
        modules = self._read(
            Kind.MODULE_LIST, lambda at: read_modules(self._dump, at, os, self._notes)
        )
        return without_duplicates(
            replace(module, annotations=crashpad.modules.get(place, ()))
            if place in crashpad.modules
            else module
            for place, module in enumerate(modules or ())
            if module
        )

    def _mappings(self) -> tuple[MemoryMapping, ...]:
        dump, notes = self._dump, self._notes
        return (
            self._read(Kind.LINUX_MAPS, lambda at: read_maps(dump, at, notes))
            or self._read(Kind.MEMORY_INFO_LIST, lambda at: read_memory_info(dump, at, notes))
            or ()
        )

    def _other_annotations(self) -> Iterator[tuple[str, str]]:
        dump, notes = self._dump, self._notes
        for kind, is_utf16 in ((Kind.COMMENT_A, False), (Kind.COMMENT_W, True)):
            comment = self._read(kind, partial(read_comment, dump, is_utf16=is_utf16))
            if comment:
                yield "comment", comment
        said = self._read(Kind.MAC_CRASH_INFO, lambda at: read_mac_crash_info(dump, at, notes))
        yield from said or ()

    def _cpu_model(self) -> str | None:
        return self._read(Kind.LINUX_CPU_INFO, lambda at: read_cpu_model(self._dump, at))

    def _process_id(self) -> int | None:
        return self._read(Kind.LINUX_PROC_STATUS, lambda at: read_process_id(self._dump, at))

    def _auxiliary_vector(self, cpu: Cpu) -> Mapping[str, int]:
        is_64_bit = cpu in {"amd64", "arm64"}
        values = self._read(
            Kind.LINUX_AUXV,
            lambda at: read_auxiliary_vector(self._dump, at, is_64_bit=is_64_bit),
        )
        return values or {}

    def _read(self, kind: Kind, read_stream: Callable[[Stream], _Value]) -> _Value | None:
        stream = self._directory.streams.get(kind)
        if stream is None:
            return None
        try:
            return read_stream(stream)
        except Damaged as damage:
            self._notes.add(kind.title, str(damage))
            return None

    def _memory(self, threads: Sequence[RawThread]) -> Memory:
        dump, notes = self._dump, self._notes
        stacks = [thread.stack for thread in threads if thread.stack]
        listed = self._read(Kind.MEMORY_LIST, lambda at: read_memory_list(dump, at, notes))
        full = self._read(Kind.MEMORY_64_LIST, lambda at: read_memory_64_list(dump, at, notes))
        return Memory(around(stacks, [*(listed or ()), *(full or ())]))


def _cpu_of(exception: ExceptionRecord | None, threads: Sequence[RawThread]) -> Cpu:
    contexts = [exception.context if exception else None, *(thread.context for thread in threads)]
    return next((context.cpu for context in contexts if context), "other")


def _threads(
    raw_threads: Sequence[RawThread], names: Mapping[int, str], memory: Memory
) -> tuple[ThreadDump, ...]:
    threads: list[ThreadDump] = []
    for raw in raw_threads:
        start, size = _stack(raw, memory)
        name = names.get(raw.thread_id)
        threads.append(ThreadDump(raw.thread_id, raw.context, start, size, name))
    return tuple(threads)


def _stack(thread: RawThread, memory: Memory) -> tuple[int, int]:
    """Where the stack lies: as listed, else the dumped memory around its start or its pointer.

    Full dumps of Windows list no bytes with the thread: its stack is among the memory.
    """
    if thread.stack:
        return thread.stack.start, len(thread.stack.data)
    places = [thread.stack_start]
    if thread.context:
        places.append(thread.context.registers[_STACK_POINTERS[thread.context.cpu]])
    for place in places:
        found = memory.range_at(place) if place else None
        if found:
            return found.start, len(found.data)
    return thread.stack_start, 0


def _crash_thread(
    threads: Sequence[ThreadDump],
    exception: ExceptionRecord | None,
    requesting_thread_id: int | None,
) -> int | None:
    wanted = exception.thread_id if exception else requesting_thread_id
    places = (place for place, thread in enumerate(threads) if thread.thread_id == wanted)
    return next(places, None)
