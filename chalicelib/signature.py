"""One line that names a native crash: for people, and as omaha-server writes it."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.formats.path_names import file_name
from chalicelib.model import Frame, Report

if TYPE_CHECKING:
    from siggen.generator import SignatureGenerator

_MAX_FRAMES = 40  # siggen's own limit
_MAX_NAME = 1000  # characters of a name that are looked at; a template's can have 100,000
NO_FRAMES = "EMPTY: no frame data available"


def readable_signature(report: Report) -> str | None:
    """The signature that Mozilla's crash service would give: the frames that tell the crash
    apart, without what every crash goes through; None when the crashed thread has no frames."""
    thread = report.crashed_thread
    if thread is None or not thread.frames:
        return None
    frames = tuple(map(_told, thread.frames[:_MAX_FRAMES]))
    # The case of module names tells nothing on Windows.
    system = "Windows NT" if report.platform == "windows" else report.os.name
    return _generated(system, report.exception_type, frames)


class _Told(NamedTuple):
    """What a signature may say of a frame; an address differs from one device to the next, and
    is told only where there is nothing else."""

    module: str | None
    function: str | None
    file: str | None
    line: int | None
    module_offset: str | None
    offset: str | None


def _told(frame: Frame) -> _Told:
    return _Told(
        frame.module and frame.module[:_MAX_NAME],
        frame.function and frame.function[:_MAX_NAME],
        frame.file and frame.file[:_MAX_NAME],
        frame.line,
        None if frame.function else _hex(frame.offset),
        None if frame.function or frame.module else _hex(frame.address),
    )


@lru_cache(maxsize=2048)  # most crashes have a stack that came before
def _generated(system: str | None, reason: str | None, frames: tuple[_Told, ...]) -> str | None:
    crash = {
        "os": system,
        "reason": reason,
        "crashing_thread": 0,
        "threads": [{"frames": [frame._asdict() for frame in frames]}],
    }
    return _generator().generate(crash).signature or None


@cache
def _generator() -> SignatureGenerator:
    # Imported where used: it costs 70 ms, and only those who look at a minidump need it.
    from siggen.generator import SignatureGenerator  # noqa: PLC0415

    return SignatureGenerator()


_BLANK_BEFORE = re.compile(r" (?=[*&,])")
_COMMA_WITHOUT_BLANK = re.compile(r",(?! )")
_SEPARATORS = "/\\"


def omaha_signature(report: Report) -> str:
    """The first frame of the crash as omaha-server names it.

    Its function; else `file#line`; else `module@0xoffset`; else `@0xaddress`.
    """
    frame = next(iter(report.stack), None)
    if frame is None:
        return NO_FRAMES
    if frame.function:
        return _COMMA_WITHOUT_BLANK.sub(", ", _BLANK_BEFORE.sub("", frame.function))
    if frame.file and frame.line:
        return f"{file_name(frame.file.rstrip(_SEPARATORS))}#{frame.line}"
    if frame.module:
        return f"{frame.module}@{_hex(frame.offset) or '0x0'}"
    return f"@{_hex(frame.address) or '0x0'}"


def _hex(number: int | None) -> str | None:
    return None if number is None else f"0x{number:x}"
