"""Which version is newer, where the names tell."""

from __future__ import annotations

import pytest

from chalicelib.records import Version
from chalicelib.version_order import is_newer, newest


def version(text: str, version_id: int = 1) -> Version:
    """From `NUMBER/NAME`, as `33/1.2`."""
    number, _, name = text.partition("/")
    return Version(version_id, "app", number, name, "2026-01-01T00:00:00.000000Z")


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("34/", "33/"),
        ("100/", "99/"),
        ("1.10/", "1.9/"),
        ("1.0.1/", "1/"),
        ("/v2.0", "/1.9.9"),
        ("1/2.0", "99/1.9"),  # builds that count anew with each version
        ("34/1.2", "33/1.2"),
        ("34/Spring", "33/Summer"),
        ("5/2.0-beta", "9/1.9"),
        ("6/2.0", "5/2.0-rc1"),
        ("34/1.2.0", "33/1.2"),
    ],
)
def test_numbers_with_dots_tell_which_is_newer(newer: str, older: str) -> None:
    assert is_newer(version(newer, 1), version(older, 2)) is True
    assert is_newer(version(older, 2), version(newer, 1)) is False


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/", "33/"),
        ("alpha/", "beta/"),
        ("12ab34c/1.0", "9fe1200/1.0"),  # hashes of commits
        ("/2.0-beta", "/2.0-rc"),
        ("7/2.0", "7/2.0b1"),
    ],
)
def test_other_names_do_not_tell(one: str, other: str) -> None:
    assert is_newer(version(one, 1), version(other, 2)) is None
    assert is_newer(version(other, 2), version(one, 1)) is None


def test_no_version_is_newer_than_itself_or_than_its_other_spelling() -> None:
    assert is_newer(version("x/y"), version("x/y")) is False
    assert is_newer(version("3/1.0", 1), version("3/1.0.0", 2)) is False


def test_the_newest_is_found_in_any_order_and_a_later_one_where_names_do_not_tell() -> None:
    named = [version(f"{n}/1.{n}", n) for n in (3, 10, 9)]
    assert newest(named) == newest(named[::-1]) == named[1]
    odd = [version("a/", 2), version("b/", 1)]
    assert newest(odd) == newest(odd[::-1]) == odd[0]
    assert newest([]) is None
