"""What a crash is, once read: the typed values that cross every boundary.

A parser in `chalicelib.formats` turns bytes into a `Report`; everything behind
it (bucketing, processing, queries) knows only these values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Trust = Literal["context", "cfi", "cfi_scan", "frame_pointer", "leaf", "scan"]
"""How the caller of a frame was found: in the registers at the crash, by unwind data, by it after
a search of the stack, by the frame pointer, as the return address of a function without a frame,
or by searching the stack for what looks like a return address."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a stack, innermost first in every sequence that holds it.

    `function` is the fully qualified name as its platform writes it
    (`org.json.JSONTokener.nextValue`, `-[Foo bar:]`, `ns::Class::run()`), or
    None when there is no symbol. `line` counts from 1; `address` is absolute
    and `offset` relative to the start of `module`, both in bytes. `trust` tells
    of a frame that was unwound from a memory dump how it was found; an
    `inlined` one has no place on the stack: its function was compiled into
    that of the frame behind it.
    """

    function: str | None = None
    class_name: str | None = None
    method: str | None = None
    module: str | None = None
    file: str | None = None
    line: int | None = None
    address: int | None = None
    offset: int | None = None
    in_app: bool = False
    trust: Trust | None = None
    inlined: bool = False


@dataclass(frozen=True, slots=True)
class ExceptionInfo:
    """One exception of a chain, with the frames it was thrown through.

    `relation` tells how it hangs together with the one before it in
    `Report.exceptions`: the `thrown` one comes first, then its causes from
    outermost to innermost; a `suppressed` one belongs to the exception above.
    `frames_in_common` counts the frames left out as "... N more".
    """

    type: str | None
    reason: str | None
    frames: tuple[Frame, ...] = ()
    relation: Literal["thrown", "cause", "suppressed"] = "thrown"
    frames_in_common: int = 0


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread of the crashed process; `registers` maps a name to its value.

    `number` counts from 0, `thread_id` is what the operating system called it.
    """

    number: int
    name: str | None = None
    crashed: bool = False
    frames: tuple[Frame, ...] = ()
    registers: tuple[tuple[str, int], ...] = ()
    thread_id: int | None = None


@dataclass(frozen=True, slots=True)
class Module:
    """A binary image mapped into the process; `end` is the first address behind it.

    `debug_id` and `debug_file` name its debug information as Breakpad does: the
    build's UUID (32 hex digits, upper case) and its age in hex, and the file's
    name (`app.pdb`). Formats that know the UUID alone give that. `code_id`
    names the binary itself.
    """

    name: str
    path: str | None = None
    start: int | None = None
    end: int | None = None
    debug_id: str | None = None
    arch: str | None = None
    version: str | None = None
    debug_file: str | None = None
    code_id: str | None = None


@dataclass(frozen=True, slots=True)
class ModuleId:
    """What a module's symbols are found by, as in `Module`; `debug_id` is never empty."""

    debug_file: str
    debug_id: str


@dataclass(frozen=True, slots=True)
class Device:
    """The device the crash happened on; `jail_break` is None when not known."""

    oem: str | None = None
    model: str | None = None
    jail_break: bool | None = None


@dataclass(frozen=True, slots=True)
class OperatingSystem:
    """`distribution` is a Linux's own name for itself (`Ubuntu 22.04 LTS`)."""

    name: str | None = None
    version: str | None = None
    build: str | None = None
    distribution: str | None = None


@dataclass(frozen=True, slots=True)
class Processor:
    """`architecture` is Breakpad's word (`amd64`), `description` as vendors number their models
    (`family 6 model 42 stepping 7`), `model` their name for it; `count` of all cores."""

    architecture: str | None = None
    description: str | None = None
    model: str | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Process:
    """The process that crashed; `started_at` is aware."""

    id: int | None = None
    started_at: datetime | None = None
    command_line: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AppBuild:
    """The build that crashed: `version` is the build number or version code
    (HockeyApp's bundle_version), `short_version` the marketing version."""

    package: str | None = None
    name: str | None = None
    version: str | None = None
    short_version: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One crash of one device, read from its payload.

    `exceptions` is empty for a crash by signal that has no exception object;
    then `exception_type` and `reason` still name the signal. `occurred_at` is
    what the device claimed (aware, UTC when it gave a zone that can be read);
    `date` the canonical date where the format carries one, else None: then the
    time of receipt counts. `properties` are what else the report says of its
    crash, as (path, text): a crash without frames is told by them. `unloaded`
    are modules that the process had let go of; `assertion` says which one
    failed. `lacking` are the builds in the crashed thread for which there were
    no symbols, in the order of their frames: the report gains when symbols of
    one arrive. `unread` lists what could not be read, in plain words; the rest
    is good.
    """

    platform: Literal["android", "ios", "macos", "windows", "linux", "java", "dotnet", "other"]
    exception_type: str | None = None
    reason: str | None = None
    exceptions: tuple[ExceptionInfo, ...] = ()
    threads: tuple[Thread, ...] = ()
    modules: tuple[Module, ...] = ()
    device: Device = field(default_factory=Device)
    os: OperatingSystem = field(default_factory=OperatingSystem)
    app: AppBuild = field(default_factory=AppBuild)
    install_id: str | None = None
    user: str | None = None
    contact: str | None = None
    occurred_at: datetime | None = None
    date: datetime | None = None
    processor: Processor = field(default_factory=Processor)
    process: Process = field(default_factory=Process)
    unloaded: tuple[Module, ...] = ()
    assertion: str | None = None
    properties: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    crash_address: int | None = None
    lacking: tuple[ModuleId, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def innermost(self) -> ExceptionInfo | None:
        """The last cause of the chain: where the trouble began."""
        chain = [entry for entry in self.exceptions if entry.relation != "suppressed"]
        return chain[-1] if chain else None

    @property
    def crashed_thread(self) -> Thread | None:
        return next((thread for thread in self.threads if thread.crashed), None)

    @property
    def stack(self) -> tuple[Frame, ...]:
        """The frames that tell this crash from others, innermost first.

        The innermost cause comes first, then the causes around it; a crash
        without exceptions, or whose exceptions have no frames, is told by its
        crashed thread.
        """
        frames = tuple(
            frame
            for entry in reversed(self.exceptions)
            if entry.relation != "suppressed"
            for frame in entry.frames
        )
        if frames:
            return frames
        thread = self.crashed_thread
        return thread.frames if thread else ()
