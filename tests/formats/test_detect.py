from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import FormatError
from chalicelib.formats import log
from chalicelib.formats.detect import LOOK_BYTES, detect
from tests.formats.apple_samples import PROPERTY, assert_report_or_format_error, sample
from tests.shared_data import shared_data

ANDROID = (
    b"Package: org.example.app\nVersion: 7\nOS: 4.0\nManufacturer: X\nModel: Y\n"
    b"Date: Sun Nov 27 17:35:08 GMT+01:00 2011\n\n"
    b'org.json.JSONException: Value {"threads": 1} of type String\n'
    b"\tat org.example.app.Main.run(Main.java:12)\n"
)
HOCKEY_FRONT = b"Package: org.example.app\nVersion: 9\nOS: 12.0\nManufacturer: Apple\n\n"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (ANDROID, "hockeyapp_log"),
        (sample("apple_ios_exception.crash"), "apple_text"),
        (sample("apple_mac_exception.crash"), "apple_text"),
        (HOCKEY_FRONT + sample("apple_ios_exception.crash"), "apple_text"),
        (sample("apple_ios_raw_backtrace.ips"), "apple_text"),
        ("\ufeff".encode() + sample("apple_ios_exception.crash"), "apple_text"),
        (sample("apple_ios_exception.crash").replace(b"\n", b"\r\n"), "apple_text"),
        (b"Thread 0:\n0   App Name   0x0000000102268e70 0x10211c000 + 1363568\n", "apple_text"),
        (sample("apple_signal.ips"), "apple_ips"),
        (sample("apple_signal.ips").partition(b"\n")[2], "apple_ips"),
        (HOCKEY_FRONT + sample("apple_exception.ips"), "apple_ips"),
        (sample("apple_jetsam.ips"), "apple_ips"),
        (b"", None),
        (b"\x00\x01\x02MDMP\x93\xa7" * 20, None),
        (b'{"a": 1}', None),
        (b"hello\nProcess: none of the kind\n", None),
    ],
    ids=range(16),
)
def test_detect(raw: bytes, expected: str | None) -> None:
    assert detect(raw) == expected


@pytest.mark.parametrize("name", ["XCDYouTubeKit-54.txt", "handcrafted.txt", "spaces.txt"])
def test_shared_samples_are_apple_text(name: str) -> None:
    assert detect(shared_data("apple", name).read_bytes()) == "apple_text"


def test_only_the_beginning_is_looked_at() -> None:
    assert detect(b"x" * LOOK_BYTES + b"\n" + sample("apple_ios_exception.crash")) is None


@pytest.mark.parametrize(
    ("raw", "platform", "exception_type"),
    [
        (ANDROID, "android", "org.json.JSONException"),
        (sample("apple_ios_exception.crash"), "ios", "NSInvalidArgumentException"),
        (sample("apple_exception.ips"), "ios", "NSRangeException"),
    ],
    ids=["hockeyapp", "text", "ips"],
)
def test_log_is_parsed_in_the_format_it_is_in(
    raw: bytes, platform: str, exception_type: str
) -> None:
    report = log.parse(raw)
    assert (report.platform, report.exception_type) == (platform, exception_type)


def test_log_in_no_known_format_is_refused() -> None:
    with pytest.raises(FormatError, match="neither"):
        log.parse(b"hello")


@PROPERTY
@given(st.binary(max_size=600))
def test_any_bytes_give_a_report_or_a_format_error(raw: bytes) -> None:
    assert_report_or_format_error(log.parse, raw)
    assert_report_or_format_error(log.parse, HOCKEY_FRONT + raw)
