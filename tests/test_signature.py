"""The one line that names a native crash."""

from __future__ import annotations

import pytest

from chalicelib.model import ExceptionInfo, Frame, Report, Thread
from chalicelib.signature import NO_FRAMES, omaha_signature, readable_signature


def _report(*frames: Frame, platform: str = "linux", reason: str | None = None) -> Report:
    thread = Thread(3, crashed=True, frames=frames)
    return Report(platform=platform, exception_type=reason, threads=(Thread(0), thread))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("frame", "signature"),
    [
        (Frame(function="Func(A * a,B b)", file="a.cc", line=3), "Func(A* a, B b)"),
        (Frame(function="f(int &, char)"), "f(int&, char)"),
        (Frame(file="c:\\work\\app.cpp", line=34, module="app.exe"), "app.cpp#34"),
        (Frame(file="/src/app.cpp/", line=34), "app.cpp#34"),
        (Frame(module="app.exe", offset=0x1234, address=0x401234), "app.exe@0x1234"),
        (Frame(file="app.cpp", module="app.exe", offset=0x10), "app.exe@0x10"),
        (Frame(address=0x3DF944), "@0x3df944"),
    ],
)
def test_omaha_signature_names_the_first_frame(frame: Frame, signature: str) -> None:
    assert omaha_signature(_report(frame, Frame(function="main"))) == signature


def test_omaha_signature_says_that_there_are_no_frames() -> None:
    assert omaha_signature(_report()) == NO_FRAMES == "EMPTY: no frame data available"
    assert omaha_signature(Report(platform="windows")) == NO_FRAMES


def test_readable_signature_passes_over_what_every_crash_goes_through() -> None:
    report = _report(
        Frame(function="raise", module="libc.so.6"),
        Frame(function="abort", module="libc.so.6"),
        Frame(function="std::panicking::begin_panic", file="/rustc/1/library/std/src/p.rs"),
        Frame(function="game::ship::Ship<T>::sink(int, char const *)", module="game"),
        Frame(function="main", module="game"),
    )
    signature = readable_signature(report)
    assert signature is not None
    assert signature.endswith("game::ship::Ship<T>::sink")
    assert "main" not in signature


def test_readable_signature_names_the_module_where_there_is_no_function() -> None:
    report = _report(Frame(module="Game.exe", offset=0x10, address=0x400010), platform="windows")
    assert readable_signature(report) == "game.exe"


def test_readable_signature_marks_an_exhausted_stack() -> None:
    report = _report(Frame(function="deeper()"), reason="EXCEPTION_STACK_OVERFLOW")
    assert readable_signature(report) == "stackoverflow | deeper"


def test_a_report_without_frames_has_no_readable_signature() -> None:
    assert readable_signature(_report()) is None
    assert readable_signature(Report(platform="linux")) is None


def test_an_endless_name_costs_little_and_the_signature_stays_short() -> None:
    report = _report(Frame(function="f<" * 100_000), Frame(function="main"))
    signature = readable_signature(report)
    assert signature is not None
    assert len(signature) <= 255


def test_omaha_signature_of_an_exception_is_where_it_was_thrown() -> None:
    thrown = ExceptionInfo("java.lang.Error", None, (Frame(function="com.acme.Shop.pay"),))
    assert omaha_signature(Report("android", exceptions=(thrown,))) == "com.acme.Shop.pay"
