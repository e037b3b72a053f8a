"""Untrusted bytes to text: one decoding for every text format.

Devices write logs in whatever encoding their platform likes, cut them where
their buffers end, and pad them with NULs. Decoding never fails on that; it
only refuses what is not text at all.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from chalicelib.errors import FormatError

MAX_TEXT_BYTES = 4 * 1024 * 1024  # the largest crash file that HockeySDK-Android writes
_SAMPLE_CHARS = 4096  # enough to tell text from a binary file; keeps the check O(1)
_MAX_CONTROL_SHARE = 0.1  # a log holds the odd escape sequence, a binary file far more

# UTF-32 goes first: its little-endian mark begins with UTF-16's.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\t\n\r\f\b\x1b"))


@dataclass(frozen=True, slots=True)
class DecodedText:
    """Text whose lines end in "\\n" only, with what had to be given up to read it.

    `notes` are plain sentences for `Report.unread`.
    """

    text: str
    notes: tuple[str, ...] = ()


def decode(
    raw: bytes, limit_bytes: int = MAX_TEXT_BYTES, declared: str | None = None
) -> DecodedText:
    """The text in `raw`: by its byte order mark, else as declared, else UTF-8, else Latin-1.

    At most `limit_bytes` bytes are read. `declared` is a Python codec that
    holds ASCII as it is; it is tried before UTF-8. UTF-16 without a mark is known by its
    zero bytes. Text with more good UTF-8 sequences than bad ones keeps the bad
    ones as U+FFFD, other text is Latin-1. NULs at the end are padding and go,
    others become U+FFFD. "\\r\\n" and "\\r" become "\\n".

    Raises `FormatError` for bytes that are not text.
    """
    notes: list[str] = []
    if len(raw) > limit_bytes:
        notes.append(f"only the first {limit_bytes} of {len(raw)} bytes were read")
        raw = raw[:limit_bytes]
    text = _declared(raw, declared) or _characters(raw, notes)
    if "\0" in text:
        text = text.rstrip("\0").replace("\0", "\ufffd")
    sample = text[:_SAMPLE_CHARS]
    encoded = sample.encode("utf-8", "replace")
    controls = len(encoded) - len(encoded.translate(None, _CONTROLS)) + sample.count("\ufffd")
    if controls > _MAX_CONTROL_SHARE * len(sample):
        raise FormatError("not text: too many control or damaged characters")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return DecodedText(text, tuple(notes))


def _declared(raw: bytes, encoding: str | None) -> str | None:
    if encoding is None or b"\0" in raw or raw.startswith(codecs.BOM_UTF8):
        return None
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return None  # a wrong declaration is as common as a wrong byte


def _characters(raw: bytes, notes: list[str]) -> str:
    try:
        text = raw.decode("utf-8")  # nearly all traffic ends here
    except UnicodeDecodeError:
        pass
    else:
        if "\0" not in text:
            return text.removeprefix("\ufeff")
    for mark, encoding in _BYTE_ORDER_MARKS:
        if raw.startswith(mark):
            return _lenient(raw[len(mark) :], encoding, notes)
    return _lenient(raw, _utf16_without_mark(raw) or "utf-8", notes)


def _utf16_without_mark(raw: bytes) -> str | None:
    """Which UTF-16 it is when nearly every second byte is zero, as in Western text."""
    even, odd = raw[0:_SAMPLE_CHARS:2], raw[1:_SAMPLE_CHARS:2]
    enough = 0.6 * len(odd)
    if odd.count(0) > enough and even.count(0) < enough / 2:
        return "utf-16-le"
    if even.count(0) > enough and odd.count(0) < enough / 2:
        return "utf-16-be"
    return None


def _lenient(raw: bytes, encoding: str, notes: list[str]) -> str:
    text = raw.decode(encoding, "replace")
    damaged = text.count("\ufffd")
    if not damaged:
        return text
    whole = text.rstrip("\ufffd")
    if "\ufffd" not in whole:
        notes.append("the text ends inside a character")
        return whole
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
    if encoding == "utf-8" and beyond_ascii < 2 * damaged:
        notes.append("the text is not UTF-8; it was read as Latin-1")
        return raw.decode("latin-1")
    notes.append(f"{damaged} places were not valid {encoding.upper()}")
    return text


def as_sent(raw: bytes) -> str:
    """Every line as it came, to be shown; bytes that are no UTF-8 are shown as Latin-1."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def storable(text: str) -> str:
    """The text with half characters (`\\ud800` in JSON) replaced: no store takes them."""
    return text.encode("utf-8", "replace").decode()
