from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import FormatError
from chalicelib.formats import apple_text
from chalicelib.formats.apple_header import operating_system, versions
from chalicelib.formats.apple_symbols import class_and_method
from chalicelib.model import Frame, OperatingSystem, Report
from tests.formats.apple_samples import PROPERTY, assert_report_or_format_error, sample
from tests.shared_data import shared_data

TEXTS = ("apple_ios_exception.crash", "apple_mac_exception.crash", "apple_ios_raw_backtrace.ips")


def parse_text(text: str) -> Report:
    return apple_text.parse(text.encode())


def only_frame(row: str, tail: str = "") -> Frame:
    (frame,) = parse_text(f"Process: App [1]\n\nThread 0 Crashed:\n{row}\n{tail}").stack
    return frame


# --- PLCrashReporter, iOS, an exception nobody caught


def test_header_gives_app_device_system_and_time() -> None:
    report = apple_text.parse(sample("apple_ios_exception.crash"))
    assert report.platform == "ios"
    assert report.app.package == "de.example.quincydemo"
    assert report.app.name == "QuincyDemo"
    assert (report.app.version, report.app.short_version) == ("90", "1.0")
    assert (report.device.oem, report.device.model) == ("Apple", "iPhone10,4")
    assert report.os == OperatingSystem("iPhone OS", "12.1", "16B92")
    assert report.install_id == "4f1c9d7e2a"
    assert report.occurred_at == datetime(2018, 11, 5, 7, 41, 9, tzinfo=UTC)
    assert report.unread == ()


def test_uncaught_exception_has_type_multiline_reason_and_its_own_backtrace() -> None:
    report = apple_text.parse(sample("apple_ios_exception.crash"))
    (exception,) = report.exceptions
    assert exception.type == report.exception_type == "NSInvalidArgumentException"
    assert exception.reason == report.reason
    assert exception.reason == (
        "-[__NSCFString 'buttons' addObject:]: unrecognized selector\nsent to instance 0x280d8c5a0"
    )
    assert [frame.function for frame in report.stack[:2]] == [
        "__exceptionPreprocess",
        "objc_exception_throw",
    ]
    assert len(exception.frames) == 8


def test_frames_name_class_method_file_and_place_in_their_image() -> None:
    stack = apple_text.parse(sample("apple_ios_exception.crash")).stack
    assert stack[2] == Frame(
        function="-[DemoController(Buttons) triggerCrash:]",
        class_name="DemoController",
        method="triggerCrash:",
        module="QuincyDemo",
        address=0x100A0515A,
        offset=0x515A,
        in_app=True,
    )
    block = stack[3]
    assert (block.class_name, block.method) == ("DemoController", "viewDidLoad")
    assert (block.file, block.line) == ("DemoController.m", 57)
    assert (stack[6].class_name, stack[6].method, stack[6].line) == (None, "main", 16)


def test_frame_of_embedded_framework_with_a_space_in_its_name_is_in_app() -> None:
    frame = apple_text.parse(sample("apple_ios_exception.crash")).stack[4]
    assert (frame.module, frame.in_app) == ("Demo Kit", True)
    assert (frame.class_name, frame.method) == ("Demo_Kit.Router", "open(_:animated:)")


def test_system_frames_are_not_in_app() -> None:
    report = apple_text.parse(sample("apple_ios_exception.crash"))
    assert [frame.module for frame in report.stack if frame.in_app] == [
        "QuincyDemo",
        "QuincyDemo",
        "Demo Kit",
        "QuincyDemo",
    ]


def test_threads_have_names_frames_and_the_crashed_one_registers() -> None:
    first, second = apple_text.parse(sample("apple_ios_exception.crash")).threads
    assert (first.name, first.crashed) == ("com.apple.main-thread", True)
    assert dict(first.registers)["pc"] == 0x1B3B56104
    assert len(first.registers) == 6
    assert (second.name, second.crashed, second.registers) == ("worker bee", False, ())
    assert second.frames[0].function is None
    assert second.frames[0].offset == 28672
    assert (second.frames[1].module, second.frames[1].in_app) == ("???", False)


def test_images_have_ranges_and_breakpad_debug_ids() -> None:
    app, kit, _, objc = apple_text.parse(sample("apple_ios_exception.crash")).modules
    assert (app.start, app.end) == (0x100A00000, 0x100A10000)
    assert (app.debug_id, app.arch) == ("111122223333444455556666777788880", "arm64")
    assert kit.name == "Demo Kit"
    assert objc.debug_id is None


# --- Apple's own writers


def test_macos_report_takes_application_specific_backtrace() -> None:
    report = apple_text.parse(sample("apple_mac_exception.crash"))
    (exception,) = report.exceptions
    assert exception.type == "NSInternalInconsistencyException"
    assert exception.reason == "Got an invalid set, <Set 0x60000223c4a0> {\n}"
    assert exception.frames[2] == Frame(
        module="Sketchpad", address=0x100003E88, offset=16008, in_app=True
    )
    assert exception.frames[3].class_name == "canvas::Layer<int>"
    assert exception.frames[3].method == "draw"


def test_macos_report_header_threads_and_registers() -> None:
    report = apple_text.parse(sample("apple_mac_exception.crash"))
    assert report.platform == "macos"
    assert (report.app.version, report.app.short_version) == ("18031", "4.0.2")
    assert report.install_id == "97A6047A-E6A2-BD52-5661-DD0ECDCB65C1"
    assert report.occurred_at == datetime(2015, 7, 20, 8, 53, 34, 393000, tzinfo=UTC)
    assert report.device.model is None
    assert [thread.name for thread in report.threads] == ["com.apple.main-thread", "renderer"]
    crashed = report.crashed_thread
    assert crashed is not None
    assert crashed.number == 1
    assert [name for name, _ in crashed.registers] == ["rax", "rbx", "rcx", "rip", "rfl"]
    assert report.modules[0].version == "4.0.2 - 18031"
    assert report.modules[0].arch is None
    assert len(report.modules) == 3


def test_bracketed_addresses_are_placed_by_the_images() -> None:
    report = apple_text.parse(sample("apple_ios_raw_backtrace.ips"))
    assert [(frame.module, frame.offset, frame.in_app) for frame in report.stack] == [
        ("CoreFoundation", 0xF2FE0, False),
        ("Trailhead", 0x515A, True),
        ("Trailhead", 0x9C10, True),
        (None, None, False),
    ]
    assert report.exceptions[0].type is None
    assert report.exception_type == "EXC_CRASH (SIGABRT)"
    assert (report.app.version, report.app.short_version) == ("1", "1.0")


# --- the shared samples


def test_shared_sample_without_blank_lines() -> None:
    report = apple_text.parse(shared_data("apple", "XCDYouTubeKit-54.txt").read_bytes())
    assert report.platform == "macos"
    assert (report.exception_type, report.reason) == ("SIGSEGV", "SEGV_MAPERR at 0x8")
    assert report.exceptions == ()
    assert (report.app.package, report.app.version) == ("com.AlphaSoft.iTubeDownloader", "512")
    assert (report.os.version, report.os.build) == ("10.8.5", "12F45")
    assert len(report.threads) == 18
    assert len(report.modules) == 244
    assert report.stack[0].method == "JSValueIsString"
    assert not report.stack[0].in_app
    assert report.stack[1].class_name == "XCDYouTubePlayerScript"
    assert report.stack[1].method == "unscrambleSignature:"
    assert report.stack[1].in_app
    assert len(report.stack) == 27
    assert len(report.threads[0].registers) == 19
    assert report.threads[14].frames[6].in_app
    assert report.threads[14].frames[6].offset == 117776
    assert report.unread == ()


def test_shared_sample_whose_crashed_thread_is_missing_takes_the_marked_one() -> None:
    report = apple_text.parse(shared_data("apple", "handcrafted.txt").read_bytes())
    crashed = report.crashed_thread
    assert crashed is not None
    assert (crashed.number, crashed.name) == (1, "Test Thread Name")
    assert dict(crashed.registers)["gs"] == 0
    assert (report.reason, report.install_id) == ("SEGV_MAPERR at 0x88", None)
    assert (report.app.version, report.app.short_version) == ("4.21.1", None)
    assert any("crashed thread 5" in note for note in report.unread)
    first = report.threads[0].frames
    assert (first[10].function, first[10].offset, first[10].in_app) == (None, 5384491, True)
    assert first[11].function == "a_function_here"
    assert (first[13].file, first[13].line) == ("main.m", 16)
    assert report.modules[0].version == "400.9.4 - 1.0.0"


def test_shared_sample_without_header_is_read_as_far_as_it_goes() -> None:
    report = apple_text.parse(shared_data("apple", "spaces.txt").read_bytes())
    assert report.platform == "ios"
    assert [frame.in_app for frame in report.stack[:4]] == [True, True, True, False]
    assert report.stack[0].module == "App Namespace"
    assert len(report.stack) == len(report.threads[0].frames) == 17
    assert len(report.modules) == 17
    assert report.unread == ("no thread is marked as crashed; taken to be thread 0",)


# --- single rules


@pytest.mark.parametrize(
    ("text", "version", "short_version"),
    [
        ("512", "512", None),
        ("4.21.1", "4.21.1", None),
        ("1.0 (90)", "90", "1.0"),
        ("90 (1.0)", "90", "1.0"),
        ("2.3 (2.3.104)", "2.3.104", "2.3"),
        ("2.3.104 (2.3)", "2.3.104", "2.3"),
        ("2.0 (1.9)", "1.9", "2.0"),
        ("1.0b2 (Nightly) (17)", "17", "1.0b2 (Nightly)"),
        ("??? (???)", None, None),
        ("7 (???)", "7", None),
        ("", None, None),
    ],
)
def test_version_line(text: str, version: str | None, short_version: str | None) -> None:
    assert versions(text) == (version, short_version)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mac OS X 10.8.5 (12F45)", OperatingSystem("Mac OS X", "10.8.5", "12F45")),
        ("Mac OS X 10.10 (Build 14A389)", OperatingSystem("Mac OS X", "10.10", "14A389")),
        ("iOS 8.1.3 (12B466)", OperatingSystem("iOS", "8.1.3", "12B466")),
        ("iPhone OS 12.1 (???)", OperatingSystem("iPhone OS", "12.1", None)),
        ("macOS", OperatingSystem("macOS", None, None)),
        (None, OperatingSystem()),
    ],
)
def test_operating_system_line(text: str | None, expected: OperatingSystem) -> None:
    assert operating_system(text) == expected


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("-[Foo bar:]", ("Foo", "bar:")),
        ("+[NSRunLoop(NSRunLoop) run]", ("NSRunLoop", "run")),
        ("__65-[Foo bar:baz:]_block_invoke_0", ("Foo", "bar:baz:")),
        ("___delegate_block_invoke_0", (None, "___delegate_block_invoke_0")),
        ("JSValueIsString", (None, "JSValueIsString")),
        ("_ZN3WTF5MutexEd", (None, "_ZN3WTF5MutexEd")),
        ("$s4Demo6RouterC4openyyF", (None, "$s4Demo6RouterC4openyyF")),
        ("run.cold.1", (None, "run.cold.1")),
        ("Demo.Router.open(_:)", ("Demo.Router", "open(_:)")),
        ("specialized static App.main()", ("App", "main()")),
        ("closure #2 in Router.open(url:)", ("Router", "open(url:)")),
        ("@objc View.tap(_:)", ("View", "tap(_:)")),
        ("View.body.getter : some View", ("View", "body.getter")),
        ("ns::Class::run()", ("ns::Class", "run")),
        ("ns::Box<int, a::b>::put(a::b const&)", ("ns::Box<int, a::b>", "put")),
        ("ns::operator<(ns::A, ns::B)", ("ns", "operator<")),
        ("ns::F::operator()(int) const", ("ns::F", "operator()")),
        ("(anonymous namespace)::work(int)", ("(anonymous namespace)", "work")),
        ("work(ns::A)", (None, "work(ns::A)")),
    ],
)
def test_class_and_method(function: str, expected: tuple[str | None, str]) -> None:
    assert class_and_method(function) == expected


def test_frame_without_symbol_keeps_offset_when_no_image_is_listed() -> None:
    frame = only_frame("10  App   0x0000000108b7092b 0x10864e000 + 5384491")
    assert (frame.function, frame.offset, frame.in_app) == (None, 5384491, True)


def test_frame_with_hexadecimal_offset_and_own_binary_mark() -> None:
    frame = only_frame("5     + libpackageinfo.dylib  \t0x100947768 0x100928000 + 0x1f768")
    assert (frame.module, frame.offset) == ("libpackageinfo.dylib", 0x1F768)


def test_frame_without_address_is_read_by_its_columns() -> None:
    frame = only_frame("0   CoreFoundation                      __exceptionPreprocess + 124")
    assert (frame.module, frame.function) == ("CoreFoundation", "__exceptionPreprocess")
    assert (frame.address, frame.in_app) == (None, False)


def test_frame_with_symbol_plus_zero() -> None:
    frame = only_frame("12  libdyld.dylib    0x00007fff61a8e085 start + 0")
    assert (frame.method, frame.offset, frame.in_app) == ("start", None, False)


def test_frame_symbolicated_by_atos() -> None:
    frame = only_frame("0   App   0x1000 -[Foo bar] (in App) (Foo.m:12)")
    assert (frame.function, frame.file, frame.line) == ("-[Foo bar]", "Foo.m", 12)


def test_function_named_like_its_module_stays_a_function() -> None:
    row = "0   main   0x0000000100000f00 main + 20"
    images = "\nBinary Images:\n0x100000000 - 0x100000fff +main x86_64 /tmp/main"
    assert only_frame(row, images).function == "main"


def test_absurd_numbers_are_absent() -> None:
    frame = only_frame(f"0   App   0x{'f' * 40} foo + {'9' * 5000}")
    assert (frame.address, frame.module) == (None, "App")


def test_third_party_module_is_in_app_only_when_its_name_is_not_apples() -> None:
    rows = "\n".join(
        f"{index}   {name}   0x1000 f + 1"
        for index, name in enumerate(
            ["UIKitCore", "com.apple.AppKit", "libz.1.dylib", "AFNetworking"]
        )
    )
    report = parse_text(f"Process: App [1]\nThread 0 Crashed:\n{rows}")
    assert [frame.in_app for frame in report.stack] == [False, False, False, True]


def test_no_marked_thread_takes_the_first_and_notes_it() -> None:
    report = parse_text("Thread 3:\n0  App  0x1 f + 1\nThread 4:\n0  App  0x2 g + 1")
    assert report.threads[0].crashed
    assert report.unread == ("no thread is marked as crashed; taken to be thread 3",)


@pytest.mark.parametrize(
    ("messages", "kind", "reason"),
    [
        (
            "terminating with uncaught exception of type std::runtime_error: it's: bad",
            "std::runtime_error",
            "it's: bad",
        ),
        ("terminate called after throwing an instance of 'E'\n  what():  no", "E", "no"),
        ("*** Terminating app due to uncaught exception 'X', reason: 'cut o", "X", "cut o"),
        ("*** Terminating app due to uncaught exception 'X', reason: '' abort() called", "X", None),
    ],
)
def test_messages_name_the_exception(messages: str, kind: str, reason: str | None) -> None:
    report = parse_text(f"Process: A [1]\n\nApplication Specific Information:\n{messages}\n")
    assert (report.exceptions[0].type, report.exceptions[0].reason) == (kind, reason)


@pytest.mark.parametrize(
    ("header", "messages", "reason"),
    [
        ("Exception Codes: SEGV_MAPERR at 0x8", "", "SEGV_MAPERR at 0x8"),
        (
            "Exception Codes: 0x1, 0x8\nException Subtype: KERN_INVALID_ADDRESS at 0x8",
            "",
            "KERN_INVALID_ADDRESS at 0x8",
        ),
        (
            "Exception Codes: 0x00\nTermination Reason: Namespace SPRINGBOARD, Code 0x8badf00d",
            "",
            "Namespace SPRINGBOARD, Code 0x8badf00d",
        ),
        (
            "Exception Codes: 0x1, 0x2",
            "App/Main.swift:7: Fatal error: Index out of range",
            "App/Main.swift:7: Fatal error: Index out of range",
        ),
    ],
)
def test_signal_reason(header: str, messages: str, reason: str) -> None:
    text = f"Exception Type: SIGTRAP\n{header}\nApplication Specific Information:\n{messages}\n"
    report = parse_text(text)
    assert (report.exceptions, report.exception_type) == ((), "SIGTRAP")
    assert report.reason == reason


def test_hockeyapp_header_in_front_fills_what_apple_left_out() -> None:
    front = "Package: org.example.app\nVersion: 9\nModel: iPhone9,3\nCrashReporter Key: K1\n\n"
    text = "CrashReporter Key: TODO\nProcess: App [1]\nVersion: 1.0 (90)\nThread 0 Crashed:\n"
    report = parse_text(front + text)
    assert (report.app.package, report.app.version) == ("org.example.app", "90")
    assert (report.install_id, report.device.model) == ("K1", "iPhone9,3")


def test_date_without_zone_is_taken_for_utc_and_noted() -> None:
    report = parse_text("Process: A [1]\nDate/Time: 2015-03-01 08:18:47.887")
    assert report.occurred_at == datetime(2015, 3, 1, 8, 18, 47, 887000, tzinfo=UTC)
    assert "the date names no time zone; taken for UTC" in report.unread


def test_impossible_date_is_noted() -> None:
    report = parse_text("Process: A [1]\nDate/Time: 0001-01-01 00:00:00 +2300")
    assert report.occurred_at is None
    assert any("date" in note for note in report.unread)


def test_text_of_another_kind_is_refused() -> None:
    with pytest.raises(FormatError, match="not an Apple crash report"):
        parse_text("java.lang.NullPointerException\n\tat a.b.C.d(C.java:1)\n")


# --- bounds


def test_frames_beyond_the_bound_are_left_out_and_noted() -> None:
    rows = "\n".join(f"{index}  App  0x{index:x} f{index} + 1" for index in range(600))
    report = parse_text(f"Thread 0 Crashed:\n{rows}")
    assert len(report.stack) == 512
    assert report.stack[511].function == "f511"
    assert report.unread == ("88 frames of thread 0 beyond 512 were left out",)


def test_crashed_thread_beyond_the_bound_is_kept() -> None:
    threads = "\n".join(f"Thread {n}:\n0  App  0x1 f + 1" for n in range(1500))
    report = parse_text(f"{threads}\nThread 1500 Crashed:\n0  App  0x1 culprit + 1")
    assert len(report.threads) == 1024
    assert report.stack[0].function == "culprit"
    assert any("477 threads" in note for note in report.unread)


def test_images_beyond_the_bound_are_left_out_and_noted() -> None:
    rows = "\n".join(f"0x{n:x}000 - 0x{n:x}fff m{n} arm64 /x/m{n}" for n in range(1, 5001))
    report = parse_text(f"Process: A [1]\nBinary Images:\n{rows}")
    assert len(report.modules) == 4096
    assert "904 binary images beyond 4096 were left out" in report.unread


_HEAD = "Process: A [1]\nThread 0 Crashed:\n0  A  0x1 "


@pytest.mark.parametrize(
    "text",
    [
        "Thread 0:\n" * 200_000,
        "Thread 0 Crashed:\n" + "0  A  0x1 f + 1\n" * 200_000,
        "Thread 0 Crashed:\n0 " + " " * 1_000_000 + "x",
        "Thread 0 Crashed:\n0 A" + " 0x" * 500_000,
        _HEAD + " (" * 500_000 + ")",
        _HEAD + " + " * 500_000,
        _HEAD + "a::" * 500_000,
        _HEAD + "closure #1 in " * 100_000,
        "Process: A [1]\nBinary Images:\n" + "0x1 - 0x2 <" + "a" * 1_000_000,
        "Process: A [1]\nBinary Images:\n0x1 - " + "<1" * 500_000,
        "Application Specific Information:\n*** Terminating app due to uncaught exception 'X', "
        "reason: '" + "' " * 500_000 + "\nProcess: A [1]\nThread 0:\n",
        "Process: A [1]\nLast Exception Backtrace:\n(" + "0x1 " * 500_000 + ")",
        "Process: A [1]\nOS Version: " + "(" * 1_000_000,
        "Process: A [1]\nThread 0 crashed with X State:\n" + "a:" * 500_000,
    ],
    ids=range(14),
)
def test_hostile_text_takes_linear_time(text: str) -> None:
    assert_report_or_format_error(apple_text.parse, text.encode())


@PROPERTY
@given(st.binary(max_size=2000))
def test_any_bytes_give_a_report_or_a_format_error(raw: bytes) -> None:
    assert_report_or_format_error(apple_text.parse, raw)


@PROPERTY
@given(st.sampled_from(TEXTS), st.integers(0, 5000))
def test_any_truncation_gives_a_report_or_a_format_error(name: str, length: int) -> None:
    assert_report_or_format_error(apple_text.parse, sample(name)[:length])


@PROPERTY
@given(
    st.sampled_from(TEXTS),
    st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=8)), min_size=1, max_size=12),
)
def test_any_mutation_gives_a_report_or_a_format_error(
    name: str, edits: list[tuple[int, bytes]]
) -> None:
    raw = bytearray(sample(name))
    for place, patch in edits:
        raw[place : place + len(patch) // 2] = patch
    assert_report_or_format_error(apple_text.parse, bytes(raw))


_LINES = sorted({line for name in TEXTS for line in sample(name).decode().split("\n")})


@PROPERTY
@given(st.lists(st.sampled_from(_LINES), max_size=60))
def test_any_order_of_lines_gives_a_report_or_a_format_error(lines: list[str]) -> None:
    assert_report_or_format_error(apple_text.parse, "\n".join(lines).encode())
