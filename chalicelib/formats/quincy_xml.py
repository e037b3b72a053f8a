"""QuincyKit's crash post: an XML `<crash>`, or `<crashes>` with many of them.

Source: "Sending a crash report" (QuincyKit), and the elements that its later
clients add. Those clients do not escape `&` and `<` in what people typed and
nest CDATA, so that a strict reading is tried first and a tolerant one of the
known elements after it. The log inside is not read here.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, fields
from enum import IntEnum
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from chalicelib.errors import FormatError
from chalicelib.formats.quincy_damaged import TAG_NAMES, DamagedCrash, read_damaged
from chalicelib.formats.text import decode

MAX_XML_BYTES = 10 * 1024 * 1024  # what API Gateway lets through
MAX_CRASHES = 100  # a client sends those of one device since its last start, usually one
MAX_DEPTH = 16  # crashes/crash/uuids/uuid is 4
MAX_ELEMENTS = 10_000
MAX_FIELD_CHARS = 1024  # four times HockeyApp's limit for user and contact
MAX_UUIDS = 64
_CHUNK_CHARS = 64 * 1024  # a bound is noticed before the rest is read

_LONG_FIELDS = ("log", "description")
_LEAF_NAMES = frozenset(TAG_NAMES) - {"uuids"}
_CHARACTER_RULE = re.compile(r"[0-9a-zA-Z\s.,;:&\"'?!()]*", re.ASCII)
_DECLARATION = re.compile(r"\s*<\?xml[^>]{0,256}\?>")
_ENCODING = re.compile(
    rb"<\?xml[^>]{0,200}?encoding\s{0,8}=\s{0,8}[\"']([A-Za-z0-9._-]{1,40})[\"']"
)
# Codecs that hold ASCII as it is; UTF-16 shows itself, and nothing else is let near the parser.
_SAFE_CODECS = frozenset({
    "utf-8", "ascii", "iso8859-1", "iso8859-2", "iso8859-5", "iso8859-7", "iso8859-9",
    "iso8859-15", "cp1250", "cp1251", "cp1252", "mac-roman", "shift_jis", "euc_jp", "euc_kr",
    "gb2312", "gbk", "gb18030", "big5", "koi8-r",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class BinaryUuid:
    """The id of one binary image, as `<uuid type="app" arch="arm64">` gives it."""

    value: str
    type: str = ""
    arch: str = ""


@dataclass(frozen=True, slots=True)
class QuincyCrash:
    """One `<crash>`, each field named after its element; empty when it is not there.

    `version` is the build that crashed, `senderversion` the one that sent it.
    `unread` says what was cut off.
    """

    applicationname: str = ""
    bundleidentifier: str = ""
    systemversion: str = ""
    platform: str = ""
    senderversion: str = ""
    version: str = ""
    userid: str = ""
    contact: str = ""
    description: str = ""
    log: str = ""
    uuids: tuple[BinaryUuid, ...] = ()
    uuid: str = ""
    username: str = ""
    installstring: str = ""
    versionstring: str = ""
    unread: tuple[str, ...] = ()


class ResultCode(IntEnum):
    """What the self-hosted server answers in `<result>`; the best one of a post counts."""

    FIX_UNKNOWN = 0
    IN_DEVELOPMENT = 1
    SUBMITTED = 2
    AVAILABLE = 3
    APP_UNKNOWN = -2
    INVALID_POST = -3
    ILLEGAL_VERSION = -20
    ILLEGAL_SENDER_VERSION = -21
    VERSION_DISCONTINUED = -30
    UNREADABLE_XML = -40
    QUEUED = -80


REQUIRED = ("log", "version", "applicationname", "bundleidentifier")


def missing_fields(crash: QuincyCrash) -> tuple[str, ...]:
    """Which of the elements that the self-hosted server demands are empty."""
    return tuple(name for name in REQUIRED if not getattr(crash, name).strip())


def check(crash: QuincyCrash) -> ResultCode | None:
    """Why the self-hosted server refuses the crash, or None if it does not.

    The character rule binds that way of posting only; HockeyApp took any.
    """
    if missing_fields(crash):
        return ResultCode.INVALID_POST
    if not _CHARACTER_RULE.fullmatch(crash.version):
        return ResultCode.ILLEGAL_VERSION
    if not _CHARACTER_RULE.fullmatch(crash.senderversion):
        return ResultCode.ILLEGAL_SENDER_VERSION
    return None


def parse(raw: bytes) -> tuple[QuincyCrash, ...]:
    """The crashes of a post, at least one.

    Bounded: 10 MiB, 100 crashes, 16 levels, 10,000 elements; fields other than
    log and description are cut to 1024 characters. Damaged XML gives the
    crashes that could be read. Raises `FormatError` when there is none, when a
    bound is passed, and for any DTD or entity declaration.
    """
    if len(raw) > MAX_XML_BYTES:
        raise FormatError(f"the XML has {len(raw)} bytes; the limit is {MAX_XML_BYTES}")
    decoded = decode(raw, MAX_XML_BYTES, _declared_codec(raw))
    # The text is decoded already: a declaration of another encoding would mislead.
    text = _DECLARATION.sub("", decoded.text, count=1).strip()
    if not text:
        raise FormatError("the XML is empty")
    try:
        crashes = _strict(text)
    except ParseError as error:
        crashes = read_damaged(text, MAX_CRASHES)
        if not crashes:
            raise FormatError(f"not XML: {error.msg}"[:200]) from error
    if not crashes:
        raise FormatError("no <crash> in <crashes>")
    return tuple(_typed(crash, decoded.notes) for crash in crashes)


def _declared_codec(raw: bytes) -> str | None:
    match = _ENCODING.search(raw[:512])
    if match is None:
        return None
    try:
        name = codecs.lookup(match[1].decode("ascii")).name
    except LookupError:
        return None
    return name if name in _SAFE_CODECS else None


def _strict(text: str) -> list[DamagedCrash]:
    """The crashes of well-formed XML; ParseError when it is not, FormatError past a bound."""
    collector = _Collector()
    parser = DefusedXMLParser(target=collector, forbid_dtd=True)
    try:
        for start in range(0, len(text), _CHUNK_CHARS):
            parser.feed(text[start : start + _CHUNK_CHARS])
        parser.close()
    except DefusedXmlException as error:
        raise FormatError("a DTD or an entity declaration is not allowed") from error
    return collector.crashes


class _Collector:
    """A parser target that keeps the known elements and enforces the bounds as they come."""

    def __init__(self) -> None:
        self.crashes: list[DamagedCrash] = []
        self._path: list[str] = []
        self._elements = 0
        self._field: str | None = None
        self._field_depth = 0
        self._pieces: list[str] = []
        self._attributes: dict[str, str] = {}

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise FormatError(f"more than {MAX_ELEMENTS} elements")
        if len(self._path) >= MAX_DEPTH:
            raise FormatError(f"elements are nested deeper than {MAX_DEPTH}")
        if not self._path and tag not in ("crash", "crashes"):
            raise FormatError(f"the root element is <{tag[:40]}>, not <crash> or <crashes>")
        self._path.append(tag)
        if tag == "crash" and len(self._path) == (1 if self._path[0] == "crash" else 2):
            if len(self.crashes) >= MAX_CRASHES:
                raise FormatError(f"more than {MAX_CRASHES} crashes")
            self.crashes.append(DamagedCrash())
        elif self._field is None and "crash" in self._path and tag in _LEAF_NAMES:
            self._field, self._field_depth = tag, len(self._path)
            self._pieces, self._attributes = [], attributes

    def data(self, text: str) -> None:
        if self._field is not None:
            self._pieces.append(text)

    def end(self, _tag: str) -> None:
        if self._field is not None and len(self._path) == self._field_depth:
            self.crashes[-1].set(
                self._field,
                "".join(self._pieces),
                self._attributes,
                in_uuids="uuids" in self._path,
            )
            self._field = None
        self._path.pop()

    def close(self) -> None:
        """The parser asks for a result here; `crashes` holds it."""


_SHORT_FIELDS = tuple(
    entry.name
    for entry in fields(QuincyCrash)
    if entry.type == "str" and entry.name not in _LONG_FIELDS
)


def _typed(crash: DamagedCrash, notes: tuple[str, ...]) -> QuincyCrash:
    unread = [*notes, *crash.unread]
    values: dict[str, str] = {}
    for name in _SHORT_FIELDS:
        value = crash.values.get(name, "").strip()
        if len(value) > MAX_FIELD_CHARS:
            unread.append(f"{name} cut to {MAX_FIELD_CHARS} characters")
            value = value[:MAX_FIELD_CHARS]
        values[name] = value
    if len(crash.uuids) > MAX_UUIDS:
        unread.append(f"uuids beyond the first {MAX_UUIDS} left out")
    return QuincyCrash(
        **values,
        # CDATA that a client nested and closed once is well-formed, with the inner mark as text.
        description=crash.values.get("description", "").replace("<![CDATA[", "").strip(),
        log=crash.values.get("log", "").strip(),
        uuids=tuple(
            BinaryUuid(*(part[:MAX_FIELD_CHARS] for part in parts))
            for parts in crash.uuids[:MAX_UUIDS]
        ),
        unread=tuple(unread),
    )
