"""Untrusted bytes to text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import FormatError
from chalicelib.formats.text import DecodedText, decode


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", ""),
        (b"a\r\nb\rc\nd", "a\nb\nc\nd"),
        (b"\xef\xbb\xbfa", "a"),
        ("ä\n".encode("utf-16"), "ä\n"),
        ("plain text".encode("utf-16-be"), "plain text"),
        ("plain text".encode("utf-16-le"), "plain text"),
        (b"padded\0\0\0", "padded"),
        (b"one \0 in many more than ten characters", "one \ufffd in many more than ten characters"),
    ],
)
def test_text_is_read_and_nothing_is_noted(raw: bytes, text: str) -> None:
    assert decode(raw) == DecodedText(text)


def test_latin1_is_known_by_its_damage() -> None:
    assert decode("Käse für Übermorgen".encode("latin-1")) == DecodedText(
        "Käse für Übermorgen", ("the text is not UTF-8; it was read as Latin-1",)
    )


def test_utf8_with_one_bad_byte_stays_utf8() -> None:
    decoded = decode("Käse für \x00 Übermorgen".encode().replace(b"\0", b"\xff"))
    assert decoded.text == "Käse für \ufffd Übermorgen"
    assert decoded.notes == ("1 places were not valid UTF-8",)


def test_a_cut_character_goes_and_is_noted() -> None:
    assert decode("Käse ü".encode()[:-1]) == DecodedText(
        "Käse ", ("the text ends inside a character",)
    )


def test_no_more_than_the_limit_is_read() -> None:
    assert decode(b"abcdef", 4) == DecodedText("abcd", ("only the first 4 of 6 bytes were read",))


def test_a_declared_encoding_is_tried_first_and_not_trusted() -> None:
    assert decode("жук".encode("koi8-r"), declared="koi8-r").text == "жук"
    assert decode("жук".encode(), declared="ascii").text == "жук"


@pytest.mark.parametrize(
    "raw", [bytes(range(256)), b"\x89PNG\r\n\x1a\n" + bytes(99), b"\0" * 9 + b"a"]
)
def test_a_binary_file_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError, match="not text"):
        decode(raw)


@given(st.binary(max_size=300))
def test_any_bytes_give_text_that_can_be_stored_or_an_error(raw: bytes) -> None:
    try:
        text = decode(raw).text
    except FormatError:
        return
    assert not {"\0", "\r"} & set(text)
    text.encode()
