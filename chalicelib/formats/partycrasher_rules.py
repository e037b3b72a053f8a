"""What PartyCrasher's data format demands of a posted report.

The document is the *PartyCrasher Data Format*; where it is stricter than the
reports that its own authors posted (numbers, frames without a function),
those are taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from chalicelib.errors import FormatError

MAX_ID_BYTES = 500  # ids stand in keys, of which DynamoDB takes 1,024 bytes, beside other parts
GENERATED = frozenset({"buckets", "href", "project_href"})  # overwritten wherever they come from
GENERATED_IN_FRAMES = frozenset({"logdf"})


class BadProperty(FormatError):
    """A property is missing or of a wrong type; `where` is its path."""


class BadKeyName(FormatError):
    """A key has a period in its name; `where` is the path of what holds it."""

    def __init__(self, key: str, where: str) -> None:
        super().__init__(f"a period is not allowed in a key: {key[:200]!r}", where or None)
        self.key = key


def without_generated(posted: Mapping[str, Any]) -> dict[str, Any]:
    """The report as its owner wrote it: without what the server adds to each."""
    own = {name: value for name, value in posted.items() if name not in GENERATED}
    if isinstance(own.get("stacktrace"), list):
        own["stacktrace"] = [_own_frame(frame) for frame in own["stacktrace"]]
    return own


def _own_frame(frame: Any) -> Any:
    if not isinstance(frame, dict):
        return frame
    return {name: value for name, value in frame.items() if name not in GENERATED_IN_FRAMES}


def check(own: Mapping[str, Any]) -> None:
    """Raises `BadProperty` or `BadKeyName` for the first thing wrong with a report.

    `own` is without the generated properties. The project is not looked at:
    the path may name it.
    """
    if "database_id" not in own:
        raise BadProperty("is missing: each report needs its own", "database_id")
    for name in ("database_id", "force_bucket"):
        if name in own:
            _check_id(own[name], name)
    if "project" in own and not isinstance(own["project"], str):
        raise BadProperty("must be a string", "project")
    if "date" in own:
        _check_date(own["date"])
    if "stacktrace" in own:
        _check_stacktrace(own["stacktrace"])
    _check_keys(own, "")


def is_possible_id(text: str) -> bool:
    """Whether a report or a bucket can have this id."""
    return 0 < len(text.encode("utf-8", "replace")) <= MAX_ID_BYTES and is_clean(text)


def read_date(text: str) -> datetime:
    """The moment an ISO 8601 date or date-time names; without a zone it is UTC.

    Raises ValueError or OverflowError for what names none.
    """
    moment = datetime.fromisoformat(text.strip())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def is_clean(text: str) -> bool:
    """Whether the text has neither control characters nor halves of characters."""
    return not any(c < " " or c == "\x7f" or "\ud800" <= c <= "\udfff" for c in text)


def _check_id(value: object, name: str) -> None:
    if not isinstance(value, str):
        raise BadProperty("must be a string", name)
    if not value.strip():
        raise BadProperty("must not be empty", name)
    if not is_clean(value):
        raise BadProperty("must not hold control characters", name)
    if len(value.encode()) > MAX_ID_BYTES:
        raise BadProperty(f"must not be longer than {MAX_ID_BYTES} bytes", name)


def _check_date(value: object) -> None:
    if not isinstance(value, str):
        raise BadProperty("must be a string", "date")
    try:
        read_date(value)
    except (ValueError, OverflowError):
        told = "must be an ISO 8601 date in UTC, as 2007-06-18T19:23:43"
        raise BadProperty(told, "date") from None


_TEXT = (str, type(None))
_TEXT_OR_NUMBER = (str, int, float, type(None))
_OF_FRAMES: dict[str, tuple[tuple[type, ...], str]] = {
    "function": (_TEXT, "must be a string or null"),
    "dylib": (_TEXT, "must be a string or null"),
    "file": (_TEXT, "must be a string or null"),
    "address": (_TEXT_OR_NUMBER, "must be a string, a number or null"),
    "fileline": (_TEXT_OR_NUMBER, "must be a string, a number or null"),
}


def _check_stacktrace(frames: object) -> None:
    if not isinstance(frames, list):
        raise BadProperty("must be a list of frames", "stacktrace")
    for place, frame in enumerate(frames):
        if not isinstance(frame, dict):
            raise BadProperty("must be an object", f"stacktrace[{place}]")
        for name, (types, told) in _OF_FRAMES.items():
            value = frame.get(name)
            if not isinstance(value, types) or isinstance(value, bool):
                raise BadProperty(told, f"stacktrace[{place}].{name}")


def _check_keys(value: object, where: str) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if "." in key:
                raise BadKeyName(key, where)
            _check_keys(inner, f"{where}.{key}" if where else key)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            if isinstance(inner, (dict, list)):
                _check_keys(inner, f"{where}[{place}]")
