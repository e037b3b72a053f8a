"""Apple crash reports as JSON: the `.ips` files of iOS 15, macOS 12 and later (bug_type 309).

One line of JSON about the report, then a JSON object that is the report, as
Apple's "Interpreting the JSON format of a crash report" describes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from chalicelib.errors import FormatError
from chalicelib.formats.apple_bounds import (
    MAX_FRAMES,
    MAX_IMAGES,
    MAX_NAME_CHARS,
    MAX_REASON_CHARS,
    MAX_REGISTERS,
    MAX_THREADS,
    Notes,
    unsigned,
)
from chalicelib.formats.apple_crashed_thread import crashed_index
from chalicelib.formats.apple_exceptions import fatal_message, uncaught_exception
from chalicelib.formats.apple_frame_rows import FrameRows
from chalicelib.formats.apple_header import moment, operating_system, platform
from chalicelib.formats.apple_images import Images, Ownership, debug_id
from chalicelib.formats.apple_symbols import class_and_method
from chalicelib.formats.bounded_json import read_object
from chalicelib.formats.text import decode
from chalicelib.model import (
    AppBuild,
    Device,
    ExceptionInfo,
    Frame,
    Module,
    OperatingSystem,
    Report,
    Thread,
)

CRASH = "309"  # Apple's bug_type of a crash report
_NO_NAME = "???"
_MAX_LINE = 10**9
_MAX_MESSAGES = 256
_OBJECT = re.compile(r"^[ \t]{0,64}\{", re.MULTILINE)
_EMPTY_CODES = re.compile(r"^[0x, ]*$")
# What makes an object a crash report even when its threads are missing.
_CRASH_KEYS = frozenset({"threads", "exception", "lastExceptionBacktrace", "faultingThread"})

_Object = Mapping[str, object]


def parse(raw: bytes) -> Report:
    """One `.ips` crash report, as far as it can be read.

    The header line may be missing or part of the one object; fields may be
    missing or of the wrong type; what follows the report is ignored. At most
    1,024 threads of 512 frames and 4,096 images are kept. An uncaught
    exception gives one `ExceptionInfo`, a signal none.

    Raises `FormatError` for what is not JSON or is nested or numerous beyond
    bounds, and for reports of another bug_type, naming it.
    """
    decoded = decode(raw)
    notes = Notes(decoded.notes)
    header, body = _documents(decoded.text)
    return _Reader(header, body, notes).report()


def _documents(text: str) -> tuple[_Object, _Object]:
    """The object about the report, and the report."""
    begin = _OBJECT.search(text)
    if not begin:
        raise FormatError("not an .ips report: no line begins a JSON object")
    first, end = read_object(text, begin.end() - 1)
    if not _CRASH_KEYS.isdisjoint(first):
        return first, first
    second = text.find("{", end)
    if second >= 0:
        body, _ = read_object(text, second)
        if not _CRASH_KEYS.isdisjoint(body):
            return first, body
    bug_type = _scalar(first.get("bug_type"))
    if bug_type == CRASH:
        raise FormatError("the crash report behind the header is missing", "line 2")
    raise FormatError(f"bug_type {bug_type or 'missing'}: not a crash report, no threads in it")


def _text(value: object, limit: int = MAX_NAME_CHARS) -> str | None:
    if not isinstance(value, str):
        return None
    if not value.isascii():
        # JSON can spell half of a surrogate pair, which no encoding takes later on.
        value = value.encode("utf-8", "replace").decode("utf-8")
    return value.strip()[:limit] or None


def _scalar(value: object) -> str | None:
    """A string, or an integer as one: Apple writes bug_type and versions as either."""
    number = unsigned(value)
    return str(number) if number is not None else _text(value)


def _object(value: object) -> _Object:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


class _Reader:
    """Reads one report; every part of it may be missing or of the wrong type."""

    def __init__(self, header: _Object, body: _Object, notes: Notes) -> None:
        self._header = header
        self._body = body
        self._notes = notes
        self._process = _text(body.get("procName")) or _text(header.get("app_name"))
        self._path = _text(body.get("procPath"))
        self._app = self._app_build()
        used = _list(body.get("usedImages"))
        if len(used) > MAX_IMAGES:
            notes.add(f"{len(used) - MAX_IMAGES} binary images beyond {MAX_IMAGES} were left out")
        # Frames name images by index, so each keeps its place.
        self._modules = [_module(_object(image)) for image in used[:MAX_IMAGES]]
        self._ownership = Ownership(self._process, self._path, self._app.package)

    def report(self) -> Report:
        system = self._operating_system()
        hardware = _text(self._body.get("modelCode"))
        exception = self._exception()
        paths = [self._path or "", *(module.path or "" for module in self._modules)]
        when = _text(self._body.get("captureTime")) or _text(self._header.get("timestamp"))
        return Report(
            platform=platform(system.name, hardware, paths),
            exception_type=(exception and exception.type) or self._signal(),
            reason=(exception and exception.reason) or self._reason(),
            exceptions=(exception,) if exception else (),
            threads=self._threads(),
            modules=tuple(self._modules),
            device=Device(oem="Apple", model=hardware),
            os=system,
            app=self._app,
            install_id=_text(self._body.get("crashReporterKey")),
            occurred_at=moment(when, self._notes),
            unread=self._notes.texts,
        )

    def _app_build(self) -> AppBuild:
        bundle = _object(self._body.get("bundleInfo"))
        header = self._header
        return AppBuild(
            package=_text(bundle.get("CFBundleIdentifier")) or _text(header.get("bundleID")),
            name=self._process,
            version=_scalar(bundle.get("CFBundleVersion")) or _scalar(header.get("build_version")),
            short_version=_scalar(bundle.get("CFBundleShortVersionString"))
            or _scalar(header.get("app_version")),
        )

    def _operating_system(self) -> OperatingSystem:
        own = _object(self._body.get("osVersion"))
        train = _text(own.get("train"))
        if not train:
            return operating_system(_text(self._header.get("os_version")))
        system = operating_system(train)
        return replace(system, build=_text(own.get("build")) or system.build)

    def _signal(self) -> str | None:
        exception = _object(self._body.get("exception"))
        mach, signal = _text(exception.get("type")), _text(exception.get("signal"))
        return f"{mach} ({signal})" if mach and signal else mach or signal

    def _messages(self) -> str:
        """The application specific information of all images, in one text."""
        lists = [_list(texts) for texts in _object(self._body.get("asi")).values()]
        texts = [_text(text, MAX_REASON_CHARS) for texts in lists for text in texts[:_MAX_MESSAGES]]
        return "\n".join([text for text in texts if text][:_MAX_MESSAGES])

    def _exception(self) -> ExceptionInfo | None:
        frames = self._frames(self._body.get("lastExceptionBacktrace"), "the exception backtrace")
        named = _object(self._body.get("exceptionReason"))
        name, composed = _text(named.get("name")), _text(named.get("composed_message"))
        uncaught = uncaught_exception(self._messages())
        kind = name or (uncaught.type if uncaught else None)
        reason = composed or (uncaught.reason if uncaught else None)
        frames = frames or self._written_backtrace()
        if not (kind or frames):
            return None
        return ExceptionInfo(type=kind, reason=reason, frames=frames)

    def _written_backtrace(self) -> tuple[Frame, ...]:
        """The first of `asiBacktraces`: frame rows as text."""
        first = next(iter(_list(self._body.get("asiBacktraces"))), None)
        if not isinstance(first, str):
            return ()
        rows = FrameRows(Images(self._modules), self._ownership)
        lines = (_text(line) for line in first.split("\n", MAX_FRAMES)[:MAX_FRAMES])
        return tuple(frame for line in lines if line and (frame := rows.frame(line)))

    def _reason(self) -> str | None:
        """Why a process died of a signal: the runtime's own words, else the codes."""
        exception = _object(self._body.get("exception"))
        told = fatal_message(self._messages()) or _text(exception.get("subtype"))
        codes = _text(exception.get("codes"))
        if told or (codes and not _EMPTY_CODES.match(codes)):
            return told or codes
        return _text(exception.get("message")) or self._termination() or codes

    def _termination(self) -> str | None:
        termination = _object(self._body.get("termination"))
        code = unsigned(termination.get("code"))
        space = _text(termination.get("namespace"))
        head = f"Namespace {space}, Code {code:#x}" if space and code is not None else space
        details = [_text(text, 500) for text in _list(termination.get("details"))[:4]]
        return ", ".join(
            part for part in (head, _text(termination.get("indicator")), *details) if part
        )

    def _threads(self) -> tuple[Thread, ...]:
        listed = _list(self._body.get("threads"))
        entries = [(number, _object(entry)) for number, entry in enumerate(listed[:MAX_THREADS])]
        claimed = unsigned(self._body.get("faultingThread"))
        if len(listed) > MAX_THREADS:
            self._notes.add(f"{len(listed) - MAX_THREADS} threads beyond {MAX_THREADS} left out")
            if claimed is not None and MAX_THREADS <= claimed < len(listed):
                # The one thread no report may lose.
                entries[-1] = (claimed, _object(listed[claimed]))
        numbers = [number for number, _ in entries]
        marked = (i for i, (_, entry) in enumerate(entries) if entry.get("triggered") is True)
        crashed = crashed_index(numbers, next(marked, None), claimed, self._notes)
        return tuple(
            Thread(
                number=number,
                name=_text(entry.get("name")) or _text(entry.get("queue")),
                crashed=index == crashed,
                frames=self._frames(entry.get("frames"), f"thread {number}"),
                registers=tuple(_registers(_object(entry.get("threadState")))),
            )
            for index, (number, entry) in enumerate(entries)
        )

    def _frames(self, value: object, where: str) -> tuple[Frame, ...]:
        listed = _list(value)
        if len(listed) > MAX_FRAMES:
            left_out = len(listed) - MAX_FRAMES
            self._notes.add(f"{left_out} frames of {where} beyond {MAX_FRAMES} were left out")
        entries = [entry for entry in listed[:MAX_FRAMES] if isinstance(entry, dict)]
        if len(entries) < min(len(listed), MAX_FRAMES):
            self._notes.add(f"some entries of {where} are not stack frames")
        return tuple(self._frame(entry) for entry in entries)

    def _frame(self, entry: _Object) -> Frame:
        index, offset = unsigned(entry.get("imageIndex")), unsigned(entry.get("imageOffset"))
        known = index is not None and index < len(self._modules)
        module = self._modules[index] if known and index is not None else None
        start = module.start if module else None
        function = _text(entry.get("symbol"))
        class_name, method = class_and_method(function) if function else (None, None)
        file = _text(entry.get("sourceFile"))
        line = unsigned(entry.get("sourceLine"))
        return Frame(
            function=function,
            class_name=class_name,
            method=method,
            module=module.name if module else None,
            file=None if file and file.endswith("<compiler-generated>") else file,
            line=line if line and line < _MAX_LINE else None,
            address=None if start is None or offset is None else unsigned(start + offset),
            offset=offset,
            in_app=module is not None and self._ownership.owns(module.name, module),
        )


def _module(image: _Object) -> Module:
    start, size = unsigned(image.get("base")), unsigned(image.get("size"))
    path = _text(image.get("path"))
    name = _text(image.get("name")) or (path.rpartition("/")[2] if path else None)
    short = _scalar(image.get("CFBundleShortVersionString"))
    build = _scalar(image.get("CFBundleVersion"))
    return Module(
        name=name or _NO_NAME,
        path=path,
        start=start,
        end=start + size if start is not None and size else None,
        debug_id=debug_id(_text(image.get("uuid")) or ""),
        arch=_text(image.get("arch")),
        version=f"{short} ({build})" if short and build else short or build,
    )


def _registers(state: _Object) -> Iterable[tuple[str, int]]:
    """Names and values of a `threadState`; arm64 has "x" as a list of x0, x1, ..."""
    left = MAX_REGISTERS
    for name, held in state.items():
        several = isinstance(held, list)
        for index, entry in enumerate(held[:left] if isinstance(held, list) else [held]):
            value = unsigned(_object(entry).get("value"))
            if value is not None and left:
                left -= 1
                yield (f"{name[:32]}{index}" if several else name[:32]), value
