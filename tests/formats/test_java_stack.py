"""Stack text of the JVM, Android, Kotlin, Xamarin and .NET, line by line and as chains."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.formats.java_frame import managed_frame, native_frame
from chalicelib.formats.java_stack import (
    MAX_EXCEPTIONS,
    MAX_FRAMES,
    MAX_REASON_CHARS,
    read_stack,
    split_type,
)
from chalicelib.model import ExceptionInfo, Frame


def frame_of(line: str, package: str | None = None) -> Frame:
    frame = managed_frame(line, package)
    assert frame is not None, line
    return frame


@pytest.mark.parametrize(
    ("line", "class_name", "method", "file", "number"),
    [
        ("at a.B.c(B.java:12)", "a.B", "c", "B.java", 12),
        ("at a.B.c(B.java)", "a.B", "c", "B.java", None),
        ("at a.B.c(Native Method)", "a.B", "c", None, None),
        ("at a.B.c(Unknown Source)", "a.B", "c", None, None),
        ("at a.B.c(Unknown Source:12)", "a.B", "c", None, 12),
        ("at a.b.c.d(SourceFile:12)", "a.b.c", "d", "SourceFile", 12),
        ("at a.b.c.d(:42)", "a.b.c", "d", None, 42),
        ("at a.b.c.d(PG:0)", "a.b.c", "d", "PG", None),
        ("at a.B.c(B.java:-1)", "a.B", "c", "B.java", None),
        ("at a.B.<init>(B.java:1)", "a.B", "<init>", "B.java", 1),
        ("at a.B.<clinit>(B.java:1)", "a.B", "<clinit>", "B.java", 1),
        ("at a.B.lambda$run$0(B.kt:3)", "a.B", "lambda$run$0", "B.kt", 3),
        ("at a.B$c$1$2.invoke(B.kt:3)", "a.B$c$1$2", "invoke", "B.kt", 3),
        ("at a.BTest.adds two numbers(BTest.kt:3)", "a.BTest", "adds two numbers", "BTest.kt", 3),
        (
            "at a.B$$Lambda/0x0800c030.run(Unknown Source)",
            "a.B$$Lambda/0x0800c030",
            "run",
            None,
            None,
        ),
        ("at a.B.c(B.java:1) ~[b-1.2.jar:1.2]", "a.B", "c", "B.java", 1),
        ("at a.B.c(B.java:1) [b-1.2.jar:?]", "a.B", "c", "B.java", 1),
        ("at ünï.Cödé.läuft(Cödé.kt:9)", "ünï.Cödé", "läuft", "Cödé.kt", 9),
        (
            "at N.C.M (System.String x) [0x00012] in /path/File.cs:34",
            "N.C",
            "M",
            "/path/File.cs",
            34,
        ),
        ("at N.C.M () [0x00012] in <d4a23bbd2f544c30>:0", "N.C", "M", None, None),
        ("at N.C+<M>d__3.MoveNext ()", "N.C+<M>d__3", "MoveNext", None, None),
        ("at N.C`1[T].M[U] (System.Func`2[T,U] f)", "N.C`1[T]", "M[U]", None, None),
        ("at N.C.M[System.Int32] (System.Int32 f)", "N.C", "M[System.Int32]", None, None),
        (r"at N.C.M(Type arg) in C:\path\File.cs:line 34", "N.C", "M", r"C:\path\File.cs", 34),
        (r"at N.C.M(Type arg) in C:\a\File.cs:Zeile 34.", "N.C", "M", r"C:\a\File.cs", 34),
        ("at N.C..ctor()", "N.C", ".ctor", None, None),
        ("at N.C..cctor () [0x00000] in <1f>:0", "N.C", ".cctor", None, None),
        ("at N.C.M(Int32 a, String b)", "N.C", "M", None, None),
    ],
)
def test_a_line_gives_its_class_method_file_and_line(
    line: str, class_name: str, method: str, file: str | None, number: int | None
) -> None:
    frame = frame_of(line)
    assert frame.function == f"{class_name}.{method}"
    assert (frame.class_name, frame.method) == (class_name, method)
    assert (frame.file, frame.line) == (file, number)


@pytest.mark.parametrize(
    ("line", "module"),
    [
        ("at java.base/java.util.List.get(List.java:1)", "java.base"),
        ("at java.base@17.0.1/java.util.List.get(List.java:1)", "java.base@17.0.1"),
        ("at app//com.x.Y.z(Y.java:1)", "app"),
        ("at app/mod@1.0/com.x.Y.z(Y.java:1)", "app/mod@1.0"),
    ],
)
def test_a_module_prefix_is_no_part_of_the_class(line: str, module: str) -> None:
    frame = frame_of(line)
    assert frame.module == module
    assert frame.class_name in ("java.util.List", "com.x.Y")


@pytest.mark.parametrize(
    "line",
    [
        "at",
        "at ",
        "at a.B.c",
        "at a.B.c(",
        "at a.B.c(B.java:12",
        "at (B.java:12)",
        "at .c(B.java:12)",
        "at a.B.(B.java:12)",
        "at 10:30 we lost it (again)",
        "at a.B.c(B.java:" + "9" * 5000 + ")",
    ],
)
def test_what_is_no_frame_is_not_made_one(line: str) -> None:
    assert managed_frame(line) is None


def test_a_compiled_expression_has_no_class_and_is_not_the_apps() -> None:
    frame = frame_of("at lambda_method(Closure , Object )")
    assert (frame.function, frame.class_name, frame.in_app) == ("lambda_method", None, False)


@pytest.mark.parametrize("digits", ["\u00b2", "\u0663", "9" * 40, "-", "-\u0663"])
def test_a_strange_line_number_costs_the_line_only(digits: str) -> None:
    frame = frame_of(f"at a.B.c(B.java:{digits})")
    assert (frame.function, frame.line) == ("a.B.c", None)


@pytest.mark.parametrize(
    ("name", "in_app"),
    [
        ("java.util.List", False),
        ("javassist.Pool", True),
        ("org.json.JSONTokener", False),
        ("androidx.core.App", False),
        ("com.android.internal.os.ZygoteInit", False),
        ("kotlinx.coroutines.Job", False),
        ("System.Linq.Enumerable", False),
        ("crc64a1b2c3d4e5f60718.MainActivity", False),
        ("md52ce486a14f4bcd95899665e9d932190b.MainActivity", False),
        ("md5tool.Sum", True),
        ("a.b.c", True),
        ("com.android.vending.Store", True),
    ],
)
def test_in_app_is_what_no_platform_owns_or_the_package_holds(name: str, in_app: bool) -> None:
    assert frame_of(f"at {name}.m(F.java:1)", "com.android.vending").in_app is in_app


def test_a_native_frame_has_its_offset_library_and_build_id() -> None:
    native = native_frame(
        "#07 pc 0000abcd  /data/app/x/lib/arm/libgame.so (draw(int)+64) (BuildId: 1f)"
    )
    assert native is not None
    assert native.frame == Frame("draw(int)", module="libgame.so", offset=0xABCD, in_app=True)
    assert (native.library_path, native.build_id) == ("/data/app/x/lib/arm/libgame.so", "1f")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("java.lang.Error: a: b", ("java.lang.Error", "a: b")),
        ("java.lang.Error", ("java.lang.Error", None)),
        ("java.lang.Error:", ("java.lang.Error", None)),
        ("MyException: x", ("MyException", "x")),
        ("Unable to start: x", (None, "Unable to start: x")),
        ("http://example.com", (None, "http://example.com")),
        ("N.C`1[T]: x", ("N.C`1[T]", "x")),
        ("", (None, None)),
    ],
)
def test_a_type_is_split_from_its_reason(
    text: str, expected: tuple[str | None, str | None]
) -> None:
    assert split_type(text) == expected


def shape(text: str) -> list[tuple[str, str | None, int]]:
    return [(e.relation, e.type, len(e.frames)) for e in read_stack(text).exceptions]


def test_a_cause_inside_a_suppressed_one_stays_out_of_the_chain() -> None:
    text = (
        "a.A: x\n\tat a.A.m(A.java:1)\n"
        "\tSuppressed: a.S: y\n\t\tat a.S.m(S.java:1)\n"
        "\t\tSuppressed: a.T\n\t\t\tat a.T.m(T.java:1)\n"
        "\tCaused by: a.SC\n\t\tat a.SC.m(SC.java:1)\n\t\t... 3 more\n"
        "Caused by: a.C\n\tat a.C.m(C.java:1)\n\t... 7 more\n"
    )
    assert shape(text) == [
        ("thrown", "a.A", 1),
        ("suppressed", "a.S", 1),
        ("suppressed", "a.T", 1),
        ("suppressed", "a.SC", 1),
        ("cause", "a.C", 1),
    ]
    assert [e.frames_in_common for e in read_stack(text).exceptions] == [0, 0, 0, 3, 7]


def test_a_circular_reference_adds_no_exception() -> None:
    text = "a.A: x\n\tat a.A.m(A.java:1)\nCaused by: [CIRCULAR REFERENCE: a.A: x]\n"
    assert shape(text) == [("thrown", "a.A", 1)]
    assert shape(text.replace("Caused by: ", "\t")) == [("thrown", "a.A", 1)]


def test_a_message_may_have_many_lines() -> None:
    text = "a.A: first\n  second: line\n\nat least one (more)\n\tat a.A.m(A.java:1)\n"
    stack = read_stack(text)
    assert stack.exceptions[0].reason == "first\nsecond: line\n\nat least one (more)"
    assert stack.unread == ()


def test_dotnet_frames_belong_to_the_exception_whose_end_they_precede() -> None:
    text = (
        "N.Outer: o ---> N.Middle: m ---> N.Inner: i\n   at N.I.A()\n   at N.I.B()\n"
        "   --- End of inner exception stack trace ---\n   at N.M.A()\n"
        "   --- End of inner exception stack trace ---\n   at N.O.A()\n"
        "--- End of stack trace from previous location ---\n   at N.O.B()\n   at N.O.C()\n"
    )
    assert shape(text) == [
        ("thrown", "N.Outer", 3),
        ("cause", "N.Middle", 1),
        ("cause", "N.Inner", 2),
    ]


def test_further_parts_of_an_aggregate_exception_are_no_causes() -> None:
    text = (
        "System.AggregateException: many ---> N.A: a\n   at N.A.M()\n"
        "   --- End of inner exception stack trace ---\n   at N.O.M()\n"
        "---> (Inner Exception #0) N.A: a\n   at N.A.M()<---\n\n"
        "---> (Inner Exception #1) N.B: b\n   at N.B.M()<---\n"
    )
    assert [entry[:2] for entry in shape(text)] == [
        ("thrown", "System.AggregateException"),
        ("cause", "N.A"),
        ("suppressed", "N.A"),
        ("suppressed", "N.B"),
    ]


def test_an_arrow_in_a_message_is_not_an_inner_exception() -> None:
    stack = read_stack("a.A: x ---> y\n\tat a.A.m(A.java:1)\n")
    assert [(e.type, e.reason) for e in stack.exceptions] == [("a.A", "x ---> y")]


def test_a_line_that_is_no_frame_is_named_and_the_rest_read() -> None:
    stack = read_stack("a.A\n\tat a.A.m(A.java:1)\n\tat a.A.n(A.ja\n\t%%%\n\tat a.A.o(A.java:3)\n")
    assert [frame.method for frame in stack.exceptions[0].frames] == ["m", "o"]
    assert stack.unread == ("lines of the stack that are no frames: 2, first at a.A.n(A.ja",)


def test_a_stack_without_a_header_keeps_its_frames() -> None:
    assert shape("\tat a.A.m(A.java:1)\n") == [("thrown", None, 1)]


def test_a_hundred_thousand_frames_keep_the_innermost() -> None:
    lines = "".join(f"\tat a.A.m{number}(A.java:{number})\n" for number in range(1, 100_001))
    stack = read_stack("java.lang.StackOverflowError\n" + lines)
    frames = stack.exceptions[0].frames
    assert len(frames) == MAX_FRAMES
    assert frames[0].line == 1
    assert stack.unread == (
        f"{100_000 - MAX_FRAMES} frames beyond an exception's first 512 left out",
    )


def test_an_endless_chain_keeps_its_innermost_cause() -> None:
    causes = "".join(f"Caused by: a.C{number}\n\tat a.C.m(C.java:1)\n" for number in range(5000))
    stack = read_stack("a.A\n\tat a.A.m(A.java:1)\n" + causes)
    assert len(stack.exceptions) == MAX_EXCEPTIONS
    assert stack.exceptions[-1].type == "a.C4999"
    assert any("exceptions beyond" in note for note in stack.unread)


def test_one_endless_line_is_cut() -> None:
    stack = read_stack("a.A: " + "x" * 1_000_000)
    assert len(stack.exceptions[0].reason or "") <= MAX_REASON_CHARS
    assert stack.unread


names = st.from_regex(r"[a-z][a-zA-Z0-9_$]{0,8}", fullmatch=True)
classes = st.lists(names, min_size=2, max_size=4).map(".".join)
files = st.one_of(st.none(), names.map(lambda name: f"{name}.java"))


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    class_name = draw(classes)
    method = draw(st.one_of(names, st.sampled_from(["<init>", "<clinit>", "lambda$a$0"])))
    line = draw(st.one_of(st.none(), st.integers(1, 99_999)))
    return Frame(f"{class_name}.{method}", class_name, method, None, draw(files), line)


@st.composite
def chains(draw: st.DrawFn) -> tuple[ExceptionInfo, ...]:
    size = draw(st.integers(1, 4))
    reasons = st.one_of(
        st.none(), st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9 .,]{0,30}", fullmatch=True)
    )
    return tuple(
        ExceptionInfo(
            draw(classes) + "Exception",
            (draw(reasons) or "").strip() or None,
            tuple(draw(st.lists(frames(), min_size=1, max_size=6))),
            "cause" if number else "thrown",
            draw(st.integers(0, 40)) if number else 0,
        )
        for number in range(size)
    )


def rendered(chain: tuple[ExceptionInfo, ...], indent: str, end: str) -> str:
    lines: list[str] = []
    for entry in chain:
        header = f"{entry.type}: {entry.reason}" if entry.reason else f"{entry.type}"
        lines.append(("Caused by: " if entry.relation == "cause" else "") + header)
        for frame in entry.frames:
            place = frame.file or ("Unknown Source" if frame.line is None else "")
            place += f":{frame.line}" if frame.line is not None else ""
            lines.append(f"{indent}at {frame.function}({place})")
        if entry.frames_in_common:
            lines.append(f"{indent}... {entry.frames_in_common} more")
    return end.join(lines) + end


def without_owner(chain: tuple[ExceptionInfo, ...]) -> list[object]:
    return [
        (
            entry.type,
            entry.reason,
            entry.relation,
            entry.frames_in_common,
            [(f.function, f.class_name, f.method, f.file, f.line) for f in entry.frames],
        )
        for entry in chain
    ]


@given(chains(), st.sampled_from(["\t", "    ", ""]))
@settings(max_examples=60, deadline=None)
def test_a_chain_written_as_a_log_reads_back_the_same(
    chain: tuple[ExceptionInfo, ...], indent: str
) -> None:
    stack = read_stack(rendered(chain, indent, "\n"))
    assert without_owner(stack.exceptions) == without_owner(chain)
    assert stack.unread == ()


@given(st.text(alphabet="at a.B$c(:1)\n\t -->#pc[]<>Caused by:Suppressed", max_size=400))
@settings(max_examples=300, deadline=None)
def test_any_text_gives_a_stack(text: str) -> None:
    stack = read_stack(text)
    assert all(entry.relation != "thrown" for entry in stack.exceptions[1:])


def seconds(text: str) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        read_stack(text)
        best = min(best, time.perf_counter() - start)
    return best


@pytest.mark.parametrize(
    "unit",
    [
        "at ",
        "at a.B.c(" * 10 + "\n",
        "a.B: x ---> ",
        "---> N.A: x\n",
        "---> (Inner Exception #1) N.A\n",
        "\tSuppressed: a.B\n",
        "Caused by: a.B\n",
        "[" * 50 + "]" * 50 + "\n",
        "at N.C.M[" + "]" * 200 + " ()\n",
        "at a.B.c(B.java:1)\nplain words here\n",
        "... 1\n",
        'Exception in thread "',
        "#00 pc 0000 (+(+(+(\n",
        "\n",
        " ",
        "signal 11 (SIG",
    ],
)
def test_time_grows_with_length_and_no_faster(unit: str) -> None:
    short, long = unit * (40_000 // len(unit)), unit * (320_000 // len(unit))
    # Eight times the text may take eight times as long; the rest is noise on a busy machine.
    assert seconds(long) < 8 * 4 * max(seconds(short), 0.002)
