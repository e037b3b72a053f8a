"""Classes and methods out of the readable names of native functions."""

from __future__ import annotations

import pytest

from chalicelib.formats.minidump.frame_names import split_name


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("main", (None, "main")),
        ("crash()", (None, "crash")),
        ("overflow(char const*)", (None, "overflow")),
        ("google_breakpad::Handler::Write(int)", ("google_breakpad::Handler", "Write")),
        ("`anonymous namespace'::CrashFunction", ("(anonymous namespace)", "CrashFunction")),
        ("std::map<int,char>::at", ("std::map<int,char>", "at")),
        ("-[Ship(Sinking) sink:]", ("Ship", "sink:")),
        ("Game.Ship.sink(at: Swift.Int) -> ()", ("Game.Ship", "sink(at: Swift.Int)")),
        ("core::ptr::write_volatile::<u8>", ("core::ptr", "write_volatile")),
        ("crash_client::real_main::{closure#1}", ("crash_client", "real_main")),
        ("game::run::{{closure}}::h0123456789abcdef", ("game", "run")),
        ("<game::Ship as game::Hull>::sink", ("<game::Ship as game::Hull>", "sink")),
        (
            "<fn() as core::ops::function::FnOnce<()>>::call_once",
            ("<fn() as core::ops::function::FnOnce<()>>", "call_once"),
        ),
        (
            "sort::<game::Ship, fn(&game::Ship) -> u8>",
            (None, "sort"),
        ),
        ("a" * 5000 + "::b", (None, "a" * 5000 + "::b")),
    ],
)  # fmt: skip
def test_a_name_is_split(function: str, expected: tuple[str | None, str]) -> None:
    assert split_name(function) == expected
