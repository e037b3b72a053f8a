"""Which text format a crash is in, from a cheap look at its beginning."""

from __future__ import annotations

import re
from typing import Literal

from chalicelib.errors import FormatError
from chalicelib.formats import hockeyapp_log
from chalicelib.formats.text import decode

LOOK_BYTES = 8 * 1024  # the headers of every format, and the first frames behind them

Format = Literal["hockeyapp_log", "apple_text", "apple_ips"]

_APPLE_FIELD = re.compile(
    r"^[ \t]{0,8}(?:Incident Identifier|Hardware Model|Report Version|Exception Type|OS Version"
    r"|Date/Time|Code Type|Parent Process|Process):",
    re.MULTILINE,
)
_APPLE_THREAD = re.compile(
    r"^(?:Thread [0-9]{1,10}(?: Crashed)?::?[^\n]{0,200}|Last Exception Backtrace:)\n"
    r"[ \t]{0,8}(?:[0-9]{1,4}[ \t]{1,8}\S[^\n]{0,200}[ \t]0x[0-9a-fA-F]|\(0x)",
    re.MULTILINE,
)
_APPLE_MARKS = (
    *("Incident Identifier:", "Hardware Model:", "Report Version:", "Exception Type:"),
    *("OS Version:", "Date/Time:", "Code Type:", "Parent Process:", "Process:"),
    *("Thread ", "Last Exception Backtrace:"),
)
_APPLE_KEYS = re.compile(
    r'"(?:bug_type|incident_id|usedImages|faultingThread|procName|captureTime|threads)"[ \t]{0,8}:'
)
_OBJECT = re.compile(r"^[ \t]{0,8}\{", re.MULTILINE)
_MIN_FIELDS = 2  # one alone ("Process:") may stand in any log
_MIN_KEYS = 2  # one alone may stand in a message that quotes JSON


def detect(raw: bytes) -> Format | None:
    """The format of `raw`, or None when it is none of the text formats.

    Looks at the first 8 kB only. HockeyApp headers in front of an Apple report
    do not count, nor does the line of JSON in front of an `.ips` file that is
    text (iOS 10 to 14).
    """
    try:
        head = decode(raw[:LOOK_BYTES]).text
    except FormatError:
        return None
    if _is_apple_text(head):
        return "apple_text"
    if _is_ips(head):
        return "apple_ips"
    return "hockeyapp_log" if hockeyapp_log.is_log(head) else None


def _is_apple_text(head: str) -> bool:
    if not any(mark in head for mark in _APPLE_MARKS):  # fifty times as fast as the patterns
        return False
    return bool(len(set(_APPLE_FIELD.findall(head))) >= _MIN_FIELDS or _APPLE_THREAD.search(head))


def _is_ips(head: str) -> bool:
    begin = _OBJECT.search(head) if _APPLE_KEYS.search(head) else None
    if not begin:
        return False
    keys = set(_APPLE_KEYS.findall(head, begin.start()))
    return len(keys) >= _MIN_KEYS or bool(keys and not head[: begin.start()].strip())
