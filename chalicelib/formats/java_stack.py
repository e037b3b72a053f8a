"""The text of a Java, Kotlin, Xamarin or .NET stack trace to its chain of exceptions.

The shapes follow `Throwable.printStackTrace` (Java SE 8 to 21; Android prints
the same) and `Exception.ToString` (.NET, Mono). HockeyApp's document prints
stacks without indentation and a second exception without `Caused by:`; both
are read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from chalicelib.formats.java_frame import managed_frame, native_frame
from chalicelib.model import ExceptionInfo, Frame, Module

MAX_FRAMES = 512  # per exception; what a stack overflow repeats tells nothing new
MAX_EXCEPTIONS = 64  # a chain this long is a loop
MAX_LINES = 200_000  # ten times what a 4 MiB log of usual lines holds
MAX_LINE_CHARS = 8192
MAX_REASON_CHARS = 8192
MAX_MODULES = 512

_TYPE = re.compile(r"(?:[^\W\d]|\$)[\w$.+`\[\],<>&/@-]*")
_TYPE_ENDINGS = ("Exception", "Error", "Throwable", "Failure", "Signal", "Fault")
_MORE = re.compile(r"\.\.\. (\d{1,9}) (?:more|common frames omitted)", re.ASCII)
_SIGNAL = re.compile(r"(?:Fatal )?signal \d{1,3} \((SIG[A-Z0-9]{2,8})\)", re.ASCII)
_INNER_NUMBER = re.compile(r"\(Inner Exception #\d{1,6}\) ", re.ASCII)
_IN_THREAD = re.compile(r'Exception in thread "[^"]*" ')
_XAMARIN_CAUSE = "Xamarin caused by: "  # HockeySDK-Android writes it before the managed part
_JAVA_PROXY = ("JavaProxyThrowable", "Android.Runtime.JavaProxyThrowable")

Relation = Literal["thrown", "cause", "suppressed"]


@dataclass(frozen=True, slots=True)
class StackText:
    """What a stack's text holds: the chain as in `Report.exceptions`.

    `modules` are the libraries that native frames name; `unread` says what
    could not be read.
    """

    exceptions: tuple[ExceptionInfo, ...]
    modules: tuple[Module, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(slots=True)
class _Draft:
    """An exception while its lines come in."""

    type: str | None
    reason: list[str]
    relation: Relation
    indent: int
    frames: list[Frame] = field(default_factory=list)
    in_common: int = 0
    reason_chars: int = 0
    seen_frame: bool = False


def split_type(text: str, *, certain: bool = False) -> tuple[str | None, str | None]:
    """Type and reason of `pkg.Type: message`; the type is None when there is none to see.

    A type is one word that has a dot or ends like an exception's name; any
    word will do when the caller is `certain` (after `Caused by:`).
    """
    name, colon, reason = text.partition(":")
    match = _TYPE.fullmatch(name) if len(name) <= 512 else None
    if match is None or (colon and reason and reason[0] not in " \t"):
        return None, text or None
    # A dotted word alone is a type too, unless it ends a sentence.
    dotted = "." in name.strip(".") and not name.endswith(".")
    if not (certain or dotted or name.endswith(_TYPE_ENDINGS)):
        return None, text or None
    return name, reason.strip() or None


def read_stack(text: str, package: str | None = None) -> StackText:
    """The exceptions in a stack's text, whose lines end in "\\n".

    `package` is the app's own, for `Frame.in_app`. Bounded: 512 frames an
    exception (the innermost), 64 exceptions (the first 63 and the innermost
    cause), 8192 characters a line and a reason. Never fails: what could not be
    read is said in `unread`, and text without any stack has no exceptions
    with frames.
    """
    return _Reader(package).read(text)


class _Reader:
    """One pass over the lines; every line costs time in proportion to its length."""

    def __init__(self, package: str | None) -> None:
        self._package = package
        self._drafts: list[_Draft] = []
        self._current: _Draft | None = None
        self._outer: list[_Draft] = []  # .NET prints an inner exception's frames first
        self._suppressed_indent: int | None = None
        self._modules: dict[str, Module] = {}
        self._frames_left_out = 0
        self._exceptions_left_out = 0
        self._cut_lines = 0
        self._bad_lines = 0
        self._first_bad = ""

    def read(self, text: str) -> StackText:
        lines = text.split("\n", MAX_LINES)
        overlong = lines.pop() if len(lines) > MAX_LINES else ""
        package = self._package
        for number, line in enumerate(lines):
            stripped = line.strip()
            current = self._current
            if current is not None and stripped.startswith("at "):
                if len(current.frames) >= MAX_FRAMES:
                    self._frames_left_out += 1
                    continue
                frame = managed_frame(stripped, package)
                if frame is not None:
                    current.frames.append(frame)
                    current.seen_frame = True
                    continue
            if stripped:
                self._other_line(stripped, line, lines, number)
            elif current is not None and not current.seen_frame:
                self._add_reason(current, "")
        return self._result(bool(overlong.strip()))

    def _other_line(self, text: str, line: str, lines: Sequence[str], number: int) -> None:
        """Any line but the common frame."""
        if len(text) > MAX_LINE_CHARS:
            self._cut_lines += 1
            text = text[:MAX_LINE_CHARS]
        indent = len(line) - len(line.lstrip())
        if text.startswith(("at ", "#", "native: #")):
            if self._frame_line(text, indent):
                return
        elif self._marker_line(text, indent):
            return
        current = self._current
        if current is None:
            text = _IN_THREAD.sub("", text, count=1).removeprefix(_XAMARIN_CAUSE)
            self._open(text, "thrown", indent)
        elif not current.seen_frame:
            self._message_line(current, text)
        elif self._begins_exception(text, indent, current, lines, number):
            self._outer.clear()
            self._open(text, "cause", indent)
        else:
            self._bad(text)

    def _frame_line(self, text: str, indent: int) -> bool:
        closes = text.endswith("<---")
        if closes:
            text = text[:-4].rstrip()
        frame: Frame | None = None
        if text.startswith("at "):
            frame = managed_frame(text, self._package)
        else:
            native = native_frame(text.removeprefix("native: "))
            if native is not None:
                frame = native.frame
                if len(self._modules) < MAX_MODULES and native.library_path not in self._modules:
                    self._modules[native.library_path] = Module(
                        frame.module or native.library_path,
                        native.library_path,
                        debug_id=native.build_id,
                    )
        if frame is None:
            return False
        current = self._current or self._start(_Draft(None, [], "thrown", indent))
        current.seen_frame = True
        if len(current.frames) < MAX_FRAMES:
            current.frames.append(frame)
        else:
            self._frames_left_out += 1
        if closes:
            self._close_inner()
        return True

    def _marker_line(self, text: str, indent: int) -> bool:
        """Whether the line is one of the fixed phrases between exceptions, taken care of."""
        if text.startswith("Caused by: "):
            if "[CIRCULAR REFERENCE" not in text:  # it names an exception already read
                self._outer.clear()
                self._open(text[11:], self._cause_relation(indent), indent, certain=True)
        elif text.startswith("... ") and (more := _MORE.match(text)) and self._current:
            self._current.in_common = int(more[1])
            self._current.seen_frame = True
        elif text.startswith("Suppressed: "):
            base = self._current.indent if self._current else 0
            if indent > base and self._suppressed_indent is None:
                self._suppressed_indent = indent
            if "[CIRCULAR REFERENCE" not in text:
                self._open(text[12:], "suppressed", indent, certain=True)
        elif text.startswith("---> "):
            self._open_inner(text[5:], indent)
        elif text.startswith("--- End of inner exception") or text == "<---":
            self._close_inner()
        elif text.startswith("--- End of managed"):
            while self._outer:
                self._close_inner()
        elif self._current is not None and text.startswith(_XAMARIN_CAUSE):
            self._outer.clear()
            self._open(text.removeprefix(_XAMARIN_CAUSE), "cause", indent)
        else:
            return text.startswith(("--- End of stack trace from", "[CIRCULAR REFERENCE"))
        return True

    def _cause_relation(self, indent: int) -> Relation:
        """A cause printed no further left than a `Suppressed:` is that one's, not the chain's."""
        if self._suppressed_indent is not None and indent >= self._suppressed_indent:
            return "suppressed"
        self._suppressed_indent = None
        return "cause"

    def _message_line(self, draft: _Draft, text: str) -> None:
        """One more line of a message, unless the real header comes only now."""
        if draft.type is not None and draft.type.startswith("SIG"):
            if not text.startswith("Abort message:"):
                return  # registers and memory, which differ in each crash
        elif draft.type is None:
            if signal := _SIGNAL.match(text):
                draft.type, draft.reason, draft.reason_chars = signal[1], [text], len(text)
                return
            name, reason = split_type(text)
            if name is not None and name.endswith(_TYPE_ENDINGS) and "." in name:
                draft.type = name
                text = reason or ""
        first, *inner = _split_inner(text)
        self._add_reason(draft, first)
        for part in inner:
            self._open_inner(part, draft.indent)

    def _add_reason(self, draft: _Draft, text: str) -> None:
        if draft.reason_chars < MAX_REASON_CHARS:
            draft.reason.append(text)
        draft.reason_chars += len(text) + 1

    def _begins_exception(
        self, text: str, indent: int, current: _Draft, lines: Sequence[str], number: int
    ) -> bool:
        """Whether a plain line after frames starts another exception.

        It does when it looks like one, or, as in HockeyApp's document, when it
        is any sentence directly above a frame.
        """
        name, _ = split_type(text)
        if name is not None and ("." in name or name.endswith(_TYPE_ENDINGS)):
            return True
        if indent > current.indent or text.startswith("at ") or number + 1 >= len(lines):
            return False
        return text[:1].isalpha() and lines[number + 1].lstrip().startswith("at ")

    def _open(self, text: str, relation: Relation, indent: int, *, certain: bool = False) -> None:
        first, *inner = _split_inner(text)
        signal = _SIGNAL.match(first)
        name, reason = (signal[1], first) if signal else split_type(first, certain=certain)
        proxied = ""
        if name is not None and name.endswith(_JAVA_PROXY) and reason:
            proxied, reason = reason, None
        draft = self._start(_Draft(name, [], relation, indent))
        if reason:
            self._add_reason(draft, reason)
        for part in [proxied, *inner] if proxied else inner:
            self._open_inner(part, indent)

    def _open_inner(self, text: str, indent: int) -> None:
        """A .NET exception inside the current one, whose frames come before the outer one's."""
        outer = self._current
        relation: Relation = "cause"
        numbered = _INNER_NUMBER.match(text)
        if numbered or (outer and outer.relation == "suppressed"):
            relation = "suppressed"  # an AggregateException's further parts are no causes in a row
        if numbered:
            text = text[numbered.end() :]
        if outer and len(self._outer) < MAX_EXCEPTIONS:
            self._outer.append(outer)
        name, reason = split_type(text)
        draft = self._start(_Draft(name, [], relation, indent))
        if reason:
            self._add_reason(draft, reason)

    def _close_inner(self) -> None:
        if self._outer:
            self._current = self._outer.pop()
            self._current.seen_frame = True

    def _start(self, draft: _Draft) -> _Draft:
        """Make `draft` the current one, and keep it if there is room for it."""
        self._current = draft
        if not self._drafts:
            draft.relation = "thrown"  # whatever its line called it: its outer one is not here
        if len(self._drafts) < MAX_EXCEPTIONS:
            self._drafts.append(draft)
            return draft
        self._exceptions_left_out += 1
        if draft.relation == "cause":
            self._drafts[-1] = draft  # the innermost cause tells most
        return draft

    def _bad(self, text: str) -> None:
        self._bad_lines += 1
        self._first_bad = self._first_bad or text[:80]

    def _result(self, overlong: bool) -> StackText:
        unread: list[str] = []
        if self._bad_lines:
            unread.append(
                f"lines of the stack that are no frames: {self._bad_lines}, first {self._first_bad}"
            )
        if self._frames_left_out:
            unread.append(
                f"{self._frames_left_out} frames beyond an exception's first {MAX_FRAMES} left out"
            )
        if self._exceptions_left_out:
            unread.append(
                f"{self._exceptions_left_out} exceptions beyond {MAX_EXCEPTIONS} left out"
            )
        if self._cut_lines:
            unread.append(f"{self._cut_lines} lines cut to {MAX_LINE_CHARS} characters")
        if overlong:
            unread.append(f"lines beyond the first {MAX_LINES} left out")
        exceptions = tuple(
            ExceptionInfo(
                draft.type,
                "\n".join(draft.reason).strip()[:MAX_REASON_CHARS] or None,
                tuple(draft.frames),
                draft.relation,
                draft.in_common,
            )
            for draft in self._drafts
        )
        return StackText(exceptions, tuple(self._modules.values()), tuple(unread))


def _split_inner(text: str) -> list[str]:
    """The parts of `Outer: message ---> Inner: message`; arrows inside a message stay there."""
    if " ---> " not in text:
        return [text]
    parts: list[str] = []
    for part in text.split(" ---> ", MAX_EXCEPTIONS):
        name, _ = split_type(_INNER_NUMBER.sub("", part, count=1))
        if parts and name is None:
            parts[-1] += f" ---> {part}"
        else:
            parts.append(part)
    return parts
