"""The threads of a dump, their names, and the exception that one of them had.

Format: MINIDUMP_THREAD_LIST, MINIDUMP_THREAD_NAME_LIST, MINIDUMP_EXCEPTION_STREAM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct

from chalicelib.formats.minidump.contexts import read_context
from chalicelib.formats.minidump.directory import Stream
from chalicelib.formats.minidump.dump import Context, Cpu, ExceptionRecord, MemoryRange
from chalicelib.formats.minidump.dump_bytes import Damaged, DumpBytes, Notes
from chalicelib.formats.minidump.limits import MAX_THREADS
from chalicelib.formats.minidump.records import counted

_THREAD = Struct("<4IQQ4I")
_NAME = Struct("<IQ")
_EXCEPTION = Struct("<2I2I2Q2I15Q2I")
_MAX_PARAMETERS = 15  # EXCEPTION_MAXIMUM_PARAMETERS


@dataclass(frozen=True, slots=True)
class RawThread:
    """A thread as listed: `stack_start` is an address; `stack` is None where it has no bytes."""

    thread_id: int
    context: Context | None
    stack_start: int
    stack: MemoryRange | None


def read_threads(
    dump: DumpBytes, stream: Stream, cpu: Cpu | None, notes: Notes
) -> tuple[RawThread, ...]:
    """The thread list. Of two threads with one id the first counts, as it would for a debugger."""
    records = counted(dump, stream, _THREAD, MAX_THREADS)
    if records.shortfall:
        notes.add("thread list", records.shortfall)
    threads: dict[int, RawThread] = {}
    for row in records.rows:
        thread_id, start, size, offset, context_size, context_at = row[0], *row[5:]
        if thread_id in threads:
            notes.add("thread list", f"a second thread has the id {thread_id}")
            continue
        context = _context(dump, context_at, context_size, cpu, f"thread {thread_id}", notes)
        stack = None
        if size and offset:
            there_is = dump.part_there_is(offset, size)
            if len(there_is) < size:
                notes.add(
                    f"stack of thread {thread_id}",
                    f"{len(there_is)} of its {size} bytes are in the dump",
                )
            if there_is:
                stack = MemoryRange(start, there_is)
        threads[thread_id] = RawThread(thread_id, context, start, stack)
    return tuple(threads.values())


def read_thread_names(dump: DumpBytes, stream: Stream, notes: Notes) -> Mapping[int, str]:
    """Names by thread id."""
    records = counted(dump, stream, _NAME, MAX_THREADS)
    if records.shortfall:
        notes.add("thread name list", records.shortfall)
    names: dict[int, str] = {}
    for thread_id, name_at in records.rows:
        try:
            name = dump.utf16(name_at)
        except Damaged as damage:
            notes.add(f"name of thread {thread_id}", str(damage))
            continue
        if name:
            names.setdefault(thread_id, name)
    return names


def read_exception(
    dump: DumpBytes, stream: Stream, cpu: Cpu | None, notes: Notes
) -> ExceptionRecord:
    """The exception stream. At most 15 parameters, as Windows defines."""
    row = dump.fields(_EXCEPTION, stream.offset)
    thread_id, _, code, flags, _, address, count, _ = row[:8]
    context_size, context_at = row[-2:]
    return ExceptionRecord(
        thread_id=thread_id,
        code=code,
        flags=flags,
        address=address,
        parameters=row[8 : 8 + min(count, _MAX_PARAMETERS)],
        context=_context(dump, context_at, context_size, cpu, "exception", notes),
    )


def _context(
    dump: DumpBytes, offset: int, size: int, cpu: Cpu | None, whose: str, notes: Notes
) -> Context | None:
    try:
        return read_context(dump, offset, size, cpu)
    except Damaged as damage:
        notes.add(f"registers of {whose}", str(damage))
        return None
