"""What a minidump holds, once read: the crashed process at that moment.

Format: Microsoft, "Minidump files" (minidumpapiset.h), Breakpad's
`minidump_format.h`, Crashpad's `minidump_extensions.h`. Addresses and
sizes are in bytes; every sequence is in the order of the file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

OsName = Literal["windows", "macos", "ios", "linux", "android", "fuchsia", "other"]
Cpu = Literal["x86", "amd64", "arm", "arm64", "other"]


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """The machine, in Breakpad's words.

    `os_name` is `Windows NT`, `Mac OS X`, ...; `os_version` three numbers (`0.0.0` in many Linux
    dumps: see `kernel`); `os_build` a service pack, Apple's build (`20G630`) or what `uname` says;
    `kernel` the release of a Linux kernel. `cpu_name` and `cpu_info` are as Breakpad prints them:
    `amd64`, `family 6 model 42 ...`; `cpu_model` as /proc/cpuinfo has it. `architecture` is the
    number in the dump (PROCESSOR_ARCHITECTURE_*), None in a dump without system info.
    """

    os: OsName
    cpu: Cpu
    os_version: str | None = None
    os_build: str | None = None
    os_name: str | None = None
    kernel: str | None = None
    cpu_name: str | None = None
    cpu_info: str | None = None
    cpu_model: str | None = None
    cpu_count: int | None = None
    architecture: int | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """The registers of a thread, by the names that `STACK CFI` records use.

    x86: `eip esp ebp eax ebx ecx edx esi edi eflags`; amd64: `rip rsp rbp rax ... r15 eflags`;
    arm: `r0` to `r12`, `sp lr pc cpsr`; arm64: `x0` to `x30` (`x29` is the frame pointer, `x30`
    the link register), `sp pc cpsr`.
    """

    cpu: Cpu
    registers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ThreadDump:
    """A thread: where its stack memory begins and how much of it `Minidump.memory` has (bytes)."""

    thread_id: int
    context: Context | None
    stack_start: int = 0
    stack_size: int = 0
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ExceptionRecord:
    """Why the process was dumped; `parameters` are the exception's own (Windows: access kind).

    `context` is the thread's at the moment of the exception; the one in `threads` may be that
    inside the handler.
    """

    thread_id: int
    code: int
    flags: int
    address: int
    parameters: tuple[int, ...] = ()
    context: Context | None = None


@dataclass(frozen=True, slots=True)
class DumpModule:
    """A module: `code_file` is its path, `debug_file`/`debug_id` name its symbols as Breakpad does.

    `debug_id` is empty where the dump does not identify the build.
    """

    start: int
    size: int
    code_file: str
    code_id: str = ""
    debug_file: str = ""
    debug_id: str = ""
    version: str | None = None
    annotations: tuple[tuple[str, str], ...] = ()

    @property
    def end(self) -> int:
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class UnloadedModule:
    start: int
    size: int
    code_file: str
    code_id: str = ""


@dataclass(frozen=True, slots=True)
class MemoryRange:
    """Memory of the process from `start`; `data` is a view into the file."""

    start: int
    data: memoryview

    @property
    def end(self) -> int:
        return self.start + len(self.data)


class Memory:
    """The dumped memory, found by address."""

    def __init__(self, ranges: Sequence[MemoryRange]) -> None:
        self._ranges = sorted(ranges, key=lambda entry: entry.start)
        self._starts = [entry.start for entry in self._ranges]

    def range_at(self, address: int) -> MemoryRange | None:
        """The range that holds the byte at `address`."""
        place = bisect_right(self._starts, address) - 1
        if place < 0:
            return None
        found = self._ranges[place]
        return found if address < found.end else None

    def __len__(self) -> int:
        return len(self._ranges)


@dataclass(frozen=True, slots=True)
class MemoryMapping:
    """One line of /proc/PID/maps or entry of the memory info list."""

    start: int
    end: int
    permissions: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Minidump:
    """One dump. `crash_thread` is an index into `threads`, None when no thread is named.

    The main module is the first. `threads` has the one that wrote the dump too
    (`dump_thread_id`): a debugger does not walk it, as its state was in flux.
    `annotations` are what the app told Crashpad of the process, comments, and what macOS'
    libraries left; a module's own are with it. `mappings` come from /proc/PID/maps, on Windows
    from the memory info list. `linux_distribution` has `id`, `release`, `codename`,
    `description`, as far as known; `auxiliary_vector` is by the names of getauxval(3).
    `unread` lists streams that are damaged, in plain words; the others are good.
    """

    system: SystemInfo
    threads: tuple[ThreadDump, ...] = ()
    crash_thread: int | None = None
    exception: ExceptionRecord | None = None
    modules: tuple[DumpModule, ...] = ()
    unloaded_modules: tuple[UnloadedModule, ...] = ()
    memory: Memory = field(default_factory=lambda: Memory(()))
    mappings: tuple[MemoryMapping, ...] = ()
    requesting_thread_id: int | None = None
    dump_thread_id: int | None = None
    process_id: int | None = None
    crashed_at: datetime | None = None
    process_started_at: datetime | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    crashpad_report_id: UUID | None = None
    crashpad_client_id: UUID | None = None
    assertion: str | None = None
    linux_distribution: Mapping[str, str] = field(default_factory=dict)
    command_line: tuple[str, ...] = ()
    auxiliary_vector: Mapping[str, int] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
