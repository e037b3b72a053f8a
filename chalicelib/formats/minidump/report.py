"""A minidump and the symbols there are for it, made into a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from chalicelib.formats.minidump import reader
from chalicelib.formats.minidump.dump import (
    DumpModule,
    Minidump,
    OsName,
    SystemInfo,
    UnloadedModule,
)
from chalicelib.formats.minidump.reason import CrashReason, reason_of
from chalicelib.formats.minidump.symbol_source import SymbolSource
from chalicelib.formats.minidump.thread_walk import ThreadWalk
from chalicelib.formats.path_names import file_name
from chalicelib.model import Module, OperatingSystem, Process, Processor, Report

_PLATFORMS: Mapping[OsName, Literal["android", "ios", "macos", "windows", "linux", "other"]] = {
    "windows": "windows", "macos": "macos", "ios": "ios", "linux": "linux", "android": "android",
}  # fmt: skip


def parse(raw: bytes | memoryview, symbols: SymbolSource, *, only_crashed: bool = False) -> Report:
    """The crash in a minidump: every thread's stack, unwound with what `symbols` has.

    With `only_crashed` that of the crashed thread alone, and no modules: enough
    to tell crashes apart, at a fraction of the work. Raises `FormatError` when the bytes are no
    minidump that can be read.
    """
    return report_of(reader.read(raw), symbols, only_crashed=only_crashed)


def report_of(dump: Minidump, symbols: SymbolSource, *, only_crashed: bool = False) -> Report:
    """The report of a dump that was read; as `parse`."""
    crash = reason_of(dump)
    walk = ThreadWalk(dump, symbols, only_crashed=only_crashed)
    system = dump.system
    return Report(
        platform=_PLATFORMS.get(system.os, "other"),
        exception_type=crash.reason,
        reason=_told(crash),
        threads=walk.threads,
        modules=() if only_crashed else tuple(_module(module, dump) for module in dump.modules),
        os=OperatingSystem(
            system.os_name,
            _os_version(system),
            system.os_build,
            dump.linux_distribution.get("description"),
        ),
        processor=Processor(system.cpu_name, system.cpu_info, system.cpu_model, system.cpu_count),
        process=Process(dump.process_id, dump.process_started_at, dump.command_line),
        unloaded=tuple(map(_unloaded, dump.unloaded_modules)),
        assertion=dump.assertion,
        occurred_at=dump.crashed_at,
        annotations=_annotations(dump),
        crash_address=crash.address,
        lacking=walk.lacking,
        unread=(*dump.unread, *walk.notes),
    )


def _told(crash: CrashReason) -> str:
    """The reason with what its numbers mean, and the address."""
    text = f"{crash.reason} ({crash.meaning})" if crash.meaning else crash.reason
    return text if crash.address is None else f"{text} at 0x{crash.address:x}"


def _os_version(system: SystemInfo) -> str | None:
    """Breakpad's client for Linux leaves the numbers 0 and puts the kernel's release elsewhere."""
    if system.kernel and (system.os_version or "0.0.0") == "0.0.0":
        return system.kernel
    return system.os_version


def _module(module: DumpModule, dump: Minidump) -> Module:
    return Module(
        name=file_name(module.code_file),
        path=module.code_file or None,
        start=module.start,
        end=module.end,
        debug_id=module.debug_id or None,
        arch=dump.system.cpu_name,
        version=module.version,
        debug_file=file_name(module.debug_file) or None,
        code_id=module.code_id or None,
    )


def _unloaded(module: UnloadedModule) -> Module:
    return Module(
        name=file_name(module.code_file),
        path=module.code_file or None,
        start=module.start,
        end=module.start + module.size,
        code_id=module.code_id or None,
    )


def _annotations(dump: Minidump) -> tuple[tuple[str, str], ...]:
    """The process's annotations, then those that its modules have on top."""
    found = dict(dump.annotations)
    for module in dump.modules:
        for name, value in module.annotations:
            found.setdefault(name, value)
    return tuple(found.items())
