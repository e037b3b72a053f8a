"""HockeyApp's crash log: a block of headers, a blank line, a stack.

Two dialects of headers: the one of "API: Crashes", `Post Custom Crashes`
(Package, Version, OS, Manufacturer, Model, Date, CrashReporter Key), and the
SDKs' (Version Code, Version Name, Android, Android Build, Thread, Start Date,
Format, Product-ID, Windows, Windows Phone). The document's own example has no
blank line and no indentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from chalicelib.errors import FormatError
from chalicelib.formats.dates import read_date
from chalicelib.formats.java_stack import StackText, read_stack
from chalicelib.formats.text import decode
from chalicelib.model import AppBuild, Device, ExceptionInfo, OperatingSystem, Report, Thread

MAX_HEADER_BYTES = 8 * 1024  # HockeySDK-Android reserves 5 kB for all headers
MAX_HEADER_LINES = 64
MAX_VALUE_CHARS = 1024

_KNOWN_NAMES = (
        "Package", "Product-ID", "Version", "Version Code", "Version Name", "OS", "Android",
        "Android Build", "Windows", "Windows Phone",
        "Manufacturer", "Model", "Thread", "CrashReporter Key", "Start Date", "Date", "Format",
)  # fmt: skip
_KNOWN = {name: name for name in _KNOWN_NAMES} | {name.casefold(): name for name in _KNOWN_NAMES}
_UNKNOWN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 _/-]{0,39}", re.ASCII)
_EXCEPTION_NAME = ("Exception", "Error", "Throwable", "aused by", "message")
_APPLE_HEADERS = ("Incident Identifier:", "Hardware Model:", "Report Version:", "Date/Time:")
_STACK_LINE = re.compile(r"^[ \t]*(?:at [^\s(]{1,512} ?\(|Caused by: |#\d\d pc )", re.M | re.ASCII)
_ANDROID_PREFIXES = ("android.", "androidx.", "dalvik.", "com.android.", "mono.", "Android.")
_DOTNET_PREFIXES = ("System.", "Microsoft.", "Windows.", "Xamarin.", "Mono.")
_JAVA_PREFIXES = ("java.", "javax.", "kotlin.", "kotlinx.", "org.json.")
_JAVA_FILES = (".java", ".kt", ".scala", ".groovy")

Platform = Literal["android", "ios", "macos", "windows", "linux", "java", "dotnet", "other"]


def read_header(raw: bytes) -> Mapping[str, str]:
    """The headers of a log by name, without those whose value is empty or `null`.

    Reads at most 8 kB and 64 lines; values are cut to 1024 characters; the
    first of two headers of one name counts. Known names come in the document's
    spelling, others as they are. Bytes that are not text have no headers.
    """
    try:
        text = decode(raw[:MAX_HEADER_BYTES], MAX_HEADER_BYTES).text
    except FormatError:
        return {}
    return _split(text)[0]


def looks_like(raw: bytes) -> bool:
    """Whether this is a HockeyApp log, and not an Apple report that was posted as one."""
    try:
        return is_log(decode(raw[:MAX_HEADER_BYTES], MAX_HEADER_BYTES).text)
    except FormatError:
        return False


def is_log(text: str) -> bool:
    """The same for the beginning of a text that is decoded already."""
    if text.lstrip().startswith(("{", "<")):
        return False
    if any(mark in text for mark in _APPLE_HEADERS) and any(
        line.startswith(_APPLE_HEADERS) for line in text.split("\n")
    ):
        return False
    return "Package" in _split(text)[0] or _STACK_LINE.search(text) is not None


def parse(raw: bytes) -> Report:
    """The report in a HockeyApp log.

    `exception_type` and `reason` are the innermost cause's. Raises
    `FormatError` when the bytes are not text or hold no stack; whatever else
    cannot be read is named in `unread`.
    """
    decoded = decode(raw)
    headers, start = _split(decoded.text)
    package = headers.get("Package")
    body = decoded.text[start:]
    stack = read_stack(body, package)
    _require_stack(stack, headers, body)
    unread = [*decoded.notes, *stack.unread]
    occurred_at = None
    if date := headers.get("Date"):
        read = read_date(date)
        if read is None:
            unread.append(f"Date cannot be read: {date[:80]}")
        else:
            occurred_at = read.value
            if read.problem:
                unread.append(f"Date {date}: {read.problem}")
    platform = _platform(headers, stack)
    innermost = [entry for entry in stack.exceptions if entry.relation != "suppressed"][-1]
    return Report(
        platform=platform,
        exception_type=innermost.type,
        reason=innermost.reason,
        exceptions=stack.exceptions,
        threads=_threads(headers.get("Thread")),
        modules=stack.modules,
        device=Device(oem=headers.get("Manufacturer"), model=headers.get("Model")),
        os=_operating_system(headers, platform),
        app=AppBuild(
            package=package,
            version=headers.get("Version Code") or headers.get("Version"),
            short_version=headers.get("Version Name"),
        ),
        install_id=headers.get("CrashReporter Key"),
        occurred_at=occurred_at,
        unread=tuple(unread),
    )


def _split(text: str) -> tuple[dict[str, str], int]:
    """The headers, and where the stack begins (characters).

    No known name, no headers. The block ends at a blank line that no known
    header follows, or at a line that is no header. Of an unknown `Name: value`
    directly above a frame we believe that it is the exception's reason.
    """
    headers: dict[str, str] = {}
    lines = text.split("\n", MAX_HEADER_LINES)
    start = 0
    seen = blank = False
    for number, raw_line in enumerate(lines[:MAX_HEADER_LINES]):
        line = raw_line.strip()
        name, colon, value = line.partition(":")
        known = _KNOWN.get(name) or (len(name) < 64 and _KNOWN.get(name.strip().casefold()))
        if not line:
            blank = seen
        elif known and colon:
            seen = True
        elif blank or not colon or not _may_be_header(name, value, lines[number + 1 :]):
            break
        value = value.strip()
        if value and value != "null":
            headers.setdefault(known or name.strip(), value[:MAX_VALUE_CHARS])
        start += len(raw_line) + 1
    return (headers, start) if seen else ({}, 0)


def _may_be_header(name: str, value: str, following: Sequence[str]) -> bool:
    return (
        _UNKNOWN_NAME.fullmatch(name) is not None
        and not name.endswith(_EXCEPTION_NAME)
        and value[:1] in (" ", "\t", "")
        and not (following and following[0][:256].lstrip().startswith(("at ", "---> ")))
    )


def _require_stack(stack: StackText, headers: Mapping[str, str], body: str) -> None:
    if not headers and not body.strip():
        raise FormatError("the log is empty")
    if not stack.exceptions:
        raise FormatError("no stack after the headers")
    if any(entry.frames or entry.type for entry in stack.exceptions):
        return
    raise FormatError("no stack: no line is an exception or a frame (at CLASS.METHOD(FILE:LINE))")


def _threads(header: str | None) -> tuple[Thread, ...]:
    """The thread of the SDK's `Thread: NAME-ID`; its frames are the exception's."""
    if header is None:
        return ()
    name, dash, digits = header.rpartition("-")
    if dash and digits.isdecimal() and digits.isascii() and len(digits) <= 18:
        return (Thread(int(digits), name or None, crashed=True),)
    return (Thread(0, header, crashed=True),)


def _functions(exceptions: tuple[ExceptionInfo, ...]) -> Iterator[str]:
    for entry in exceptions:
        if entry.type:
            yield entry.type
        for frame in entry.frames:
            if frame.function:
                yield frame.function


def _platform(headers: Mapping[str, str], stack: StackText) -> Platform:
    """By the headers that only one SDK writes, else by the names in the stack."""
    system = headers.get("OS", "").casefold()
    if "Android" in headers or "Android Build" in headers or "android" in system:
        return "android"
    if "Windows" in headers or "Windows Phone" in headers or "windows" in system:
        return "windows"
    for word, platform in _SYSTEM_WORDS:
        if word in system:
            return platform
    names = list(_functions(stack.exceptions))
    if (
        stack.modules
        or headers.get("Format") == "Xamarin"
        or any(name.startswith(_ANDROID_PREFIXES) for name in names)
    ):
        return "android"
    if any(name.startswith(_DOTNET_PREFIXES) for name in names):
        return "dotnet"
    # A JVM has no manufacturer: the document's own dialect is Android's.
    if "Manufacturer" in headers:
        return "android"
    files = (frame.file or "" for entry in stack.exceptions for frame in entry.frames)
    is_java = any(name.startswith(_JAVA_PREFIXES) for name in names)
    return "java" if is_java or any(file.endswith(_JAVA_FILES) for file in files) else "other"


_SYSTEM_WORDS: tuple[tuple[str, Platform], ...] = (
    ("iphone os", "ios"),
    ("ios", "ios"),
    ("mac os", "macos"),
    ("macos", "macos"),
    ("linux", "linux"),
)


def _operating_system(headers: Mapping[str, str], platform: Platform) -> OperatingSystem:
    """Name and version; the document's `OS: 2.2` has no name, so it is the platform's."""
    for name in ("Windows Phone", "Windows", "Android"):
        if name in headers:
            return OperatingSystem(name, headers[name], headers.get("Android Build"))
    value = headers.get("OS")
    digit = next((at for at, char in enumerate(value or "") if char.isdecimal()), None)
    if value is None or digit is None:
        name_only = value or _SYSTEM_NAMES.get(platform)
        return OperatingSystem(name_only, None, headers.get("Android Build"))
    name = value[:digit].strip() or _SYSTEM_NAMES.get(platform, "") or ""
    return OperatingSystem(name or None, value[digit:], headers.get("Android Build"))


_SYSTEM_NAMES = {"android": "Android", "windows": "Windows", "ios": "iOS", "macos": "macOS"}
