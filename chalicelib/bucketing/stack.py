"""What bucketing looks at: a crash without what differs from device to device."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from chalicelib.bucketing.grades import Grade, grade_of, grades
from chalicelib.model import ExceptionInfo, Frame, Report

_FORM = "2"  # of the fingerprint: a change of what normalising does makes all stacks new
MAX_FRAMES = 64  # a cause shows near the top; deeper frames are the host's, and recursion's

MAX_WORDS = 24  # a message that goes on longer tells of one user's data


@dataclass(frozen=True, slots=True)
class Stack:
    """A normalised stack, innermost cause first.

    `types` are the exception types from the innermost out, `frames` one name
    a frame with its grade and its line (None: not known), `message` the
    innermost message without numbers, paths and addresses, `words` its
    distinct words. `places` says of each frame where in its module it is, or "";
    a stored stack has none. A crash without frames is told by `properties`
    (path, text) beside type and message.
    """

    types: tuple[str, ...]
    frames: tuple[str, ...]
    message: str = ""
    words: tuple[str, ...] = ()
    grades: tuple[Grade, ...] = ()
    lines: tuple[int | None, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    places: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str | None:
        """32 hex digits that equal stacks share; None for a crash without frames."""
        return self._digest("frames", self.message) if self.frames else None

    @property
    def plain_fingerprint(self) -> str | None:
        """The fingerprint without the message, for a stack whose messages never end."""
        return self._digest("frames", "") if self.frames else None

    @property
    def content(self) -> str | None:
        """32 hex digits that equal crashes without frames share; None with nothing to compare."""
        if self.frames or not (self.types or self.message or self.properties):
            return None
        return self._digest("content", self.message)

    def _digest(self, kind: str, message: str) -> str:
        told = (f"{path}={text}" for path, text in self.properties)
        parts = (_FORM, kind, *self.types, "", *self.frames, "", message, *told)
        return digest_of(*parts)


def digest_of(*parts: str) -> str:
    """32 hex digits for the parts in their order."""
    return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def normalise(report: Report) -> Stack:
    """The stack of a report, blind to addresses, counters and recursion depth."""
    chain = [entry for entry in report.exceptions if entry.relation != "suppressed"]
    chain.reverse()
    types = [entry.type for entry in chain if entry.type]
    if not types and report.exception_type:
        types = [report.exception_type]
    reason = next((entry.reason for entry in chain if entry.reason), report.reason)
    if reason and report.crash_address is not None:  # another one in each crash of one cause
        reason = reason.removesuffix(f" at 0x{report.crash_address:x}")
        reason = "" if reason in types else reason
    if len(types) < 2 and reason:
        causes, reason = _unwrapped(reason)
        types = [*causes, *types]
    message = blank_variable_parts(reason or "")
    if message in types:  # a signal has nothing else to say
        message = ""
    frames = _own_frames(chain) or report.stack
    names = [_frame_name(frame) for frame in frames]
    kept = _without_recursion(names)[:MAX_FRAMES]
    graded = grades(frames, names)
    return Stack(
        types=tuple(types),
        frames=tuple(names[place] for place in kept),
        message=message,
        words=words_of(message),
        grades=tuple(graded[place] for place in kept),
        lines=tuple(frames[place].line for place in kept),
        properties=() if kept else report.properties,
        places=tuple(_place(frames[place]) for place in kept),
    )


def renamed(stack: Stack, names: Mapping[int, str]) -> Stack:
    """The stack with other names for the frames at these places."""
    if not names:
        return stack
    frames = [names.get(at, name) for at, name in enumerate(stack.frames)]
    kept = _without_recursion(frames)
    return replace(
        stack,
        frames=tuple(frames[at] for at in kept),
        grades=tuple(grade_of(frames[at], stack.grades[at] is Grade.APP) for at in kept),
        lines=tuple(stack.lines[at] for at in kept),
        places=tuple(stack.places[at] for at in kept),
    )


# How a runtime writes the causes of an exception into its message: Java's stack traces, and what
# .NET's Exception.ToString() puts between an exception and its inner one.
_WRAPPED = re.compile(r"(?:\n\s*Caused by:| --->) *([A-Za-z_$][\w.$]*(?:\.[\w$]+)+)(?::[ \t]*|$)")


def _unwrapped(message: str) -> tuple[list[str], str]:
    """The types of the causes that a message tells of, innermost first, and what that one says.

    A wrapper's own words ("Unable to start activity ...") tell where the
    crash was noticed, not what it is.
    """
    told = _WRAPPED.split(message[:_MAX_READ_CHARS])
    return told[-2:0:-2], told[-1].strip()


def _own_frames(chain: list[ExceptionInfo]) -> tuple[Frame, ...]:
    """The frames of a chain, each cause without what it shares with its encloser.

    Some runtimes write the shared outer frames of a cause again, some as
    "... 12 more": that must not matter.
    """
    stacks = [[_frame_name(frame) for frame in entry.frames] for entry in chain]
    own: list[Frame] = []
    for entry, inner, outer in zip(chain, stacks, [*stacks[1:], []], strict=False):
        shared = 0
        while shared < min(len(inner), len(outer)) and inner[-1 - shared] == outer[-1 - shared]:
            shared += 1
        own.extend(entry.frames[: len(inner) - shared])
    return tuple(own)


_COUNTERS = re.compile(
    r"""
    \$\$Lambda\$?[\w$/-]*     # JVM lambda classes: Foo$$Lambda$14/0x0000000800c03000
    | lambda\$(\w*?)\$\d+     # JVM lambda methods: lambda$onCreate$3
    | \$\d+(?=[.$:(]|$)       # anonymous classes: Foo$1, Foo$2$1
    | (?<=_block_invoke)_?\d+ # Objective-C blocks: __foo_block_invoke_2
    | (?<=>[a-z]__)\d+(?:_\d+)? # C# lambdas and state machines: <Run>b__12_0, <Run>d__5
    | (?<=DisplayClass)\d+_\d+ # C# closures: <>c__DisplayClass3_0
    | \.(?:llvm|constprop|isra|part|cold)\.?\d*(?:\.\d+)* # clones a compiler made
    | (?<=\})?\#\d+(?=\})      # C++ lambdas: run()::{lambda(int)#2}
    | \.<locals>\.<(?:list|dict|set)comp> # Python's comprehensions, a frame up to 3.11 only
    """,
    re.VERBOSE,
)
_GENERATED = re.compile(r"(?:0x[0-9a-fA-F]+)|(?:[0-9a-fA-F]{16,})")


# What a runtime writes before a name it shows: Java's module (java.base@17.0.1/java.util.List),
# its class loader (app//com.foo.Bar), glibc's inner names, .NET's root.
_RUNTIME_PREFIX = re.compile(r"(?:[\w.@-]*/{1,2}(?=[\w.$]+$)|__GI_+|global::)")
_ARGUMENTS = re.compile(r"(?<=[\w>~])\([^()]*(?:\([^()]*\)[^()]*)*\)(?:\s*const)?(?:\s*\[.*\])?$")


def _frame_name(frame: Frame) -> str:
    """The function's plain name; without a symbol the module and the place in its page.

    A library is mapped at another page in each process, but what an address
    has below a page (its last 12 bits) stays.
    """
    if frame.function:
        return plain_function(frame.function)
    if place := _place(frame):
        return place
    where = "?" if frame.address is None else f"{frame.address & 0xFFF:03x}"
    return f"{_file_name(frame.module)}!{where}"


def _place(frame: Frame) -> str:
    """The frame's offset in its module; empty where either is not known."""
    if frame.offset is None or not frame.module:
        return ""
    return f"{_file_name(frame.module)}!{frame.offset:x}"


def _file_name(module: str | None) -> str:
    return (module or "?").rpartition("/")[2]


@lru_cache(maxsize=65_536)  # an app's crashes show the same few thousand functions
def plain_function(function: str) -> str:
    """The name without arguments, counters of a compiler and what a runtime puts before it."""
    name = _GENERATED.sub("#", _COUNTERS.sub(_without_counter, function))
    return _ARGUMENTS.sub("", _RUNTIME_PREFIX.sub("", name, count=1)) or function


def _without_counter(match: re.Match[str]) -> str:
    text = match.group()
    if text.startswith("lambda$"):
        return f"lambda${match.group(1)}"
    if text.startswith("$$Lambda"):
        return "$$Lambda"
    return "$" if text.startswith("$") else ""


def _without_recursion(names: Sequence[str]) -> list[int]:
    """The places of the names, each immediate repetition of up to four frames told once."""
    kept = list(range(len(names)))
    if len(set(names)) == len(names):
        return kept
    kept.clear()
    for place, name in enumerate(names):
        kept.append(place)
        for period in range(1, 5):
            if len(kept) < 2 * period:
                break
            if name == names[kept[-1 - period]] and _repeats(names, kept, period):
                del kept[-period:]
                break
    return kept


def _repeats(names: Sequence[str], kept: Sequence[int], period: int) -> bool:
    return all(names[kept[-i]] == names[kept[-i - period]] for i in range(1, period + 1))


_VARIABLE = re.compile(
    r"""
    (["'`])(?=[^"'`\n]{0,200}[\d/\\@])[^"'`\n]{1,200}\1  # quoted data; a quoted name stays
    | "[^"\n]{41,500}" | '[^'\n]{41,500}' | `[^`\n]{41,500}`
    | (?:[A-Za-z]:)?[/\\](?:[\w.@%+~-]+[/\\]?)+       # paths
    | \b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b
    | \b0x[0-9a-fA-F]+\b | @[0-9a-fA-F]{4,}\b
    | \d+(?:[.,:]\d+)*
    """,
    re.VERBOSE,
)
_WORD = re.compile(r"[^\W\d_](?:\w|\.(?=\w)|-(?=\w))*|_\w+")
_MAX_MESSAGE_CHARS = 300  # what goes on longer tells of one user's data
_MAX_READ_CHARS = 2000  # of a message: it may hold a whole log


def blank_variable_parts(message: str) -> str:
    """The message with numbers, addresses, ids, paths and quoted data as `*`.

    A short quoted name stays (`'NoneType' object has no attribute 'key'`): it
    often is what tells two causes apart.
    """
    blanked = _VARIABLE.sub("*", message[:_MAX_READ_CHARS])
    return " ".join(blanked.split())[:_MAX_MESSAGE_CHARS]


_QUOTED = re.compile(r"(?<!\w)'[^'\n]{1,200}'(?!\w)|\"[^\"\n]{1,200}\"|`[^`'\n]{1,200}[`']")


@lru_cache(maxsize=4096)
def without_quoted(message: str) -> str:
    """The message with everything it quotes as `*`; an apostrophe in a word quotes nothing."""
    return _QUOTED.sub("*", message)


def words_of(message: str) -> tuple[str, ...]:
    """The distinct words of a message in their order."""
    return tuple(dict.fromkeys(_WORD.findall(message)))[:MAX_WORDS]


def property_words(text: str) -> frozenset[str]:
    """The words and numbers of a property's text."""
    return frozenset(re.findall(r"\w+", text.lower())[:MAX_WORDS])
