"""HockeyApp's crash log, in every dialect its SDKs and its document write."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.errors import FormatError
from chalicelib.formats import hockeyapp_log
from chalicelib.formats.dates import DeviceDate, read_date
from chalicelib.model import Report

SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def parsed(name: str) -> Report:
    return hockeyapp_log.parse(sample(name))


def test_the_documents_example_is_read_whole() -> None:
    report = parsed("android_document.log")
    assert report.platform == "android"
    assert report.app.package == "de.codenauts.hockeyapp"
    assert (report.app.version, report.app.short_version) == ("33", None)
    assert (report.os.name, report.os.version) == ("Android", "2.2")
    assert (report.device.oem, report.device.model) == ("HTC", "HTC Desire")
    assert report.install_id == "1C6ADE7f-643E-A5F3-5CBF-E496CE21DEAA218624AF"
    assert report.occurred_at == datetime(2011, 11, 27, 16, 35, 8, tzinfo=UTC)
    assert report.unread == ()
    assert [entry.relation for entry in report.exceptions] == ["thrown", "cause"]


def test_the_documents_innermost_cause_is_the_null_pointer_in_the_tokener() -> None:
    report = parsed("android_document.log")
    innermost = report.innermost
    assert innermost is not None
    assert report.exception_type == innermost.type == "java.lang.NullPointerException"
    assert innermost.frames_in_common == 12
    top = innermost.frames[0]
    assert top.function == "org.json.JSONTokener.nextCleanInternal"
    assert (top.class_name, top.method) == ("org.json.JSONTokener", "nextCleanInternal")
    assert (top.file, top.line, top.in_app) == ("JSONTokener.java", 112, False)
    assert [frame.method for frame in innermost.frames if frame.in_app] == ["loadApps", "onCreate"]


def test_the_sdks_headers_are_read() -> None:
    report = parsed("android_sdk_suppressed.log")
    assert (report.app.version, report.app.short_version) == ("41", "2.3.1")
    assert (report.os.version, report.os.build) == ("8.1.0", "OPM1.171019.011")
    assert report.occurred_at == datetime(2018, 3, 2, 9, 15, 7, tzinfo=UTC)
    thread = report.crashed_thread
    assert thread is not None
    assert (thread.name, thread.number) == ("main", 1)


def test_a_thread_name_may_hold_dashes() -> None:
    thread = parsed("android_sdk_obfuscated.log").crashed_thread
    assert thread is not None
    assert (thread.name, thread.number) == ("pool-2-thread-1", 314)


def test_the_word_null_means_absent() -> None:
    assert parsed("android_sdk_obfuscated.log").app.short_version is None
    report = parsed("jvm_modules.log")
    assert (report.device.oem, report.install_id) == (None, None)


def test_a_suppressed_exception_is_not_the_innermost() -> None:
    report = parsed("android_sdk_suppressed.log")
    assert report.exception_type == "java.lang.IllegalStateException"
    assert report.reason == "cursor closed"


def test_xamarins_managed_exceptions_are_causes_of_the_java_one() -> None:
    report = parsed("android_xamarin.log")
    assert report.platform == "android"
    assert [entry.type for entry in report.exceptions] == [
        "android.runtime.JavaProxyThrowable",
        "System.AggregateException",
        "System.Net.Sockets.SocketException",
    ]
    assert [len(entry.frames) for entry in report.exceptions] == [3, 2, 3]
    assert report.unread == ()


def test_windows_phone_logs_are_read() -> None:
    report = parsed("windows_phone.log")
    assert report.platform == "windows"
    assert (report.os.name, report.os.version) == ("Windows Phone", "8.10.14219.341")
    assert report.exception_type == "System.ArgumentNullException"
    assert report.reason == "Value cannot be null.\nParameter name: source"
    innermost = report.innermost
    assert innermost is not None
    assert innermost.frames[1].file == r"C:\src\Reader\Feeds.cs"
    assert report.unread == ()


def test_a_tombstone_is_told_by_its_signal_and_libraries() -> None:
    report = parsed("android_ndk.log")
    assert report.exception_type == "SIGSEGV"
    assert report.reason == "signal 11 (SIGSEGV), code 1 (SEGV_MAPERR), fault addr 0x10"
    assert [frame.offset for frame in report.stack] == [0xABCD, 0x123F0, 0x1000, 0]
    assert [module.debug_id for module in report.modules] == ["5f3c1a", "0badf00d", None, None]


def test_a_jvm_log_with_modules_and_jars_is_read() -> None:
    report = parsed("jvm_modules.log")
    assert (report.platform, report.os.name, report.os.version) == ("linux", "Linux", "5.10")
    assert [frame.line for frame in report.exceptions[0].frames] == [264, 9, None, 833]
    assert report.reason == "bad row\nfirst line of detail\n\nsecond line of detail"
    assert report.unread == ()


def test_the_documents_template_with_two_bare_reasons_is_a_chain() -> None:
    report = parsed("document_template.log")
    assert [(e.relation, e.reason) for e in report.exceptions] == [
        ("thrown", "Unable to start the engine"),
        ("cause", "The pump is dry"),
    ]


def test_a_date_that_cannot_be_read_is_said_and_costs_nothing_else() -> None:
    report = parsed("document_template.log")
    assert report.occurred_at is None
    assert report.unread == ("Date cannot be read: yesterday",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sun Nov 27 17:35:08 GMT+01:00 2011", datetime(2011, 11, 27, 16, 35, 8)),
        ("Sun Nov 27 17:35:08 EST 2011", datetime(2011, 11, 27, 22, 35, 8)),
        ("Sun Nov 27 17:35:08 MESZ 2011", datetime(2011, 11, 27, 15, 35, 8)),
        ("Thu Nov 20 2026 17:35:08 GMT-0230 (NDT)", datetime(2026, 11, 20, 20, 5, 8)),
        ("Sun, 27 Nov 2011 17:35:08 +0100", datetime(2011, 11, 27, 16, 35, 8)),
        ("2016-04-14T12:00:00.5Z", datetime(2016, 4, 14, 12, 0, 0, 500_000)),
        ("2016-04-14 12:00:00+02:00", datetime(2016, 4, 14, 10)),
        ("2016-04-14T12:00:00.1234567+0200", datetime(2016, 4, 14, 10, 0, 0, 123_456)),
    ],
)
def test_a_date_with_a_zone_becomes_utc(text: str, expected: datetime) -> None:
    assert read_date(text) == DeviceDate(expected.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    "text", ["Sun Nov 27 17:35:08 2011", "2011-11-27T17:35:08", "Sun Nov 27 17:35:08 IST 2011"]
)
def test_a_date_without_a_clear_zone_is_taken_as_utc_and_says_so(text: str) -> None:
    read = read_date(text)
    assert read is not None
    assert read.value == datetime(2011, 11, 27, 17, 35, 8, tzinfo=UTC)
    assert read.problem


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "Sun Nov 31 17:35:08 UTC 2011",
        "9999-12-31T23:59:59-12:00",
        "11/27/2011 5:35 PM",
        "Sun Nov 27 17:35:08 GMT+99:99 2011",
        "x" * 100_000,
        "Nov 27 2011",
    ],
)
def test_an_impossible_date_is_none(text: str) -> None:
    assert read_date(text) is None


STACK = b"java.lang.Error: x\n\tat a.B.c(B.java:1)\n"


@pytest.mark.parametrize(
    ("head", "stack", "platform"),
    [
        ("Package: a.b", "a.b.E: x\n\tat a.b.C.d(C.kt:1)", "java"),
        ("Package: a.b\nManufacturer: Acme", "a.b.E: x\n\tat a.b.C.d(C.kt:1)", "android"),
        ("Package: a.b", "a.b.E: x\n\tat android.os.Looper.loop(Looper.java:1)", "android"),
        ("Package: a.b\nFormat: Xamarin", "System.E: x\n  at N.C.M () [0x0]", "android"),
        ("Package: a.b", "System.E: x\n  at N.C.M () [0x0]", "dotnet"),
        ("Package: a.b\nOS: Windows 10.0", "System.E: x\n  at N.C.M () [0x0]", "windows"),
        ("Package: a.b\nOS: Mac OS X 10.9", "java.lang.Error\n\tat a.b.C.d(C.java:1)", "macos"),
        ("Package: a.b", "trouble\n\tat a.b.C.d(Unknown Source)", "other"),
    ],
)
def test_the_platform_is_told_by_headers_first_and_names_after(
    head: str, stack: str, platform: str
) -> None:
    assert hockeyapp_log.parse(f"{head}\n\n{stack}\n".encode()).platform == platform


def test_headers_come_in_any_order_case_and_company() -> None:
    raw = b"\n\nLocale: de\nmodel : One\nPACKAGE: a.b\r\nX-Y: 1\nVersion:7\n\n" + STACK
    assert dict(hockeyapp_log.read_header(raw)) == {
        "Locale": "de",
        "Model": "One",
        "Package": "a.b",
        "X-Y": "1",
        "Version": "7",
    }
    assert hockeyapp_log.parse(raw).app.package == "a.b"


def test_the_first_of_two_equal_headers_counts() -> None:
    assert hockeyapp_log.read_header(b"Package: a\nPackage: b\n")["Package"] == "a"


def test_bytes_that_are_not_text_have_no_headers() -> None:
    assert hockeyapp_log.read_header(bytes(range(256)) * 8) == {}


@pytest.mark.parametrize(
    "encoded",
    [
        b"\xef\xbb\xbfPackage: \xc3\xbc.b\n\n" + STACK,
        ("Package: ü.b\n\n" + STACK.decode()).encode("utf-16"),
        ("Package: ü.b\n\n" + STACK.decode()).encode("utf-16-le"),
        ("Package: ü.b\n\n" + STACK.decode()).encode("utf-16-be"),
        ("Package: ü.b\n\n" + STACK.decode()).encode("utf-32"),
        ("Package: ü.b\n\n" + STACK.decode()).encode("latin-1"),
        ("Package: ü.b\n\n" + STACK.decode()).replace("\n", "\r").encode(),
        ("Package: ü.b\n\n" + STACK.decode()).encode() + b"\0\0\0",
    ],
)
def test_any_usual_encoding_is_read(encoded: bytes) -> None:
    report = hockeyapp_log.parse(encoded)
    assert report.app.package == "ü.b"
    assert report.stack[0].function == "a.B.c"


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "empty"),
        (b"  \n\n", "empty"),
        (b"Package: a.b\nVersion: 1\n\n", "no stack after the headers"),
        (b"Package: a.b\n\nsome words that tell nothing", "no stack"),
        (bytes(range(256)) * 40, "not text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(2000), "not text"),
    ],
)
def test_a_log_without_a_stack_says_what_is_missing(raw: bytes, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        hockeyapp_log.parse(raw)


def test_an_apple_report_does_not_look_like_a_hockeyapp_log() -> None:
    apple = b"Incident Identifier: 1\nCrashReporter Key: 2\nHardware Model: x\nVersion: 1\n\n"
    assert not hockeyapp_log.looks_like(apple)
    assert not hockeyapp_log.looks_like(b'{"app_name":"x"}\n{}')
    assert hockeyapp_log.looks_like(STACK)
    assert all(hockeyapp_log.looks_like(path.read_bytes()) for path in SAMPLES.glob("*.log"))


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.log")), ids=lambda path: path.stem)
def test_a_log_cut_off_anywhere_is_read_or_refused(path: Path) -> None:
    raw = path.read_bytes()
    for end in range(0, len(raw), 3):
        read_or_refused(raw[:end])


def read_or_refused(raw: bytes) -> None:
    hockeyapp_log.read_header(raw)
    hockeyapp_log.looks_like(raw)
    try:
        report = hockeyapp_log.parse(raw)
    except FormatError as error:
        assert str(error)
    else:
        assert report.exceptions
        repr(report).encode()  # nothing in it that cannot be stored


@given(st.binary(max_size=600))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    read_or_refused(raw)
    read_or_refused(b"Package: a.b\n\n" + raw + STACK)


@given(st.sampled_from(sorted(SAMPLES.glob("*.log"))), st.data())
@settings(max_examples=200, deadline=None)
def test_a_mutated_log_is_read_or_refused(path: Path, data: st.DataObject) -> None:
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=20))
        raw = raw or bytearray(b" ")
    read_or_refused(bytes(raw))


@given(st.sampled_from(["utf-16", "utf-32", "cp500", "utf-7", "shift_jis", "latin-1"]))
@settings(deadline=None)
def test_a_wrongly_encoded_log_is_read_or_refused(encoding: str) -> None:
    text = sample("android_document.log").decode() + "\nü"
    read_or_refused(text.encode(encoding, "replace"))
    read_or_refused(text.encode(encoding, "replace")[1:])


@pytest.mark.parametrize(
    "unit", [b"Package: a\n", b"A: ", b"\n", b" ", b"x", b"\xff", b"\0a", b"\xc3\xbc", b"at a.B.c("]
)
def test_time_grows_with_length_and_no_faster(unit: bytes) -> None:
    def seconds(size: int) -> float:
        raw = unit * (size // len(unit))
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            read_or_refused(raw)
            best = min(best, time.perf_counter() - start)
        return best

    # Eight times the text may take eight times as long; the rest is noise on a busy machine.
    assert seconds(800_000) < 8 * 4 * max(seconds(100_000), 0.002)
