"""PartyCrasher's data format: what is read from a report, and what is left to compare it by."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import FormatError
from chalicelib.formats import bounded_json
from chalicelib.formats.in_app import is_native_app_code
from chalicelib.formats.partycrasher_json import MAX_FRAMES, parse, split_name
from chalicelib.formats.partycrasher_rules import check, without_generated
from chalicelib.model import Frame, OperatingSystem, Report
from tests.shared_data import shared_data


def read(**properties: Any) -> Report:
    return parse(json.dumps({"database_id": "a", **properties}).encode())


def frame(**properties: Any) -> Frame:
    (found,) = read(stacktrace=[properties]).stack
    return found


# --- frames ----------------------------------------------------------------


def test_the_documents_frames_are_read() -> None:
    abort, draw, unknown = read(
        stacktrace=[
            {
                "address": "4895406",
                "depth": "2",
                "file": "abort.c",
                "fileline": "92",
                "function": "abort",
            },
            {
                "address": "3056248405",
                "depth": "8",
                "dylib": "/usr/lib/libQtGui.so.4",
                "function": "QCommonStyle::drawControl",
            },
            {
                "address": "0xf688eccf",
                "depth": "1",
                "dylib": "/usr/lib/flashplugin-installer/libflashplayer.so",
                "function": None,
            },
        ]
    ).stack
    assert (abort.function, abort.file, abort.line) == ("abort", "abort.c", 92)
    assert (abort.address, abort.in_app) == (4895406, False)
    assert (draw.class_name, draw.method) == ("QCommonStyle", "drawControl")
    assert (draw.module, draw.in_app) == ("/usr/lib/libQtGui.so.4", True)
    assert (unknown.function, unknown.address) == (None, 0xF688ECCF)


@pytest.mark.parametrize(
    ("file", "fileline", "expected"),
    [
        ("dbus-gmain.c:90", None, ("dbus-gmain.c", 90)),
        ("../x.cc:3:17", None, ("../x.cc", 3)),
        ("C:\\src\\x.cc", "7", ("C:\\src\\x.cc", 7)),
        ("x.py", 12, ("x.py", 12)),
        ("x.py", "soon", ("x.py", None)),
        ("x.py", "0", ("x.py", None)),
        (None, "5", (None, 5)),
    ],
)
def test_file_and_line(file: str | None, fileline: object, expected: tuple[object, object]) -> None:
    found = frame(function="f", file=file, fileline=fileline)
    assert (found.file, found.line) == expected


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("4895406", 4895406),
        ("0xff99cd48", 0xFF99CD48),
        ("00007fff`5a20b800", 0x7FFF5A20B800),
        ("7f505a20b800", 0x7F505A20B800),
        (4895406, 4895406),
        ("-1", None),
        ("0x1" + "0" * 16, None),
        ("main+12", None),
        ("", None),
        (None, None),
        (1.5, None),
    ],
)
def test_an_address_may_be_in_any_format(address: object, number: int | None) -> None:
    assert frame(function=None, address=address).address == number


def test_an_address_that_no_library_is_loaded_at_is_an_offset_in_its_library() -> None:
    found = frame(function=None, dylib="libyaml.so", address="0x8331")
    assert (found.address, found.offset) == (None, 0x8331)
    assert frame(function=None, address="0x8331").offset is None


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("main", (None, "main")),
        ("CompRegion::intersected(CompRect const&) const", ("CompRegion", "intersected")),
        ("a::B<c::D, e>::run<int>(f::G)", ("a::B<c::D, e>", "run<int>")),
        ("(anonymous namespace)::go()", ("(anonymous namespace)", "go")),
        ("-[Foo bar:]", ("Foo", "bar:")),
        ("jinja2.lexer.Lexer.tokeniter", ("jinja2.lexer.Lexer", "tokeniter")),
        ("f()", (None, "f")),
        ("()", (None, "()")),
        ("x.", (None, "x.")),
    ],
)
def test_a_name_is_split_into_class_and_method(
    function: str, expected: tuple[str | None, str]
) -> None:
    assert split_name(function) == expected


@pytest.mark.parametrize(
    ("function", "library", "ours"),
    [
        ("raise", "/lib/x86_64-linux-gnu/libc.so.6", False),
        (None, "/lib/tls/i686/cmov/libc.so.6", False),
        (None, "libstdc++.so.6.0.30", False),
        (None, "/lib64/ld-linux-x86-64.so.2", False),
        (None, "libc-2.31.so", False),
        (None, "C:\\Windows\\ntdll.dll", False),
        ("__libc_start_main", None, False),
        ("std::terminate()", None, False),
        (None, "/usr/lib/libgio-2.0.so.0", True),
        ("main", "service", True),
        ("cleanup", None, True),
        (None, None, False),
    ],
)
def test_the_runtime_is_not_the_apps_code(
    function: str | None, library: str | None, ours: bool
) -> None:
    assert is_native_app_code(function, library) is ours


def test_the_frames_of_a_stack_overflow_are_cut_and_said_to_be() -> None:
    found = read(stacktrace=[{"function": f"f{number}"} for number in range(MAX_FRAMES + 1)])
    assert len(found.stack) == MAX_FRAMES
    assert str(MAX_FRAMES + 1) in found.unread[0]


def test_further_threads_are_read_and_the_stack_trace_is_the_crashed_one() -> None:
    found = read(
        stacktrace=[{"function": "crash"}],
        threads=[{"stacktrace": ["..."]}, {"name": "pool", "stacktrace": [{"function": "wait"}]}],
    )
    assert [thread.crashed for thread in found.threads] == [True, False]
    assert found.threads[1].name == "pool"
    assert [f.function for f in found.stack] == ["crash"]


# --- what went wrong, where ----------------------------------------------------


@pytest.mark.parametrize(
    ("properties", "kind", "reason"),
    [
        ({"exception_type": "KeyError", "message": "'x'"}, "KeyError", "'x'"),
        ({"exception": "java.lang.Error: broken"}, "java.lang.Error", "broken"),
        ({"exception": "it broke down"}, None, "it broke down"),
        ({"Signal": "11", "SegvReason": "reading NULL VMA"}, "SIGSEGV", "reading NULL VMA"),
        ({"signal": 6, "AssertionMessage": "x > 0"}, "SIGABRT", "x > 0"),
        ({"signal": "SIGFPE (8)"}, "SIGFPE", None),
        ({"signal": "77"}, "signal 77", None),
        ({"Title": "a crashed with SIGSEGV in f()"}, "SIGSEGV", "a crashed with SIGSEGV in f()"),
        (
            {"Title": "b crashed with KeyError: 'x'"},
            "KeyError",
            "b crashed with KeyError: 'x'",
        ),
        ({"Title": "it hangs"}, None, "it hangs"),
        ({"Signal": "11", "Title": "a crashed with SIGSEGV"}, "SIGSEGV", None),
        ({"exception_type": {"no": "text"}, "message": ["x"]}, None, None),
    ],
)
def test_the_cause_is_found_under_the_names_that_clients_use(
    properties: dict[str, Any], kind: str | None, reason: str | None
) -> None:
    found = read(**properties)
    assert (found.exception_type, found.reason) == (kind, reason)


def test_where_it_happened_is_read() -> None:
    found = read(os="Ubuntu 12.10", version="6.0.1", oem="Dell", model="XPS 13")
    assert found.platform == "linux"
    assert found.os == OperatingSystem("Ubuntu", "12.10")
    assert (found.app.version, found.device.oem, found.device.model) == ("6.0.1", "Dell", "XPS 13")
    assert read(Package="unity 7.1.0+13.10").app.version == "7.1.0+13.10"


@pytest.mark.parametrize(
    ("os", "platform"),
    [
        ("Android 14", "android"),
        ("iOS 17.1", "ios"),
        ("macOS 14", "macos"),
        ("Mac OS X 10.6", "macos"),
        ("Windows 11", "windows"),
        ("Ubuntu 9.04", "linux"),
        ("Plan 9", "other"),
    ],
)
def test_the_platform_is_told_by_the_os(os: str, platform: str) -> None:
    assert read(os=os).platform == platform


@pytest.mark.parametrize(
    ("date", "moment"),
    [
        ("2007-06-18T19:23:43", datetime(2007, 6, 18, 19, 23, 43, tzinfo=UTC)),
        ("2007-06-18T19:23:43Z", datetime(2007, 6, 18, 19, 23, 43, tzinfo=UTC)),
        ("2007-06-18T19:23:43+02:00", datetime(2007, 6, 18, 17, 23, 43, tzinfo=UTC)),
        ("2007-06-18", datetime(2007, 6, 18, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        (7, None),
    ],
)
def test_the_date_is_in_utc(date: object, moment: datetime | None) -> None:
    assert read(date=date).date == moment


# --- the other properties --------------------------------------------------------


def test_other_properties_are_told_by_path_and_text_without_identity_and_environment() -> None:
    found = read(
        project="p",
        date="2016-02-29",
        os="Ubuntu",
        cpu="amd64",
        ProcEnviron="PATH=x",
        InstallationDate="Installed on 2013-02-05",
        start_time="now",
        seen="2016-02-29T10:00:00",
        tfidf_trickery="banana",
        nested={"list": ["a", {"b": 2}, None, True], "os": "Ubuntu"},
        buckets={"4.0": {"id": "x"}},
        href="http://x",
        stacktrace=[],
        message="told by the cause",
    )
    assert found.properties == (
        ("tfidf_trickery", "banana"),
        ("nested.list", "a"),
        ("nested.list.b", "2"),
        ("nested.list", "true"),
    )


def test_the_properties_are_bounded() -> None:
    many = read(**{f"p{number}": "x" for number in range(400)})
    assert len(many.properties) == 300
    large = read(**{f"p{number}": "x" * 5000 for number in range(20)})
    assert [len(text) for _, text in large.properties] == [4000] * 9
    assert many.unread
    assert large.unread


def test_halves_of_characters_are_replaced() -> None:
    raw = b'{"database_id": "a", "message": "x\\ud800", "odd\\udfff": "\\udc00"}'
    found = parse(raw)
    assert found.reason == "x?"
    assert found.properties == (("odd?", "?"),)


# --- real reports -------------------------------------------------------------------


@pytest.mark.parametrize("number", range(1, 6))
def test_a_launchpad_crash_is_a_linux_crash_by_signal(number: int) -> None:
    raw = shared_data("partycrasher", f"launchpad-{number}.json").read_bytes()
    check(without_generated(json.loads(raw)))
    found = parse(raw)
    assert (found.platform, found.exception_type) == ("linux", "SIGSEGV")
    assert found.stack
    assert found.os.name == "Ubuntu"
    assert not found.unread
    assert not any(f.file and f.file[-1].isdigit() for f in found.stack)


def test_every_report_of_the_corpus_is_valid_and_read() -> None:
    corpus = gzip.decompress(shared_data("bucketing", "dev.jsonl.gz").read_bytes())
    for line in corpus.splitlines()[::50]:
        check(without_generated(json.loads(line)))
        found = parse(line)
        assert found.exception_type
        assert found.stack
        assert found.date
        assert found.properties == ()


# --- what is refused, and what never fails --------------------------------------------


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"[]", "object"),
        (b"{", "broken JSON"),
        (b"{} {}", "broken JSON"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"1" * 500 + b"}", "400 characters"),
        (b"[" * 100 + b"]" * 100, "deeper"),
        (b'{"a": "\xff"}', "UTF-8"),
    ],
)
def test_what_could_not_be_given_back_as_it_came_is_refused(raw: bytes, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        parse(raw)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])
def test_json_in_any_of_its_encodings_is_read(encoding: str) -> None:
    assert bounded_json.read_exactly('{"a": "ž"}'.encode(encoding)) == {"a": "ž"}


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
_names = st.sampled_from(
    ["stacktrace", "threads", "date", "os", "Signal", "exception", "message", "Title", "Package"]
)


@given(st.dictionaries(_names | st.text(max_size=5), _json | st.lists(st.dictionaries(
    st.sampled_from(["function", "dylib", "address", "file", "fileline", "offset"]), _json
), max_size=3), max_size=5))  # fmt: skip
def test_any_object_is_read_or_refused_as_what_it_is(posted: dict[str, Any]) -> None:
    raw = json.dumps(posted).encode()
    with suppress(FormatError):
        check(without_generated(posted))
    parse(raw)
