"""The sections of an Apple crash report in text: which line belongs to what."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto

from chalicelib.formats.apple_bounds import (
    MAX_FRAMES,
    MAX_IMAGES,
    MAX_REASON_CHARS,
    MAX_REGISTERS,
    MAX_THREADS,
    decimal,
    hexadecimal,
)
from chalicelib.formats.apple_header import present, take_field
from chalicelib.formats.apple_images import image_row
from chalicelib.model import Module

_THREAD = re.compile(r"^Thread ([0-9]{1,10})(?: (Crashed|Highlighted))?::?(.*)$")
_THREAD_NAME = re.compile(r"^Thread ([0-9]{1,10}) name:[ \t]*(.*)$")
_THREAD_STATE = re.compile(
    r"^(?:Thread ([0-9]{1,10})|Unknown thread) crashed with .{0,80}:?[ \t]*$"
)
_QUEUE = "Dispatch queue:"
_REGISTER = re.compile(r"\b([a-z][a-z0-9_]{0,11}):[ \t]{0,8}0x([0-9a-fA-F]+)")
_BACKTRACE = re.compile(r"^Application Specific Backtrace [0-9]{1,6}:")
_MAX_MESSAGE_CHARS = 4 * MAX_REASON_CHARS
# Sections that hold nothing we read, but end the one before them.
_OTHER_SECTIONS = (
    "Application Specific Signatures:",
    "Backtrace not available",
    "Error Formulating Crash Report:",
    "External Modification Summary:",
    "Filtered syslog:",
    "Full Report",
    "Kernel Triage:",
    "VM Region",
    "EOF",
)


class _Section(Enum):
    HEADER = auto()
    MESSAGES = auto()
    EXCEPTION = auto()
    BACKTRACE = auto()
    THREAD = auto()
    STATE = auto()
    IMAGES = auto()
    OTHER = auto()


@dataclass(slots=True)
class StackRows:
    """The frame rows of one stack as written; images, which place them, come last."""

    lines: list[str] = field(default_factory=list)
    left_out: int = 0

    def add(self, line: str) -> None:
        """Keep a row, or count it when there are too many."""
        if len(self.lines) < MAX_FRAMES:
            self.lines.append(line)
        else:
            self.left_out += 1


@dataclass(slots=True)
class ThreadText:
    """A thread as written; `marked` when its heading says "Crashed"."""

    number: int
    marked: bool
    name: str | None
    rows: StackRows = field(default_factory=StackRows)


class Sections:
    """One pass over the lines, in order, sorting each into its section."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.messages: list[str] = []
        self.exception = StackRows()
        self.backtrace = StackRows()
        self.threads: list[ThreadText] = []
        self.names: dict[int, str] = {}
        self.registers: dict[str, int] = {}
        self.state_of: int | None = None
        self.images: list[Module] = []
        self.threads_left_out = self.images_left_out = 0
        self._message_chars = 0
        self._section = _Section.HEADER
        self._rows: StackRows | None = None

    def take(self, line: str) -> None:
        """Sort in the next line, without its line end."""
        if self._rows is not None and line[:1].isdigit():  # most lines of a report
            self._rows.add(line)
            return
        if self._section is _Section.IMAGES and (image := image_row(line)):
            self._add_image(image)
            return
        if line.strip() and not self._opens_section(line):
            self._continue_section(line)
        elif not line.strip() and self._section is _Section.STATE:
            self._section = _Section.OTHER

    def _opens_section(self, line: str) -> bool:
        if line.startswith("Thread ") or line.startswith("Unknown thread"):
            return self._opens_thread(line)
        if line.startswith("Application Specific Information:"):
            self._enter(_Section.MESSAGES)
            self._add_message(line.partition(":")[2].strip())
        elif line.startswith("Last Exception Backtrace:"):
            self._enter(_Section.EXCEPTION, self.exception)
            self._add_unnumbered(line.partition(":")[2])
        elif _BACKTRACE.match(line):
            # A second one is the exception's cause; the first is what was thrown last.
            spare = StackRows() if self.backtrace.lines else self.backtrace
            self._enter(_Section.BACKTRACE, spare)
        elif line.startswith("Binary Images:"):
            self._enter(_Section.IMAGES)
        elif line.startswith(_OTHER_SECTIONS):
            self._enter(_Section.OTHER)
        else:
            return False
        return True

    def _enter(self, section: _Section, rows: StackRows | None = None) -> None:
        self._section = section
        self._rows = rows

    def _opens_thread(self, line: str) -> bool:
        name = _THREAD_NAME.match(line)
        if name:
            if len(self.names) < MAX_THREADS:
                self.names[int(name[1])] = _thread_name(name[2]) or ""
            return True
        header = _THREAD.match(line)
        if header:
            thread = ThreadText(int(header[1]), header[2] == "Crashed", _thread_name(header[3]))
            self._enter(_Section.THREAD, thread.rows)
            self._add_thread(thread)
            return True
        state = _THREAD_STATE.match(line)
        if state:
            self._enter(_Section.STATE)
            self.state_of = int(state[1]) if state[1] else None
            return True
        return False

    def _add_thread(self, thread: ThreadText) -> None:
        if len(self.threads) < MAX_THREADS:
            self.threads.append(thread)
            return
        self.threads_left_out += 1
        if thread.marked or thread.number == self.claimed_thread:
            self.threads[-1] = thread  # the one thread no report may lose

    def _add_image(self, image: Module) -> None:
        if len(self.images) < MAX_IMAGES:
            self.images.append(image)
        else:
            self.images_left_out += 1

    def _continue_section(self, line: str) -> None:
        if self._section is _Section.MESSAGES:
            self._add_message(line)
        elif self._rows is not None:
            self._add_unnumbered(line)
        elif self._section is _Section.STATE:
            self._add_registers(line)
        elif self._section in (_Section.HEADER, _Section.OTHER) and not self.images:
            take_field(line, self.fields)

    def _add_message(self, line: str) -> None:
        if self._message_chars < _MAX_MESSAGE_CHARS:
            self.messages.append(line[:_MAX_MESSAGE_CHARS])
            self._message_chars += len(line) + 1

    def _add_unnumbered(self, line: str) -> None:
        """A row behind blanks, or addresses in brackets ("(0x1 0x2)") for a whole stack."""
        text = line.strip()
        if self._rows is not None and (text[:1].isdigit() or text.startswith("(0x")):
            self._rows.add(text)

    def _add_registers(self, line: str) -> None:
        for name, digits in _REGISTER.findall(line):
            value = hexadecimal(digits)
            if value is not None and len(self.registers) < MAX_REGISTERS:
                self.registers[name] = value

    @property
    def claimed_thread(self) -> int | None:
        """The number of the crashed thread, as the header gives it."""
        text = self.fields.get("crashed thread") or self.fields.get("triggered by thread") or ""
        return decimal(text.split()[0]) if text else None


def _thread_name(text: str) -> str | None:
    """The thread's name, else the label of the queue it served."""
    name, _, queue = text.partition(_QUEUE)
    return present(name) or present(queue)
