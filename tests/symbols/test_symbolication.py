"""Names for the frames of reports that came as text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from chalicelib.formats import log
from chalicelib.formats.minidump.symbol_source import ModuleSymbols
from chalicelib.model import AppBuild, ExceptionInfo, Frame, Module, ModuleId, Report, Thread
from chalicelib.symbols import debug_file, mapping_index
from chalicelib.symbols.mapping import Mapping
from chalicelib.symbols.module_symbols import Caches, open_symbols
from chalicelib.symbols.symbolication import NoReportSymbols, symbolicate
from tests.symbols.samples import APP_ID, APP_SYM, LIB_ID, LIB_SYM, MAPPING

OBFUSCATED_LOG = b"""Package: com.example.app
Version Code: 42
Version Name: 1.0
Android: 14
Manufacturer: Google
Model: Pixel 8
Date: Mon Nov 02 10:11:12 UTC 2026

x.y: it broke
\tat a.c.a(SourceFile:4)
\tat a.c.b(Unknown Source:7)
\tat a.c.c(SourceFile:9)
\tat java.util.ArrayList.get(ArrayList.java:437)
Caused by: java.lang.IllegalStateException: inner
\tat a.b.a(r8-map-id-7f3a9c:6)
"""


@dataclass
class Known:
    """Some builds by their ids, and the mapping of version 42."""

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    def module(self, debug_file_name: str, debug_id: str) -> ModuleSymbols | None:
        self.asked.append((debug_file_name, debug_id))
        raw = self.files.get(debug_id)
        if raw is None:
            return None
        [file] = debug_file.read(raw, "x")
        return open_symbols(Caches(file.symbols, file.unwind))

    def mapping(self, build: AppBuild, ids: Iterable[str] = ()) -> Mapping | None:
        self.ids += ids
        return Mapping(MAPPING, mapping_index.build(MAPPING)) if build.version == "42" else None


# --- modules ---


def apple(*frames: Frame, **fields: object) -> Report:
    modules = (
        Module("App", start=0x100000, end=0x110000, debug_id=APP_ID),
        Module("Lib", start=0x200000, end=0x210000, debug_id=LIB_ID, debug_file="liblib.so"),
    )
    thread = Thread(0, crashed=True, frames=frames)
    return Report("ios", threads=(thread,), modules=modules, **fields)  # type: ignore[arg-type]


def place(module: str, offset: int, **fields: object) -> Frame:
    return Frame(module=module, offset=offset, address=0x100000 + offset, **fields)  # type: ignore[arg-type]


def test_places_become_functions_and_inlined_ones_come_first() -> None:
    report = apple(place("App", 0x1012, in_app=True), place("Lib", 0x2001))
    done = symbolicate(report, Known({APP_ID: APP_SYM, LIB_ID: LIB_SYM}))
    assert done.crashed_thread
    twice, work, call = done.crashed_thread.frames
    assert (twice.function, twice.file, twice.line, twice.inlined) == (
        "twice(int)", "c:\\src\\twice.h", 3, True,
    )  # fmt: skip
    assert (work.function, work.line, work.inlined) == ("work(int, int)", 12, False)
    assert work.address == twice.address == 0x101012 and work.in_app
    assert (call.function, call.line) == ("lib_call", 7)
    assert done.lacking == ()


def test_a_return_address_belongs_to_the_call_before_it() -> None:
    frames = (place("Lib", 0x2080), place("Lib", 0x2080))
    done = symbolicate(apple(*frames), Known({LIB_ID: LIB_SYM}))
    assert done.crashed_thread
    assert [frame.line for frame in done.crashed_thread.frames] == [9, 7]


def test_all_frames_of_an_exception_are_return_addresses() -> None:
    thrown = ExceptionInfo("NSException", "bad", (place("Lib", 0x2080),))
    done = symbolicate(apple(exceptions=(thrown,)), Known({LIB_ID: LIB_SYM}))
    assert done.exceptions[0].frames[0].line == 7


def test_builds_of_the_crashed_stack_without_symbols_are_lacking_each_once() -> None:
    report = apple(place("App", 1), place("App", 2), place("Lib", 3), place("Other", 4))
    other = Thread(1, frames=(place("Lib", 0x2000),))
    report = Report(
        "macos", threads=(*report.threads, other), modules=report.modules[:1] + report.modules[1:]
    )
    done = symbolicate(report, Known({LIB_ID: LIB_SYM}))
    assert done.lacking == (ModuleId("App", APP_ID),)
    assert done.threads[1].frames[0].function == "lib_call"
    assert symbolicate(report, NoReportSymbols()).lacking == (
        ModuleId("App", APP_ID), ModuleId("liblib.so", LIB_ID),
    )  # fmt: skip


def test_only_frames_that_gain_are_looked_up() -> None:
    frames = (
        place("Lib", 0x2000, function="lib_call", in_app=False),
        place("App", 0x1100, function="start", in_app=True, line=40, file="work.cpp"),
        Frame(function="main"),
    )
    source = Known({APP_ID: APP_SYM, LIB_ID: LIB_SYM})
    report = apple(*frames)
    assert symbolicate(report, source) == report
    assert source.asked == []


def test_the_next_name_that_was_not_stripped_gives_way_to_the_right_one() -> None:
    frame = place("App", 0x1100, function="_mh_execute_header", in_app=True)
    done = symbolicate(apple(frame), Known({APP_ID: APP_SYM}))
    assert done.crashed_thread
    assert done.crashed_thread.frames[0].function == "start()"


def test_a_place_that_symbols_do_not_cover_stays() -> None:
    report = apple(place("App", 0x10))
    assert symbolicate(report, Known({APP_ID: APP_SYM})).threads == report.threads


def test_native_frames_of_androids_logs_are_named_by_their_build_id() -> None:
    debug_id = debug_file.debug_id_of_build("00112233445566778899aabbccddeeff01020304")
    raw = LIB_SYM.replace(LIB_ID.encode(), debug_id.encode())
    text = (
        b"Package: com.example.app\nAndroid: 14\n\njava.lang.Error: native\n"
        b"    #00 pc 0000000000002080  /data/app/lib/arm64/liblib.so "
        b"(BuildId: 00112233445566778899aabbccddeeff01020304)\n"
    )
    report = log.parse(text)
    done = symbolicate(report, Known({debug_id: raw}))
    [frame] = done.exceptions[0].frames
    assert (frame.function, frame.line) == ("lib_call", 9)
    assert symbolicate(report, NoReportSymbols()).lacking == (ModuleId("liblib.so", debug_id),)


# --- mappings ---


def test_an_obfuscated_log_has_its_own_names_again() -> None:
    source = Known()
    done = symbolicate(log.parse(OBFUSCATED_LOG), source)
    outer, inner = done.exceptions
    assert outer.type == "com.example.app.Boom"
    told = [(f.function, f.file, f.line, f.inlined, f.in_app) for f in outer.frames]
    activity = "com.example.app.MainActivity"
    assert told == [
        ("com.example.app.Helper.inner", "Helpers.kt", 33, True, True),
        (f"{activity}.onCreate", "MainActivity.kt", 14, False, True),
        (f"{activity}.click", "MainActivity.kt", 7, False, True),
        (f"{activity}.c", "SourceFile", 9, False, True),
        ("java.util.ArrayList.get", "ArrayList.java", 437, False, False),
    ]
    assert [frame.method for frame in outer.frames][:3] == ["inner", "onCreate", "click"]
    assert inner.frames[0].function == "com.example.app.Helper.check"
    assert (inner.frames[0].file, inner.frames[0].line) == ("Helpers.kt", 21)
    assert source.ids == ["7f3a9c"]


def test_a_log_of_a_version_without_a_mapping_stays_as_it_is() -> None:
    report = log.parse(OBFUSCATED_LOG.replace(b"Code: 42", b"Code: 41"))
    assert symbolicate(report, Known()) == report
    assert symbolicate(report, NoReportSymbols()) == report
