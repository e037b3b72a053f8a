"""Reports in PartyCrasher's data format: one JSON object a crash.

The document is the *PartyCrasher Data Format*. What it demands is checked at
the door (`partycrasher_rules`); here whatever is there is read, and what is
of an unexpected type is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

from chalicelib.errors import FormatError
from chalicelib.formats import bounded_json
from chalicelib.formats.in_app import is_app_code, is_native_app_code
from chalicelib.formats.partycrasher_cause import read_cause
from chalicelib.formats.partycrasher_rules import read_date, without_generated
from chalicelib.model import AppBuild, Device, Frame, OperatingSystem, Report, Thread

Platform: TypeAlias = Literal["android", "ios", "macos", "windows", "linux", "java", "other"]

MAX_FRAMES = 1000  # of one thread: a stack overflow's are cut; its beginning tells it
MAX_THREADS = 500
MAX_PROPERTIES = 300  # a Launchpad report has about 30
MAX_VALUE_CHARS = 4000
MAX_PROPERTY_CHARS = 40_000  # of all together: they are stored with the stack, in at most 400 kB
_MAX_PATH_CHARS = 200
_MAX_NAME_CHARS = 1000  # of a function: C++ templates are long
_MAX_VERSION_CHARS = 200  # it stands in a key

# Lower addresses are no place where a library is loaded, so they count from its beginning.
_LOWEST_LOAD_ADDRESS = 0x400000
_MAX_ADDRESS = 2**64 - 1
_FILE_AND_LINE = re.compile(r"(?P<file>.+?):(?P<line>\d{1,9})(?::\d{1,9})?", re.DOTALL)

# What says who a report is, where it happened or when, and nothing of its cause. A report without
# frames is compared by what is left. Names in lower case; Apport's stand among them.
_IDENTITY = frozenset({
    "database_id", "project", "force_bucket", "stacktrace", "threads", "type", "product",
    "uuid", "id", "pid", "uid", "user", "username", "email", "contact", "install_id", "hostname",
    "crashcounter", "tags", "markforupload", "url", "ip",
})  # fmt: skip
_ENVIRONMENT = frozenset({
    "os", "os_version", "os_name", "platform", "cpu", "arch", "architecture", "locale", "language",
    "version", "app_version", "build", "build_id", "oem", "manufacturer", "model", "device", "ram",
    "uname", "procenviron", "usergroups", "installationmedia", "upgradestatus", "apportversion",
    "nonfreekernelmodules", "distrorelease", "package", "packagearchitecture", "procmaps",
    "procstatus", "dependencies", "xsessionerrors", "currentdesktop", "procattrcurrent",
    "proccpuinfo", "kernel", "lsb_release", "depth", "timezone",
})  # fmt: skip
_DATE_NAME = re.compile(r"(?:^|[_.])(?:date|time|timestamp|created|uptime)(?:$|[_.])|date$")
_DATE_VALUE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?")

_PLATFORMS: tuple[tuple[re.Pattern[str], Platform], ...] = (
    (re.compile(r"android"), "android"),
    (re.compile(r"\b(?:ios|ipados|iphone|ipad)\b"), "ios"),
    (re.compile(r"mac ?os|os ?x\b|darwin"), "macos"),
    (re.compile(r"windows|\bwin(?:32|64|nt)\b"), "windows"),
    (re.compile(r"linux|ubuntu|debian|fedora|suse|red ?hat|rhel|centos|gentoo|mint\b"), "linux"),
)
_VERSION = re.compile(r"\d[\w.+~:-]*")


def read_object(raw: bytes) -> dict[str, Any]:
    """The posted report as it came; raises `FormatError` for anything but one JSON object."""
    posted = bounded_json.read_exactly(raw)
    if not isinstance(posted, dict):
        raise FormatError("a report must be a JSON object")
    return posted


def parse(raw: bytes) -> Report:
    """The crash that a posted report tells. Raises `FormatError` for what is no JSON object."""
    posted = without_generated(read_object(raw))
    cause = read_cause(posted)
    unread: list[str] = []
    frames = _frames(posted.get("stacktrace"), unread)
    threads = (Thread(0, crashed=True, frames=frames), *_other_threads(posted.get("threads")))
    platform = _platform(posted)
    if platform in {"other", "linux"} and _looks_like_java(frames, cause.type):
        platform = "java"
    return Report(
        platform=platform,
        exception_type=_clean(cause.type),
        reason=_clean(cause.reason),
        threads=threads,
        device=Device(oem=_text(posted, "oem", "manufacturer"), model=_text(posted, "model")),
        os=_operating_system(posted),
        app=_build(posted),
        date=_date(posted.get("date")),
        properties=_properties(posted, cause.told_by, unread),
        unread=tuple(unread),
    )


# --- frames ----------------------------------------------------------------


def _frames(listed: object, unread: list[str]) -> tuple[Frame, ...]:
    if not isinstance(listed, list):
        return ()
    if len(listed) > MAX_FRAMES:
        unread.append(f"only the first {MAX_FRAMES} of {len(listed)} frames were read")
    return tuple(_frame(entry) for entry in listed[:MAX_FRAMES] if isinstance(entry, dict))


def _frame(posted: Mapping[str, Any]) -> Frame:
    function = _text(posted, "function", limit=_MAX_NAME_CHARS)
    module = _text(posted, "dylib", "module")
    file, line = _source(posted)
    address = _number(posted.get("address"))
    offset = _number(posted.get("offset"))
    if offset is None and module and address is not None and address < _LOWEST_LOAD_ADDRESS:
        address, offset = None, address
    class_name, method = split_name(function) if function else (None, None)
    in_app = is_native_app_code(function, module) if module or not file else bool(function)
    if in_app and function:
        in_app = is_app_code(function) and is_native_app_code(function, module)
    return Frame(
        function=function,
        class_name=class_name,
        method=method,
        module=module,
        file=file,
        line=line,
        address=address,
        offset=offset,
        in_app=in_app,
    )


def _source(posted: Mapping[str, Any]) -> tuple[str | None, int | None]:
    """File and line; Launchpad's reports write both as `file`: `gmain.c:3120`."""
    file = _text(posted, "file", limit=_MAX_NAME_CHARS)
    line = _number(posted.get("fileline", posted.get("line")))
    if file and (found := _FILE_AND_LINE.fullmatch(file)):
        file = found["file"]
        line = int(found["line"]) if line is None else line
    return file, line if line and 0 < line < 2**31 else None


def split_name(function: str) -> tuple[str | None, str]:
    """Class (or namespace, or module) and method of a qualified name, without its arguments."""
    if function[:2] in {"-[", "+["} and function.endswith("]"):
        head, _, method = function[2:-1].partition(" ")
        return head or None, method or function
    name = _without_arguments(function)
    depth = 0
    for place in range(len(name) - 1, 0, -1):
        depth += (name[place] in ">)") - (name[place] in "<(")
        if depth > 0:
            continue
        if name[place - 1 : place + 1] == "::" and place > 1:
            return name[: place - 1], name[place + 1 :] or name
        if name[place] == "." and name[place + 1 :]:
            return name[:place], name[place + 1 :]
    return None, name


def _without_arguments(function: str) -> str:
    """The name before the arguments; `operator()` and `(anonymous namespace)::f` keep theirs."""
    name = function.strip()
    for suffix in (" const", " volatile", " &", " &&", " noexcept"):
        name = name.removesuffix(suffix)
    if not name.endswith(")"):
        return name
    depth = 0
    for place in range(len(name) - 1, -1, -1):
        depth += (name[place] == ")") - (name[place] == "(")
        if depth == 0:
            head = name[:place].rstrip()
            return head if head and not head.endswith(("operator", "::")) else name
    return name


def _other_threads(listed: object) -> Iterator[Thread]:
    """The further threads, where they are objects with a stack trace as the crashed one has."""
    if not isinstance(listed, list):
        return
    for number, entry in enumerate(listed[:MAX_THREADS], start=1):
        if isinstance(entry, dict) and (frames := _frames(entry.get("stacktrace"), [])):
            yield Thread(number, name=_text(entry, "name"), frames=frames)


def _looks_like_java(frames: tuple[Frame, ...], exception_type: str | None) -> bool:
    if exception_type and exception_type.startswith(("java.", "javax.", "kotlin.")):
        return True
    return any(frame.file and frame.file.endswith((".java", ".kt", ".scala")) for frame in frames)


# --- where and when ----------------------------------------------------------


def _platform(posted: Mapping[str, Any]) -> Platform:
    for name in ("os", "os_name", "platform", "os_version", "Uname", "DistroRelease"):
        said = (_text(posted, name) or "").lower()
        for pattern, platform in _PLATFORMS:
            if pattern.search(said):
                return platform
    return "other"


def _operating_system(posted: Mapping[str, Any]) -> OperatingSystem:
    """`Ubuntu 12.10` is a name and a version; `os_version` says the kernel's in real reports."""
    said = _text(posted, "os", "os_name", "DistroRelease")
    build = _text(posted, "os_version", "Uname")
    if said is None:
        return OperatingSystem(version=build)
    name, _, last = said.rpartition(" ")
    if name and _VERSION.fullmatch(last):
        return OperatingSystem(name=name, version=last, build=build)
    return OperatingSystem(name=said, version=build)


def _build(posted: Mapping[str, Any]) -> AppBuild:
    """Apport's `Package` holds name and version: `unity 7.1.0+13.10`."""
    package = _text(posted, "Package")
    version = _text(posted, "version", "app_version", "Version", limit=_MAX_VERSION_CHARS)
    if package is None:
        return AppBuild(version=version)
    name, _, packaged = package.partition(" ")
    packaged = packaged.strip()[:_MAX_VERSION_CHARS]
    return AppBuild(package=name, version=version or packaged or None)


def _date(value: object) -> datetime | None:
    try:
        return read_date(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


# --- everything else -----------------------------------------------------------


def _properties(
    posted: Mapping[str, Any], told: frozenset[str], unread: list[str]
) -> tuple[tuple[str, str], ...]:
    """What is left to tell the crash by: (dotted path, text); the entries of a list share one."""
    found: list[tuple[str, str]] = []
    size = 0
    for name, value in posted.items():
        if name in told or name.casefold() in _IDENTITY:
            continue
        for path, text in _flat(name, value):
            size += len(path) + len(text)
            if len(found) == MAX_PROPERTIES or size > MAX_PROPERTY_CHARS:
                unread.append(f"only the first {len(found)} properties were read")
                return tuple(found)
            found.append((path, text))
    return tuple(found)


def _flat(path: str, value: object) -> Iterator[tuple[str, str]]:
    last = path.rpartition(".")[2].casefold()
    if last in _ENVIRONMENT or _DATE_NAME.search(last):
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{path}.{name}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _flat(path, inner)
    elif value is not None:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        cleaned = _clean(text.strip()[:MAX_VALUE_CHARS])
        if cleaned and not _DATE_VALUE.fullmatch(cleaned):
            yield _clean(path[:_MAX_PATH_CHARS]) or "", cleaned


def _text(posted: Mapping[str, Any], *names: str, limit: int = MAX_VALUE_CHARS) -> str | None:
    """The first of the properties that holds text, or a number as text."""
    for name in names:
        value = posted.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)[:limit]
        if isinstance(value, str) and value.strip():
            return _clean(value.strip()[:limit])
    return None


def _number(value: object) -> int | None:
    """`4895406`, `"4895406"`, `"0xff99cd48"` and `"ff99cd48"` as a number; else None."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value <= _MAX_ADDRESS else None
    if not isinstance(value, str) or not value.isascii() or len(value) > 32:
        return None
    digits = value.strip()
    try:
        number = int(digits) if digits.isdigit() else int(digits.replace("`", ""), 16)
    except ValueError:
        return None
    return number if 0 <= number <= _MAX_ADDRESS else None


def _clean(text: str | None) -> str | None:
    """The text with halves of characters, which nothing can store, as `?`."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "replace").decode()
