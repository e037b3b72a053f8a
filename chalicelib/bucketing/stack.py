"""What bucketing looks at: a crash without what differs from device to device."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest

from chalicelib.model import ExceptionInfo, Frame, Report

MAX_FRAMES = 64  # a cause shows near the top; deeper frames are the host's, and recursion's


@dataclass(frozen=True, slots=True)
class Stack:
    """A normalised stack, innermost cause first.

    `types` are the exception types from the innermost out, `frames` one name
    a frame, `message` the innermost message with its variable parts blanked.
    """

    types: tuple[str, ...]
    frames: tuple[str, ...]
    message: str = ""

    @property
    def fingerprint(self) -> str | None:
        """32 hex digits that equal stacks share; None when there is nothing to compare.

        The message counts only where there are no frames: even blanked it
        splits one cause (a file's name, a user's word) more often than it
        tells two causes apart.
        """
        if self.frames:
            parts = ("frames", *self.types, "", *self.frames)
        elif self.types or self.message:
            parts = ("message", *self.types, "", self.message)
        else:
            return None
        return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def normalise(report: Report) -> Stack:
    """The stack of a report, blind to lines, addresses, counters and recursion depth."""
    chain = [entry for entry in report.exceptions if entry.relation != "suppressed"]
    chain.reverse()
    types = [entry.type for entry in chain if entry.type]
    if not types and report.exception_type:
        types = [report.exception_type]
    reason = next((entry.reason for entry in chain if entry.reason), report.reason)
    names = _own_frames(chain, report)
    return Stack(
        types=tuple(types),
        frames=tuple(_without_recursion(names)[:MAX_FRAMES]),
        message=blank_variable_parts(reason or ""),
    )


def _own_frames(chain: list[ExceptionInfo], report: Report) -> list[str]:
    """The names of the report's frames, each cause without what it shares with its encloser.

    Some runtimes write the shared outer frames of a cause again, some as
    "... 12 more": that must not matter.
    """
    stacks = [[_frame_name(frame) for frame in entry.frames] for entry in chain]
    names: list[str] = []
    for inner, outer in zip_longest(stacks, stacks[1:], fillvalue=()):
        shared = 0
        while shared < min(len(inner), len(outer)) and inner[-1 - shared] == outer[-1 - shared]:
            shared += 1
        names.extend(inner[: len(inner) - shared])
    return names or [_frame_name(frame) for frame in report.stack]


_COUNTERS = re.compile(
    r"""
    \$\$Lambda\$?[\w$/-]*     # JVM lambda classes: Foo$$Lambda$14/0x0000000800c03000
    | lambda\$(\w*?)\$\d+     # JVM lambda methods: lambda$onCreate$3
    | \$\d+(?=[.$:(]|$)       # anonymous classes: Foo$1, Foo$2$1
    | (?<=_block_invoke)_?\d+ # Objective-C blocks: __foo_block_invoke_2
    | (?<=>[a-z]__)\d+(?:_\d+)? # C# lambdas and state machines: <Run>b__12_0, <Run>d__5
    | (?<=DisplayClass)\d+_\d+ # C# closures: <>c__DisplayClass3_0
    | \.(?:llvm|constprop|isra|part|cold)\.?\d*(?:\.\d+)* # clones a compiler made
    """,
    re.VERBOSE,
)
_GENERATED = re.compile(r"(?:0x[0-9a-fA-F]+)|(?:[0-9a-fA-F]{16,})")


def _frame_name(frame: Frame) -> str:
    if frame.function:
        return _plain_function(frame.function)
    if frame.module:
        place = "?" if frame.offset is None else f"{frame.offset:x}"
        return f"{frame.module}!{place}"
    return "?"


@lru_cache(maxsize=65_536)  # an app's crashes show the same few thousand functions
def _plain_function(function: str) -> str:
    return _GENERATED.sub("#", _COUNTERS.sub(_without_counter, function))


def _without_counter(match: re.Match[str]) -> str:
    text = match.group()
    if text.startswith("lambda$"):
        return f"lambda${match.group(1)}"
    if text.startswith("$$Lambda"):
        return "$$Lambda"
    return "$" if text.startswith("$") else ""


def _without_recursion(names: list[str]) -> list[str]:
    """The names with each immediate repetition of up to four frames told once."""
    if len(set(names)) == len(names):
        return names
    kept: list[str] = []
    for name in names:
        kept.append(name)
        for period in range(1, 5):
            if len(kept) < 2 * period:
                break
            if name == kept[-1 - period] and kept[-period:] == kept[-2 * period : -period]:
                del kept[-period:]
                break
    return kept


_VARIABLE = re.compile(
    r"""
    "[^"\n]{0,500}" | '[^'\n]{0,500}' | `[^`\n]{0,500}`
    | (?:[A-Za-z]:)?[/\\](?:[\w.@%+~-]+[/\\]?)+       # paths
    | \b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b
    | \b0x[0-9a-fA-F]+\b | @[0-9a-fA-F]{4,}\b
    | \d+(?:[.,:]\d+)*
    """,
    re.VERBOSE,
)


def blank_variable_parts(message: str) -> str:
    """The message with numbers, addresses, quoted parts, ids and paths as `*`."""
    return " ".join(_VARIABLE.sub("*", message[:2000]).split())
