"""A report with all its threads, modules and registers, as JSON.

The shape is that of rust-minidump's stackwalker (`json-schema.md` of
minidump-processor), which Socorro and its tools read, also for reports that
were no minidump: what a report does not know is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chalicelib.model import ExceptionInfo, Frame, Module, Report, Thread


def as_json(report: Report) -> dict[str, Any]:
    """The whole report; addresses are `0x` and hex digits."""
    lacking = {module.debug_id for module in report.lacking}
    crashed = next((at for at, thread in enumerate(report.threads) if thread.crashed), None)
    return {
        "status": "OK",
        "crash_info": {
            "type": report.exception_type,
            "address": _hex(report.crash_address),
            "reason": report.reason,
            "assertion": report.assertion,
            "crashing_thread": crashed,
        },
        "pid": report.process.id,
        "process_create_time": _iso(report.process.started_at),
        "crash_time": _iso(report.occurred_at),
        "command_line": list(report.process.command_line),
        "system_info": {
            "os": report.os.name,
            "os_ver": report.os.version,
            "os_build": report.os.build,
            "distribution": report.os.distribution,
            "cpu_arch": report.processor.architecture,
            "cpu_info": report.processor.description,
            "cpu_model": report.processor.model,
            "cpu_count": report.processor.count,
            "platform": report.platform,
            "device": report.device.model,
        },
        "exceptions": [_exception(entry) for entry in report.exceptions],
        "threads": [_thread(thread) for thread in report.threads],
        "modules": [_module(module, lacking) for module in report.modules],
        "unloaded_modules": [_unloaded(module) for module in report.unloaded],
        "annotations": dict(report.annotations),
        "unread": list(report.unread),
    }


def _exception(entry: ExceptionInfo) -> dict[str, Any]:
    return {
        "type": entry.type,
        "reason": entry.reason,
        "relation": entry.relation,
        "frames": _frames(entry.frames),
        "frames_in_common": entry.frames_in_common,
    }


def _thread(thread: Thread) -> dict[str, Any]:
    return {
        "number": thread.number,
        "thread_id": thread.thread_id,
        "thread_name": thread.name,
        "crashed": thread.crashed,
        "registers": {name: _hex(value) for name, value in thread.registers},
        "frames": _frames(thread.frames),
    }


def _frames(frames: Sequence[Frame]) -> list[dict[str, Any]]:
    """The frames on the stack, each with the functions that were compiled into it as `inlines`."""
    physical: list[dict[str, Any]] = []
    inlined: list[dict[str, Any]] = []
    for frame in frames:
        if frame.inlined:
            inlined.append({"function": frame.function, "file": frame.file, "line": frame.line})
            continue
        physical.append({
            "frame": len(physical),
            "module": frame.module,
            "function": frame.function,
            "file": frame.file,
            "line": frame.line,
            "offset": _hex(frame.address),
            "module_offset": _hex(frame.offset),
            "trust": frame.trust,
            "in_app": frame.in_app,
            "inlines": inlined or None,
        })  # fmt: skip
        inlined = []
    return physical


def _module(module: Module, lacking: set[str]) -> dict[str, Any]:
    return {
        "filename": module.name,
        "path": module.path,
        "base_addr": _hex(module.start),
        "end_addr": _hex(module.end),
        "code_id": module.code_id,
        "debug_file": module.debug_file,
        "debug_id": module.debug_id,
        "version": module.version,
        "arch": module.arch,
        "missing_symbols": module.debug_id in lacking,
    }


def _unloaded(module: Module) -> dict[str, Any]:
    return {
        "filename": module.name,
        "path": module.path,
        "base_addr": _hex(module.start),
        "end_addr": _hex(module.end),
        "code_id": module.code_id,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _hex(number: int | None) -> str | None:
    return None if number is None else f"{number:#x}"
