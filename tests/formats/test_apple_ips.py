from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import FormatError
from chalicelib.formats import apple_ips
from chalicelib.formats.bounded_json import MAX_DEPTH, read_object
from chalicelib.model import Frame, OperatingSystem, Report
from tests.formats.apple_samples import PROPERTY, assert_report_or_format_error, sample

FILES = ("apple_signal.ips", "apple_exception.ips", "apple_jetsam.ips")


def parse_body(body: dict[str, Any], header: dict[str, Any] | None = None) -> Report:
    lines = [json.dumps(part) for part in (header, body) if part is not None]
    return apple_ips.parse("\n".join(lines).encode())


# --- a signal on macOS


def test_header_and_body_give_app_device_system_and_time() -> None:
    report = apple_ips.parse(sample("apple_signal.ips"))
    assert report.platform == "macos"
    assert (report.app.package, report.app.name) == ("org.example.tonewheel", "Tonewheel")
    assert (report.app.version, report.app.short_version) == ("34", "1.2.0")
    assert report.os == OperatingSystem("macOS", "14.4.1", "23E224")
    assert (report.device.oem, report.device.model) == ("Apple", "Mac14,2")
    assert report.install_id == "C3B09917-2A25-8D9D-4BD7-0FED69E33CD5"
    assert report.occurred_at == datetime(2026, 4, 19, 22, 23, 19, 265100, tzinfo=UTC)
    assert report.unread == ()


def test_signal_has_no_exception_and_its_subtype_as_reason() -> None:
    report = apple_ips.parse(sample("apple_signal.ips"))
    assert report.exceptions == ()
    assert report.exception_type == "EXC_BAD_ACCESS (SIGSEGV)"
    assert report.reason == "KERN_INVALID_ADDRESS at 0x0000000000000008"


def test_frames_are_placed_in_the_images_they_index() -> None:
    stack = apple_ips.parse(sample("apple_signal.ips")).stack
    assert stack[0] == Frame(
        function="Oscillator.render(into:)",
        class_name="Oscillator",
        method="render(into:)",
        module="Tonewheel",
        file="Oscillator.swift",
        line=193,
        address=4312383488 + 25116,
        offset=25116,
        in_app=True,
    )
    assert (stack[1].file, stack[1].in_app) == (None, True)
    assert (stack[2].module, stack[2].function, stack[2].in_app) == ("???", None, False)
    assert (stack[3].method, stack[3].in_app) == ("_pthread_start", False)


def test_threads_have_names_and_registers() -> None:
    first, second = apple_ips.parse(sample("apple_signal.ips")).threads
    assert (first.number, first.name, first.crashed) == (0, "com.apple.main-thread", False)
    assert (second.number, second.name, second.crashed) == (1, "audio", True)
    assert dict(second.registers) == {
        "x0": 268451845,
        "x1": 21592279046,
        "pc": 4312408888,
        "far": 8,
    }


def test_images_have_ranges_versions_and_breakpad_debug_ids() -> None:
    app, _, unknown = apple_ips.parse(sample("apple_signal.ips")).modules
    assert (app.start, app.end) == (4312383488, 4312383488 + 65536)
    assert app.debug_id == "C33C44788CA238889615E3BB059B53F80"
    assert (app.arch, app.version) == ("arm64", "1.2.0 (34)")
    assert (unknown.name, unknown.end, unknown.debug_id) == ("???", None, None)


# --- an uncaught exception on iOS


def test_uncaught_exception_has_type_reason_and_its_own_backtrace() -> None:
    report = apple_ips.parse(sample("apple_exception.ips"))
    (exception,) = report.exceptions
    assert exception.type == report.exception_type == "NSRangeException"
    assert exception.reason == (
        "*** -[__NSArrayM objectAtIndex:]: index 56 beyond bounds [0 .. 55]"
    )
    assert [frame.function for frame in report.stack] == ["__exceptionPreprocess", "-[Lens focus:]"]
    assert report.stack[1].in_app
    assert (report.platform, report.os.build) == ("ios", "21C66")
    assert (report.app.version, report.app.short_version) == ("230", "2.3")


def test_exception_reason_object_names_the_exception() -> None:
    named = {"name": "NSGenericException", "composed_message": "no such lens"}
    report = parse_body({"threads": [], "exceptionReason": named})
    assert (report.exception_type, report.reason) == ("NSGenericException", "no such lens")


def test_written_backtrace_stands_in_for_the_last_exception_backtrace() -> None:
    rows = "0   CoreFoundation   0x1010 __exceptionPreprocess + 1\n1   App   0x2020 -[A b] + 2\n"
    report = parse_body({"procName": "App", "threads": [], "asiBacktraces": [rows]})
    assert [frame.method for frame in report.stack] == ["__exceptionPreprocess", "b"]


# --- what may be missing, odd or in excess


def test_header_line_may_be_missing() -> None:
    body = sample("apple_signal.ips").partition(b"\n")[2]
    report = apple_ips.parse(body)
    assert report.app.package == "org.example.tonewheel"


def test_one_object_may_hold_both() -> None:
    report = parse_body({"bug_type": 309, "bundleID": "a.b", "threads": [{"frames": []}]})
    assert report.app.package == "a.b"


def test_hockeyapp_headers_may_precede() -> None:
    raw = b"Package: a.b {x}\nVersion: 1\n\n" + sample("apple_exception.ips")
    assert apple_ips.parse(raw).exception_type == "NSRangeException"


@pytest.mark.parametrize(
    "odd", [None, 1, "x", [], {}, [None], [[]], ["x"], {"a": 1}, True, -1, 1e9]
)
def test_any_field_may_have_any_type(odd: object) -> None:
    first, _, rest = sample("apple_signal.ips").partition(b"\n")
    header, body = json.loads(first), json.loads(rest)
    for key in body:
        if key != "threads":
            parse_body({**body, key: odd}, header)
    for part in ("threads", "usedImages"):
        for key in body[part][1]:
            parse_body({**body, part: [{**body[part][1], key: odd}]}, header)
    for key in ("imageIndex", "imageOffset", "symbol", "sourceFile", "sourceLine"):
        report = parse_body({**body, "threads": [{"frames": [{key: odd}, odd]}]}, header)
        assert len(report.threads) == 1


@pytest.mark.parametrize("number", [10**30, -(10**30), 1 << 64, None])
def test_absurd_integers_are_absent(number: int | None) -> None:
    digits = "1" + "0" * 5000 if number is None else str(number)
    frame_text = f'{{"imageOffset":{digits},"imageIndex":{digits},"sourceLine":7}}'
    text = f'{{"faultingThread":{digits},"threads":[{{"frames":[{frame_text}]}}]}}'
    frame = apple_ips.parse(text.encode()).stack[0]
    assert (frame.offset, frame.line) == (None, 7)


def test_half_a_surrogate_pair_is_replaced() -> None:
    report = apple_ips.parse(b'{"procName":"a\\ud800b","threads":[]}')
    assert report.app.name == "a?b"


def test_other_bug_types_are_refused_by_name() -> None:
    with pytest.raises(FormatError, match="bug_type 298"):
        apple_ips.parse(sample("apple_jetsam.ips"))


def test_header_without_report_is_refused() -> None:
    with pytest.raises(FormatError, match="behind the header is missing"):
        apple_ips.parse(sample("apple_signal.ips").partition(b"\n")[0])


def test_truncated_report_is_refused_saying_where() -> None:
    with pytest.raises(FormatError, match=r"broken JSON: .*line 9, column"):
        apple_ips.parse(sample("apple_signal.ips")[:700])


def test_crashed_thread_out_of_range_takes_the_triggered_one() -> None:
    report = parse_body({"faultingThread": 9, "threads": [{}, {"triggered": True}]})
    assert [thread.crashed for thread in report.threads] == [False, True]
    assert any("crashed thread 9" in note for note in report.unread)


def test_no_triggered_thread_takes_the_first_and_notes_it() -> None:
    report = parse_body({"threads": [{}, {}]})
    assert report.threads[0].crashed
    assert "no thread is marked as crashed; taken to be thread 0" in report.unread


def test_counts_are_bounded_and_noted() -> None:
    body = {
        "faultingThread": 1500,
        "threads": [{"frames": [{"symbol": "f"}] * 600}] + [{}] * 1500,
        "usedImages": [{"name": "x"}] * 5000,
    }
    report = parse_body(body)
    assert len(report.threads) == 1024
    assert report.crashed_thread is not None
    assert report.crashed_thread.number == 1500
    assert len(report.threads[0].frames) == 512
    assert len(report.modules) == 4096
    assert len(report.unread) == 3


# --- hostile JSON


def test_nesting_up_to_the_bound_is_read() -> None:
    text = '{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH
    assert read_object(text)[1] == len(text)


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"threads":['])
def test_deep_nesting_is_refused(opening: str) -> None:
    with pytest.raises(FormatError, match="nested deeper"):
        apple_ips.parse(b'{"threads":' + opening.encode() * 100_000)


def test_brackets_in_strings_do_not_nest() -> None:
    assert read_object('{"a":"' + "[" * 1000 + '\\"{"}')[0] == {"a": "[" * 1000 + '"{'}


def test_too_many_containers_are_refused() -> None:
    with pytest.raises(FormatError, match="more than 150000"):
        apple_ips.parse(b'{"threads":[' + b"{}," * 200_000 + b"{}]}")


@pytest.mark.parametrize(
    "text",
    [
        '{"threads":[' + '"' * 1_000_000,
        '{"threads":["' + '\\"' * 1_000_000 + "\\",
        '{"threads":[' + "9" * 1_000_000 + "]}",
        '{"threads":[' + "0." + "9" * 1_000_000 + "]}",
        '{"threads":[' + "1," * 1_000_000 + "1]}",
        '{"threads":[],"asi":{"a":["' + "' " * 500_000 + '"]}}',
        '{"threads":[{"frames":[' + '{"symbol":"' + "a::" * 500_000 + '"}]}]}',
        "{}" * 1_000_000,
        "\n{" * 1_000_000,
    ],
    ids=range(9),
)
def test_hostile_json_takes_linear_time(text: str) -> None:
    assert_report_or_format_error(apple_ips.parse, text.encode())


@PROPERTY
@given(st.binary(max_size=500))
def test_any_bytes_give_a_report_or_a_format_error(raw: bytes) -> None:
    assert_report_or_format_error(apple_ips.parse, raw)
    assert_report_or_format_error(apple_ips.parse, b'{"threads":' + raw)


@PROPERTY
@given(
    st.sampled_from(FILES),
    st.integers(0, 5000),
    st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=4)), max_size=8),
)
def test_any_damage_gives_a_report_or_a_format_error(
    name: str, length: int, edits: list[tuple[int, bytes]]
) -> None:
    raw = bytearray(sample(name))
    for place, patch in edits:
        raw[place : place + len(patch)] = patch
    assert_report_or_format_error(apple_ips.parse, bytes(raw))
    assert_report_or_format_error(apple_ips.parse, bytes(raw[:length]))


_KEY_NAMES = """
threads frames imageIndex imageOffset symbol sourceFile sourceLine usedImages base size
uuid name path exception type signal codes subtype termination namespace code asi
faultingThread lastExceptionBacktrace threadState x value triggered queue osVersion train
build modelCode captureTime procPath bundleInfo CFBundleVersion exceptionReason
asiBacktraces
"""
_KEYS = st.sampled_from(_KEY_NAMES.split())
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=40,
)


@PROPERTY
@given(st.dictionaries(_KEYS, _VALUES, max_size=8))
def test_any_object_gives_a_report_or_a_format_error(body: dict[str, Any]) -> None:
    assert_report_or_format_error(apple_ips.parse, json.dumps(body).encode())
