"""The uncaught exception in the messages that a dying Apple process leaves behind.

The texts are those of Foundation, libc++abi and the Swift runtime, as Apple's
"Application Specific Information" and PLCrashReporter's text formatter keep them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from chalicelib.formats.apple_bounds import MAX_NAME_CHARS, MAX_REASON_CHARS

_OBJC = re.compile(
    r"\*\*\* Terminating app due to uncaught exception\s{1,4}'([^'\n]{1,500})',"
    r"\s{1,4}reason:\s{0,4}"
)
# A reason is free text with quotes of its own: it ends at the quote that one of these follows.
_REASON_END = re.compile(
    r"'(?=[ \t]*\n?[ \t]*(?:\Z|abort\(\)|terminat(?:e|ing) |libc\+\+abi|\*\*\* First throw"
    r"|,? ?[uU]ser ?[iI]nfo))"
)
_CPLUSPLUS = re.compile(
    r"terminating (?:with|due to) uncaught (?:foreign )?exception of type ([^\s:]+(?:::[^\s:]+)*)"
    r"(?:: (.*))?"
)
_GNU = re.compile(r"terminate called after throwing an instance of '([^'\n]{1,500})'")
_WHAT = re.compile(r"what\(\):[ \t]*(.*)")
_FATAL = re.compile(
    r"^.*(?:Fatal error|Precondition failed|Assertion failed|assertion failed)\b.*$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class UncaughtException:
    type: str
    reason: str | None


def uncaught_exception(messages: str) -> UncaughtException | None:
    """The Objective-C or C++ exception that `messages` say nobody caught."""
    objc = _OBJC.search(messages)
    if objc:
        return UncaughtException(objc[1], _quoted(messages[objc.end() :]))
    cplusplus = _CPLUSPLUS.search(messages)
    if cplusplus:
        reason = (cplusplus[2] or "").strip()
        return UncaughtException(cplusplus[1][:MAX_NAME_CHARS], reason[:MAX_REASON_CHARS] or None)
    gnu = _GNU.search(messages)
    if gnu:
        what = _WHAT.search(messages, gnu.end())
        return UncaughtException(gnu[1], what[1].strip()[:MAX_REASON_CHARS] if what else None)
    return None


def fatal_message(messages: str) -> str | None:
    """The line in which Swift or assert() says why the process gave up."""
    fatal = _FATAL.search(messages)
    return fatal[0].strip()[:MAX_REASON_CHARS] if fatal else None


def _quoted(text: str) -> str | None:
    """The reason that opens `text`; without its closing quote the text was cut off."""
    quoted = text.startswith("'")
    text = text.removeprefix("'")
    if quoted:
        end = _REASON_END.search(text)
        if end:
            text = text[: end.start()]
        elif "'" in text and not text[text.rindex("'") + 1 :][:1].isalnum():
            text = text[: text.rindex("'")]
    return text.strip()[:MAX_REASON_CHARS] or None
