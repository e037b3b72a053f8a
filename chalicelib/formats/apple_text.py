"""Apple crash reports as text: what ReportCrash wrote and PLCrashReporter writes (version 104).

The form is described in Apple's Technical Note TN2151; PLCrashReporter's is
that of its PLCrashReportTextFormatter. `.ips` files of iOS 10 to 14 (a line of
JSON, then this text) and Console's translation of newer ones are read too.
"""

from __future__ import annotations

import re

from chalicelib.errors import FormatError
from chalicelib.formats.apple_bounds import MAX_FRAMES, MAX_IMAGES, MAX_THREADS, Notes
from chalicelib.formats.apple_crashed_thread import crashed_index
from chalicelib.formats.apple_exceptions import fatal_message, uncaught_exception
from chalicelib.formats.apple_frame_rows import FrameRows
from chalicelib.formats.apple_header import (
    app_build,
    moment,
    operating_system,
    platform,
    process_name,
)
from chalicelib.formats.apple_images import Images, Ownership
from chalicelib.formats.apple_sections import Sections, StackRows
from chalicelib.formats.text import decode
from chalicelib.model import Device, ExceptionInfo, Frame, Report, Thread

_EMPTY_CODES = re.compile(r"^[0x, ]*$")
_OWN_FIELDS = frozenset(
    {"incident identifier", "process", "exception type", "report version", "hardware model"}
)


def parse(raw: bytes) -> Report:
    """One Apple text crash report, as far as it can be read.

    An uncaught exception gives one `ExceptionInfo` with the frames of its own
    backtrace; a signal gives none, and `reason` is what the exception codes
    say. At most 1,024 threads of 512 frames and 4,096 images are kept.

    Raises `FormatError` for bytes that hold neither a thread nor any field of
    such a report.
    """
    decoded = decode(raw)
    sections = Sections()
    for line in decoded.text.split("\n"):
        sections.take(line)
    if not sections.threads and _OWN_FIELDS.isdisjoint(sections.fields):
        raise FormatError("not an Apple crash report: no thread and no known field")
    return _report(sections, Notes(decoded.notes))


def _report(sections: Sections, notes: Notes) -> Report:
    fields = sections.fields
    images = Images(sections.images)
    ownership = Ownership(process_name(fields), fields.get("path"), fields.get("identifier"))
    stacks = _Stacks(FrameRows(images, ownership), notes)
    exception = _exception(sections, stacks)
    if sections.images_left_out:
        notes.add(f"{sections.images_left_out} binary images beyond {MAX_IMAGES} were left out")
    system = operating_system(fields.get("os version") or fields.get("os"))
    hardware = fields.get("hardware model") or fields.get("model")
    paths = [fields.get("path", ""), *(image.path or "" for image in images.modules)]
    return Report(
        platform=platform(system.name, hardware, paths),
        exception_type=(exception and exception.type) or fields.get("exception type"),
        reason=(exception and exception.reason) or _reason(sections),
        exceptions=(exception,) if exception else (),
        threads=_threads(sections, stacks, notes),
        modules=images.modules,
        device=Device(oem="Apple", model=hardware),
        os=system,
        app=app_build(fields),
        install_id=fields.get("crashreporter key") or fields.get("anonymous uuid"),
        occurred_at=moment(fields.get("date/time"), notes),
        unread=notes.texts,
    )


class _Stacks:
    """Turns the rows of a stack into frames, noting what it cannot read."""

    def __init__(self, rows: FrameRows, notes: Notes) -> None:
        self._rows = rows
        self._notes = notes

    def read(self, stack: StackRows, where: str) -> tuple[Frame, ...]:
        frames: list[Frame] = []
        damaged = 0
        for line in stack.lines:
            if line.startswith("("):
                frames += self._rows.listed(line, MAX_FRAMES - len(frames))
            elif frame := self._rows.frame(line):
                frames.append(frame)
            else:
                damaged += 1
        if damaged:
            self._notes.add(f"{damaged} rows of {where} are not stack frames")
        if stack.left_out:
            self._notes.add(f"{stack.left_out} frames of {where} beyond {MAX_FRAMES} were left out")
        return tuple(frames[:MAX_FRAMES])


def _exception(sections: Sections, stacks: _Stacks) -> ExceptionInfo | None:
    """The exception nobody caught: told by the messages, by a backtrace of its own, or both."""
    frames = stacks.read(sections.exception, "the last exception backtrace") or stacks.read(
        sections.backtrace, "the application specific backtrace"
    )
    uncaught = uncaught_exception("\n".join(sections.messages))
    if not uncaught:
        return ExceptionInfo(type=None, reason=None, frames=frames) if frames else None
    return ExceptionInfo(type=uncaught.type, reason=uncaught.reason, frames=frames)


def _reason(sections: Sections) -> str | None:
    """Why a process died of a signal: the runtime's own words, else the codes."""
    fields = sections.fields
    fatal = fatal_message("\n".join(sections.messages))
    if fatal:
        return fatal
    codes = fields.get("exception subtype") or fields.get("exception codes") or ""
    if not _EMPTY_CODES.match(codes):
        return codes
    return fields.get("exception message") or fields.get("termination reason") or codes or None


def _threads(sections: Sections, stacks: _Stacks, notes: Notes) -> tuple[Thread, ...]:
    if sections.threads_left_out:
        notes.add(f"{sections.threads_left_out} threads beyond {MAX_THREADS} were left out")
    texts = sections.threads
    marked = next((index for index, text in enumerate(texts) if text.marked), None)
    crashed = crashed_index([text.number for text in texts], marked, sections.claimed_thread, notes)
    return tuple(
        Thread(
            number=text.number,
            name=text.name or sections.names.get(text.number),
            crashed=index == crashed,
            frames=stacks.read(text.rows, f"thread {text.number}"),
            registers=_registers(sections, text.number) if index == crashed else (),
        )
        for index, text in enumerate(texts)
    )


def _registers(sections: Sections, number: int) -> tuple[tuple[str, int], ...]:
    """The registers, unless the report says that they are another thread's."""
    return tuple(sections.registers.items()) if sections.state_of in {None, number} else ()
