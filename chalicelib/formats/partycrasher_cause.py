"""What a report in PartyCrasher's format says went wrong: it has no fixed place for that.

Clients write an exception's type and message, a signal by number or name, or
only a title in words, under names of their own: those of Apport (Ubuntu),
Mozilla's socorro and the format's other known users are looked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

# Linux's numbers, which are POSIX's for all that end a program by themselves.
_SIGNALS = {
    3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
    9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ",
    31: "SIGSYS",
}  # fmt: skip
_TYPES = (
    "exception_type", "exceptiontype", "exception_class", "errorclass", "error_type", "exception",
)  # fmt: skip
_SIGNAL_NAMES = ("signal", "signo", "signal_name", "signalname")
_REASONS = (
    "message", "exception_message", "error_message", "reason", "assertionmessage",
    "assertion_message", "assertion", "mozcrashreason", "crashreason", "segvreason", "error",
)  # fmt: skip
_TITLES = ("title", "summary", "subject")
_TITLE_TYPE = re.compile(
    r"crashed with (?P<type>[\w.:]{1,200}?)(?= in |[\s:(,]|\Z)|\b(?P<signal>SIG[A-Z]{2,8})\b"
)
# One word, perhaps qualified, perhaps with what was thrown behind it: "KeyError: 'x'".
_TYPE_AND_REASON = re.compile(r"(?P<type>[\w$.:<>-]{1,200}?)(?:: *(?P<reason>.+)|\Z)", re.DOTALL)


class Cause(NamedTuple):
    """The exception's or signal's name, its message, and the properties that told them."""

    type: str | None
    reason: str | None
    told_by: frozenset[str]


def read_cause(posted: Mapping[str, Any]) -> Cause:
    """The cause by the first property that tells it; a title counts where nothing else does."""
    by_name = {name.casefold(): name for name in reversed(list(posted)) if _said(posted[name])}
    kind, kind_name, rest = _type(posted, by_name)
    reason_name = next((by_name[n] for n in _REASONS if n in by_name), None)
    reason = _said(posted[reason_name]) if reason_name else None
    told = {name for name in (kind_name, reason_name) if name}
    title_name = next((by_name[n] for n in _TITLES if n in by_name), None)
    if title_name is not None and kind is None:
        title = _said(posted[title_name]) or ""
        found = _TITLE_TYPE.search(title)
        kind = (found["type"] or found["signal"]) if found else None
        reason = reason or title
        told.add(title_name)
    return Cause(kind, reason or rest, frozenset(told))


def _type(
    posted: Mapping[str, Any], by_name: Mapping[str, str]
) -> tuple[str | None, str | None, str | None]:
    """The type, the property it stands in, and what else that property says."""
    for name in _TYPES:
        if name in by_name:
            text = _said(posted[by_name[name]]) or ""
            found = _TYPE_AND_REASON.fullmatch(text)
            if found:
                return found["type"], by_name[name], found["reason"]
            return None, by_name[name], text
    for name in _SIGNAL_NAMES:
        if name in by_name:
            return _signal(_said(posted[by_name[name]]) or ""), by_name[name], None
    return None, None, None


def _signal(text: str) -> str:
    """`11`, `SIGSEGV` and `SIGSEGV (11)` are one signal."""
    if text.isascii() and text.isdigit() and len(text) < 4:
        return _SIGNALS.get(int(text), f"signal {int(text)}")
    return text.split(maxsplit=1)[0].upper() if text.upper().startswith("SIG") else text


def _said(value: object) -> str | None:
    """The value as text, when it is any: strings that are not blank, and numbers."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return None
