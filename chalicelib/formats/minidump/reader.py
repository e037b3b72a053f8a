"""A minidump's bytes to a `Minidump`.

Each stream is read by itself: one that is damaged costs what it held and is named in
`Minidump.unread`; the others are not affected. Nothing here follows a pointer in the dumped
memory, and the dumped memory is not copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from chalicelib.errors import FormatError
from chalicelib.formats.minidump.directory import Kind, Stream, read_directory
from chalicelib.formats.minidump.dump import (
    Cpu,
    ExceptionRecord,
    Memory,
    Minidump,
    SystemInfo,
    ThreadDump,
)
from chalicelib.formats.minidump.dump_bytes import Damaged, DumpBytes, Notes
from chalicelib.formats.minidump.memory import (
    read_memory_64_list,
    read_memory_info,
    read_memory_list,
    without_overlaps,
)
from chalicelib.formats.minidump.module_map import without_duplicates
from chalicelib.formats.minidump.modules import read_modules, read_unloaded_modules
from chalicelib.formats.minidump.process_info import (
    BreakpadInfo,
    ProcessInfo,
    read_assertion,
    read_breakpad_info,
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
        raw_threads = raw_threads or ()
        if system is None:
            if Kind.SYSTEM_INFO not in self._directory.streams:
                notes.add("system info", "the dump has none")
            system = SystemInfo("other", _cpu_of(exception, raw_threads))
        os = system.os
        breakpad = self._read(Kind.BREAKPAD_INFO, lambda at: read_breakpad_info(dump, at))
        breakpad = breakpad or BreakpadInfo()
        process = self._read(Kind.MISC_INFO, lambda at: read_misc_info(dump, at)) or ProcessInfo()
        modules = self._read(Kind.MODULE_LIST, lambda at: read_modules(dump, at, os, notes)) or ()
        unloaded_modules = self._read(
            Kind.UNLOADED_MODULE_LIST, lambda at: read_unloaded_modules(dump, at, notes)
        )
        names = self._read(Kind.THREAD_NAME_LIST, lambda at: read_thread_names(dump, at, notes))
        memory = self._memory(raw_threads)
        mappings = self._read(Kind.MEMORY_INFO_LIST, lambda at: read_memory_info(dump, at, notes))
        threads = _threads(raw_threads, names or {}, memory)
        return Minidump(
            system=system,
            threads=threads,
            crash_thread=_crash_thread(threads, exception, breakpad.requesting_thread_id),
            exception=exception,
            modules=without_duplicates(module for module in modules if module),
            unloaded_modules=unloaded_modules or (),
            memory=memory,
            mappings=mappings or (),
            requesting_thread_id=breakpad.requesting_thread_id,
            dump_thread_id=breakpad.dump_thread_id,
            process_id=process.process_id,
            crashed_at=self._directory.written_at,
            process_started_at=process.started_at,
            assertion=self._read(Kind.ASSERTION_INFO, lambda at: read_assertion(dump, at)),
            unread=notes.texts,
        )

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
        return Memory(without_overlaps([*stacks, *(listed or ()), *(full or ())]))


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
