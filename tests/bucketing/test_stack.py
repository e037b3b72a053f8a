"""What two crashes of one cause may differ in, and what they may not."""

from __future__ import annotations

import pytest

from chalicelib.bucketing.stack import blank_variable_parts, normalise
from chalicelib.model import ExceptionInfo, Frame, Report, Thread


def java(*functions: str, type_: str = "java.lang.NullPointerException") -> Report:
    frames = tuple(Frame(function=name, line=number) for number, name in enumerate(functions, 1))
    return Report("android", exceptions=(ExceptionInfo(type_, "broken", frames),))


def fingerprint(report: Report) -> str | None:
    return normalise(report).fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("com.app.Main.lambda$onCreate$3", "com.app.Main.lambda$onCreate$17"),
        ("com.app.Main$1.run", "com.app.Main$2.run"),
        ("com.app.Main$$Lambda$14/0x0000000800c03000.run", "com.app.Main$$Lambda$9.run"),
        ("__41-[Foo bar]_block_invoke_2", "__41-[Foo bar]_block_invoke_3"),
        ("do_work.constprop.0", "do_work.constprop.12"),
        ("App.Program.<Main>b__12_0", "App.Program.<Main>b__3_0"),
    ],
)
def test_counters_that_a_compiler_made_do_not_matter(one: str, other: str) -> None:
    assert fingerprint(java(one, "com.app.A.b")) == fingerprint(java(other, "com.app.A.b"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("com.app.Main.run", "com.app.Main.walk"),
        ("com.app.Main1.run", "com.app.Main2.run"),
        ("com.app.Outer$Inner.run", "com.app.Outer$Other.run"),
        ("-[Foo bar:]", "-[Foo baz:]"),
    ],
)
def test_names_that_a_person_gave_do(one: str, other: str) -> None:
    assert fingerprint(java(one, "com.app.A.b")) != fingerprint(java(other, "com.app.A.b"))


def test_lines_and_addresses_do_not_matter() -> None:
    one = Report("linux", threads=(Thread(0, crashed=True, frames=(Frame("f", address=1),)),))
    other = Report(
        "linux", threads=(Thread(0, crashed=True, frames=(Frame("f", address=9, line=4),)),)
    )
    assert fingerprint(one) == fingerprint(other)


def test_the_depth_of_a_recursion_does_not_matter() -> None:
    cycle = ("com.app.Tree.visit", "com.app.Tree.children")
    assert fingerprint(java("com.app.A.a", *cycle * 2, "com.app.M.m")) == fingerprint(
        java("com.app.A.a", *cycle * 20, "com.app.M.m")
    )


def test_the_data_in_a_message_does_not_matter() -> None:
    frames = (Frame("com.app.A.a"),)
    one = Report("java", exceptions=(ExceptionInfo("X", "user 17: no file '/tmp/x'", frames),))
    other = Report("java", exceptions=(ExceptionInfo("X", "user 8: no file '/d/y.z'", frames),))
    assert fingerprint(one) == fingerprint(other)


def test_shared_outer_frames_may_be_written_out_or_left_out() -> None:
    cause = ExceptionInfo("C", None, (Frame("a.B.c"),), "cause")
    shared = (Frame("a.M.main"),)
    full = Report(
        "java",
        exceptions=(
            ExceptionInfo("W", None, (Frame("a.W.w"), *shared)),
            ExceptionInfo("C", None, (*cause.frames, *shared), "cause"),
        ),
    )
    common = Report(
        "java",
        exceptions=(ExceptionInfo("W", None, (Frame("a.W.w"), *shared)), cause),
    )
    assert fingerprint(full) == fingerprint(common)


def test_reports_with_nothing_to_compare_have_no_fingerprint() -> None:
    assert fingerprint(Report("other")) is None


def test_unsymbolicated_frames_are_told_apart_by_their_offset_in_the_module() -> None:
    def at(offset: int) -> Report:
        frame = Frame(module="libapp.so", offset=offset, address=0x7000 + offset)
        return Report("linux", threads=(Thread(0, crashed=True, frames=(frame,)),))

    assert fingerprint(at(0x10)) == fingerprint(at(0x10))
    assert fingerprint(at(0x10)) != fingerprint(at(0x20))


@pytest.mark.parametrize(
    ("message", "blanked"),
    [
        ("index 12 out of range 0..7", "index * out of range *..*"),
        ('no column "user_name" in /data/user/0/app.db', 'no column "user_name" in *'),
        ('no user "ann@example.org"', "no user *"),
        ("object 0x7fff5694dc58 is gone", "object * is gone"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "id *"),
    ],
)
def test_variable_parts_of_messages_are_blanked(message: str, blanked: str) -> None:
    assert blank_variable_parts(message) == blanked


def test_the_address_of_a_crash_is_no_message_of_its_own() -> None:
    kind = "SIGSEGV /SEGV_MAPERR"
    crash = Report("linux", kind, f"{kind} at 0x45", crash_address=0x45)
    assert normalise(crash).message == ""
    kind = "EXCEPTION_IN_PAGE_ERROR_READ"
    told = Report("windows", kind, f"{kind} (STATUS_DISK_FULL) at 0x45", crash_address=0x45)
    assert normalise(told).message == f"{kind} (STATUS_DISK_FULL)"
