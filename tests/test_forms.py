"""Forms as clients write them: which of the fields counts, and which are there at all."""

from __future__ import annotations

import pytest

from chalicelib import forms
from chalicelib.forms import Form
from tests.minidump_forms import Part, form


def _multipart(*parts: Part) -> Form:
    body, kind = form(parts)
    return forms.parse(kind, body)


@pytest.mark.parametrize(
    "read",
    [
        _multipart(Part("a", "1"), Part("b", "2"), Part("a", "3")),
        forms.parse("application/x-www-form-urlencoded", b"a=1&b=2&a=3"),
    ],
    ids=["multipart", "urlencoded"],
)
def test_of_a_field_sent_twice_the_first_counts_and_the_others_are_there(read: Form) -> None:
    assert (read.text("a"), read.text("b"), read.text("c")) == ("1", "2", "")
    assert [(name, part.text) for name, part in read.everything()] == [
        ("a", "1"), ("b", "2"), ("a", "3"),
    ]  # fmt: skip


def test_files_of_one_name_keep_their_own_file_names() -> None:
    read = _multipart(Part("file", b"x", "a.sym"), Part("file", b"x", "b.sym"))
    assert [part.filename for _, part in read.everything()] == ["a.sym", "b.sym"]


def test_a_body_of_another_type_is_an_empty_form() -> None:
    assert not list(forms.parse("application/json", b"{}").everything())
    assert not list(forms.parse(None, b"a=1").everything())
