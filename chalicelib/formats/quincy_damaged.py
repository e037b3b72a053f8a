"""QuincyKit's XML as its clients really write it: the known elements, found without a parser.

What is taken care of: `&` and `<` that nobody escaped, CDATA inside CDATA,
characters that XML forbids, missing end tags, a post that was cut off. Only
the five predefined entities and character references are ever replaced, so
that nothing can expand. Each position of the text is looked at a bounded
number of times.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from chalicelib.errors import FormatError

TAG_NAMES = (
    "applicationname", "bundleidentifier", "systemversion", "platform", "senderversion",
    "versionstring", "version", "userid", "username", "contact", "installstring",
    "description", "log", "uuids", "uuid",
)  # fmt: skip
MAX_TAGS = 20_000  # a hundred crashes have about 2,000

_OPEN = "<![CDATA["
_CLOSE = "]]>"
# Attribute text is bounded: without that, an unclosed tag would be read again and again.
_TAG = re.compile(rf"<(/?)(crash|{'|'.join(TAG_NAMES)})(\s[^<>]{{0,200}}|/)?>")
_ATTRIBUTE = re.compile(r"(type|arch)\s{0,4}=\s{0,4}[\"']([^\"'<>]{0,64})[\"']")
_REFERENCE = re.compile(r"&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6}));", re.ASCII)
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


@dataclass(slots=True)
class DamagedCrash:
    """A crash while its elements come in; the first of two elements of one name counts."""

    values: dict[str, str] = field(default_factory=dict)
    uuids: list[tuple[str, str, str]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def set(self, name: str, value: str, attributes: Mapping[str, str], *, in_uuids: bool) -> None:
        if name == "uuid" and in_uuids:
            uuid = (value.strip(), attributes.get("type", ""), attributes.get("arch", ""))
            self.uuids.append(uuid)
        else:
            self.values.setdefault(name, value)


def read_damaged(text: str, max_crashes: int) -> list[DamagedCrash]:
    """The crashes in XML that no parser takes; one without its end counts if it has a log.

    Raises `FormatError` for a DTD before the first crash, and past a bound.
    """
    first = text.find("<crash")
    prolog = text[: first if first >= 0 else len(text)].upper()
    if "<!DOCTYPE" in prolog or "<!ENTITY" in prolog:
        raise FormatError("a DTD or an entity declaration is not allowed")
    return _DamagedReader(text, max_crashes).read()


class _DamagedReader:
    def __init__(self, text: str, max_crashes: int) -> None:
        self._text = text
        self._max_crashes = max_crashes
        self._crashes: list[DamagedCrash] = []
        self._without_close: set[str] = set()  # no `]]></name` from here to the end

    def read(self) -> list[DamagedCrash]:
        crash: DamagedCrash | None = None
        in_uuids = False
        position = tags = 0
        while (tag := _TAG.search(self._text, position)) is not None:
            tags += 1
            if tags > MAX_TAGS:
                raise FormatError(f"more than {MAX_TAGS} tags")
            position = tag.end()
            closing, name, attributes = tag[1] == "/", tag[2], tag[3] or ""
            if name == "crash":
                crash = None if closing else self._begin()
                in_uuids = False
            elif crash is None or closing:
                in_uuids = in_uuids and name != "uuids"
            elif name == "uuids":
                in_uuids = not attributes.endswith("/")
            elif not attributes.endswith("/"):
                value, position, whole = self._content(name, position)
                if not whole:
                    crash.unread.append(f"{name} is cut off")
                crash.set(name, value, dict(_ATTRIBUTE.findall(attributes)), in_uuids=in_uuids)
        if crash is not None and not crash.values.get("log"):
            self._crashes.pop()
        return [each for each in self._crashes if each.values]

    def _begin(self) -> DamagedCrash:
        if len(self._crashes) >= self._max_crashes:
            raise FormatError(f"more than {self._max_crashes} crashes")
        self._crashes.append(DamagedCrash())
        return self._crashes[-1]

    def _content(self, name: str, start: int) -> tuple[str, int, bool]:
        """Text of the element whose content starts here, where to go on, and whether it ended.

        In CDATA only `]]></name` ends it, since people type tags, too. Plain
        text ends at the next known tag, whichever it is.
        """
        text = self._text
        if text.startswith(_OPEN, _skip_space(text, start)) and name not in self._without_close:
            end = text.find(f"</{name}", start)
            while end >= 0:
                if text[max(start, end - 64) : end].rstrip().endswith(_CLOSE):
                    return _unwrap(text[start:end]), end, True
                end = text.find(f"</{name}", end + 1)
            self._without_close.add(name)
        tag = _TAG.search(text, start)
        if tag is None:
            return _unwrap(text[start:]), len(text), False
        return _unwrap(text[start : tag.start()]), tag.start(), True


def _skip_space(text: str, start: int) -> int:
    window = text[start : start + 64]
    return start + len(window) - len(window.lstrip())


def _unwrap(content: str) -> str:
    """Text without its CDATA marks; two sections side by side are one, as in a split `]]>`."""
    before, mark, rest = content.partition(_OPEN)
    if not mark:
        return _unescape(content)
    inside, close, after = rest.rpartition(_CLOSE)
    if not close:
        inside, after = rest, ""
    parts = inside.split(_CLOSE + _OPEN)
    joined = "".join(part.replace(_OPEN, "").replace(_CLOSE, "") for part in parts)
    return (_unescape(before) + joined + _unescape(after)).strip()


def _unescape(text: str) -> str:
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    if match[1]:
        return _NAMED[match[1]]
    code = int(match[2]) if match[2] else int(match[3], 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return chr(code)
