"""The facts at the head of an Apple crash report: app, system, device, time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

from chalicelib.formats.apple_bounds import Notes
from chalicelib.model import AppBuild, OperatingSystem

Platform = Literal["ios", "macos", "other"]

MAX_VALUE_CHARS = 2000  # a path is at most 1,024 bytes on Apple's systems

# Apple's own fields, then those of the HockeyApp header that may precede them.
FIELDS = frozenset(
    {
        "incident identifier",
        "crashreporter key",
        "anonymous uuid",
        "hardware model",
        "process",
        "path",
        "identifier",
        "version",
        "code type",
        "date/time",
        "os version",
        "report version",
        "exception type",
        "exception codes",
        "exception subtype",
        "exception message",
        "termination reason",
        "crashed thread",
        "triggered by thread",
    }
    | {"package", "os", "model"}
)
# PLCrashReporter writes "???" for what it does not know and "TODO" for a key it was not given.
_ABSENT = frozenset({"", "???", "??? (???)", "todo", "null", "(null)", "unknown"})

_VERSIONS = re.compile(r"^(.*\S)[ \t]*\(([^()]*)\)$")
_SYSTEM = re.compile(r"^(\D*?)(?:Version )?([0-9][\w.]*)?[ \t]*(?:\((?:Build )?([^()]*)\))?$")
_DATE = re.compile(
    r"^([0-9]{4})-([0-9]{2})-([0-9]{2})[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"[ ]*(Z|UTC|GMT|([+-])([0-9]{2}):?([0-9]{2}))?$"
)
_PROCESS_ID = re.compile(r"[ \t]*\[[0-9]{1,10}\]$")
_PHONE_SYSTEMS = ("iphone", "ios", "ipad", "ipod", "tvos", "watch", "vision", "xros", "apple tv")
_PHONE_PATHS = ("/var/containers/", "/var/mobile/")


def present(value: str) -> str | None:
    """`value` without blanks around it, bounded; None when it only says "not known"."""
    value = value.strip()[:MAX_VALUE_CHARS]
    return None if value.lower() in _ABSENT else value


def take_field(line: str, fields: dict[str, str]) -> bool:
    """Keep `line` in `fields` under its lower-case name when it is one we read.

    A later line wins, as Apple's own header follows HockeyApp's; a value that
    says "not known" never replaces one that is known. Says whether it was a field.
    """
    name, colon, value = line.partition(":")
    if not colon or (key := name.strip().lower()) not in FIELDS:
        return False
    known = present(value)
    if known is not None:
        fields[key] = known
    return True


def app_build(fields: Mapping[str, str]) -> AppBuild:
    """The crashed app, its version split as `versions` tells."""
    version, short_version = versions(fields.get("version", ""))
    return AppBuild(
        package=fields.get("identifier") or fields.get("package"),
        name=process_name(fields),
        version=version,
        short_version=short_version,
    )


def process_name(fields: Mapping[str, str]) -> str | None:
    """The process's name without its id ("QuincyDemo [590]")."""
    return present(_PROCESS_ID.sub("", fields.get("process", "")))


def versions(text: str) -> tuple[str | None, str | None]:
    """Bundle version and short version of a `Version:` line.

    A lone value is the bundle version (PLCrashReporter without a marketing
    version). Of two, one in brackets, the order depends on the writer: macOS,
    newer iOS and PLCrashReporter put the short version first, ReportCrash of
    iOS up to 12 and older KSCrash the bundle version. The values tell more than the writer:
    one without a dot beside one with dots is the build number (`90 (1.0)`,
    `1.0 (90)`), and one that continues the other is the build of it
    (`2.3 (2.3.104)`). Values that tell nothing are in the newer order.
    """
    pair = _VERSIONS.match(text.strip())
    if not pair:
        return present(text), None
    outer, inner = present(pair[1]), present(pair[2])
    if outer is None or inner is None:
        return outer or inner, None
    outer_is_build = "." not in outer and "." in inner
    if "." in inner and outer.startswith(inner + "."):
        outer_is_build = True
    return (outer, inner) if outer_is_build else (inner, outer)


def operating_system(text: str | None) -> OperatingSystem:
    """Name, version and build of `Mac OS X 10.8.5 (12F45)` and its like."""
    if not text:
        return OperatingSystem()
    parts = _SYSTEM.match(text)
    if not parts:
        return OperatingSystem(name=text)
    return OperatingSystem(name=present(parts[1]), version=parts[2], build=present(parts[3] or ""))


def platform(system: str | None, hardware: str | None, paths: Iterable[str]) -> Platform:
    """Which of our platforms a report is of: `system` decides, then `hardware`, then `paths`.

    Every system that grew out of the iPhone's (iPadOS, tvOS, watchOS, visionOS) is "ios".
    `paths` are those of the process and its images.
    """
    for text in (system, hardware):
        lowered = (text or "").lower()
        if lowered.startswith(("mac", "imac", "os x", "xserve")):
            return "macos"
        if any(word in lowered for word in _PHONE_SYSTEMS):
            return "ios"
    for path in paths:
        if any(folder in path for folder in _PHONE_PATHS):
            return "ios"
        if "/Contents/MacOS/" in path:
            return "macos"
    return "other"


def moment(text: str | None, notes: Notes) -> datetime | None:
    """The time in `text` as UTC; without a zone it is taken for UTC and noted."""
    if not text:
        return None
    parts = _DATE.match(text)
    try:
        if parts:
            return _utc(parts, notes)
    except (ValueError, OverflowError):
        pass
    notes.add(f"the date {text[:60]!r} could not be read")
    return None


def _utc(parts: re.Match[str], notes: Notes) -> datetime:
    fraction = int((parts[7] or "0").ljust(6, "0")[:6])
    year, month, day, hour, minute, second = (int(parts[index]) for index in range(1, 7))
    zone: timezone = UTC
    if parts[9]:
        offset = timedelta(hours=int(parts[10]), minutes=int(parts[11]))
        zone = timezone(-offset if parts[9] == "-" else offset)
    elif not parts[8]:
        notes.add("the date names no time zone; taken for UTC")
    local = datetime(year, month, day, hour, minute, second, fraction, tzinfo=zone)
    return local.astimezone(UTC)
