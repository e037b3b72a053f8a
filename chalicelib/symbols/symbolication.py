"""Names for the frames of reports that came as text.

Apple's reports, and native frames in Android's logs, have places in modules
without names; a Java program that went through ProGuard or R8 has names that
its mapping turns back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from chalicelib.formats.apple_symbols import class_and_method
from chalicelib.formats.in_app import is_app_code
from chalicelib.formats.minidump.symbol_source import Location, NoSymbols, SymbolSource
from chalicelib.model import AppBuild, ExceptionInfo, Frame, Module, ModuleId, Report, Thread
from chalicelib.symbols.debug_file import debug_id_of_build
from chalicelib.symbols.mapping import Mapping
from chalicelib.symbols.proguard import R8_SOURCE_FILE

_MAX_FRAMES = 4000  # of a report that are looked up; the longest seen has 2,000
_OBFUSCATED = frozenset({"android", "java"})


class ReportSymbols(SymbolSource, Protocol):
    """The symbols that an app may use, and the mappings of its versions."""

    def mapping(self, build: AppBuild, ids: Iterable[str] = ()) -> Mapping | None:
        """The mapping with one of these ids, else that of the version."""
        ...


class NoReportSymbols(NoSymbols):
    """Has neither symbols nor mappings."""

    def mapping(self, build: AppBuild, ids: Iterable[str] = ()) -> Mapping | None:  # noqa: ARG002
        return None


def symbolicate(report: Report, source: ReportSymbols) -> Report:
    """The report with the names, files and lines that symbols and mappings give its frames.

    The modules of its stack that lack symbols are in `lacking`. A frame that
    several functions were compiled into becomes several, innermost first.
    """
    if report.platform in _OBFUSCATED:
        report = _deobfuscated(report, source)
    return _Native(report, source).symbolicated()


# --- modules -------------------------------------------------------------


class _Native:
    """Looks up the places in modules of one report."""

    def __init__(self, report: Report, source: SymbolSource) -> None:
        self._report = report
        self._source = source
        self._modules = {module.name: module for module in report.modules if module.debug_id}
        self._lacking: dict[ModuleId, None] = {}
        self._left = _MAX_FRAMES

    def symbolicated(self) -> Report:
        if not self._modules:
            return self._report
        report = self._report
        # Unwinders of Apple's print return addresses, which lie behind the call they belong to;
        # Android's takes that back by itself.
        back = 1 if report.platform in {"ios", "macos"} else 0
        told_by_thread = not any(e.frames for e in report.exceptions if e.relation != "suppressed")
        exceptions = tuple(
            replace(entry, frames=self._frames(entry.frames, back, entry.relation != "suppressed"))
            for entry in report.exceptions
        )
        threads = tuple(
            replace(thread, frames=self._thread(thread, back, thread.crashed and told_by_thread))
            for thread in report.threads
        )
        return replace(report, exceptions=exceptions, threads=threads, lacking=tuple(self._lacking))

    def _thread(self, thread: Thread, back: int, is_own: bool) -> tuple[Frame, ...]:
        """The first frame of a thread is where it stood, not where a call returns to."""
        top, rest = thread.frames[:1], thread.frames[1:]
        return self._frames(top, 0, is_own) + self._frames(rest, back, is_own)

    def _frames(self, frames: Sequence[Frame], back: int, is_own: bool) -> tuple[Frame, ...]:
        result: list[Frame] = []
        for frame in frames:
            result.extend(self._named(frame, back, is_own))
        return tuple(result)

    def _named(self, frame: Frame, back: int, is_own: bool) -> Sequence[Frame]:
        """`is_own`: the frame is one of those that tell this crash from others."""
        module = self._modules.get(frame.module or "")
        if module is None or frame.offset is None or not _gains(frame) or self._left <= 0:
            return (frame,)
        self._left -= 1
        found = _module_id(module, self._report.platform)
        symbols = self._source.module(found.debug_file, found.debug_id)
        if symbols is None:
            if is_own:
                self._lacking[found] = None
            return (frame,)
        locations = symbols.locate(max(frame.offset - back, 0))
        last = len(locations) - 1
        return [
            _at(frame, location, inlined=place < last) for place, location in enumerate(locations)
        ] or (frame,)


def _gains(frame: Frame) -> bool:
    """What a device says of its app's own code is the next name that was not stripped."""
    return frame.function is None or (frame.in_app and frame.line is None)


def _module_id(module: Module, platform: str) -> ModuleId:
    found = module.debug_id or ""
    if platform in _OBFUSCATED:  # debuggerd prints the ELF note
        found = debug_id_of_build(found)
    return ModuleId(module.debug_file or module.name, found)


def _at(frame: Frame, location: Location, *, inlined: bool) -> Frame:
    class_name, method = class_and_method(location.function)
    return replace(
        frame,
        function=location.function,
        class_name=class_name,
        method=method,
        file=location.file or frame.file,
        line=location.line,
        inlined=inlined,
    )


# --- mappings ------------------------------------------------------------


def _deobfuscated(report: Report, source: ReportSymbols) -> Report:
    mapping = source.mapping(report.app, dict.fromkeys(_named_mappings(report)))
    if mapping is None:
        return report
    package = report.app.package
    kind = report.exception_type
    return replace(
        report,
        exception_type=mapping.original_class(kind) or kind if kind else kind,
        exceptions=tuple(_original(entry, mapping, package) for entry in report.exceptions),
        threads=tuple(
            replace(thread, frames=_originals(thread.frames, mapping, package))
            for thread in report.threads
        ),
    )


def _named_mappings(report: Report) -> Iterator[str]:
    """The ids that R8 wrote into the frames in the place of source files."""
    for entry in report.exceptions:
        for frame in entry.frames:
            if frame.file and frame.file.startswith(R8_SOURCE_FILE):
                yield frame.file.removeprefix(R8_SOURCE_FILE)


def _original(entry: ExceptionInfo, mapping: Mapping, package: str | None) -> ExceptionInfo:
    kind = entry.type
    return replace(
        entry,
        type=mapping.original_class(kind) or kind if kind else kind,
        frames=_originals(entry.frames, mapping, package),
    )


def _originals(frames: Sequence[Frame], mapping: Mapping, package: str | None) -> tuple[Frame, ...]:
    result: list[Frame] = []
    for frame in frames:
        result.extend(_original_frames(frame, mapping, package))
    return tuple(result)


def _original_frames(frame: Frame, mapping: Mapping, package: str | None) -> Iterator[Frame]:
    if not (frame.class_name and frame.method):
        yield frame
        return
    found = mapping.original_frames(frame.class_name, frame.method, frame.line)
    for place, entry in enumerate(found):
        name = f"{entry.class_name}.{entry.method}"
        yield replace(
            frame,
            function=name,
            class_name=entry.class_name,
            method=entry.method,
            file=entry.file or _source_file(entry.class_name),
            line=entry.line if entry.line is not None or len(found) > 1 else frame.line,
            in_app=is_app_code(name, package),
            inlined=place < len(found) - 1,
        )
    if not found:
        original = mapping.original_class(frame.class_name)
        if original is None:
            yield frame
            return
        name = f"{original}.{frame.method}"
        in_app = is_app_code(name, package)
        yield replace(frame, function=name, class_name=original, in_app=in_app)


def _source_file(class_name: str) -> str:
    """What ReTrace writes where a mapping has no source files: that of the outermost class."""
    return f"{class_name.rpartition('.')[2].partition('$')[0]}.java"
