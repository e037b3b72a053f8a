"""What a report says of a dump: which thread crashed, its frames, modules and missing symbols."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from chalicelib.errors import FormatError
from chalicelib.formats.minidump.report import parse
from chalicelib.formats.minidump.symbol_source import Location, NoSymbols, WindowsFrame
from chalicelib.formats.minidump.unwinding import MAX_FRAMES
from chalicelib.model import Module, ModuleId, Report
from chalicelib.symbols.folder_source import FolderSymbols
from tests.formats.minidump.builder import MinidumpBuilder, ModuleAnnotations
from tests.shared_data import shared_data

CODE, SIZE = 0x40_0000, 0x1_0000
STACK = 0x7FFF_0000_0000
GAME_ID = "111122223333444455556666777788881"
LIB_ID = "AAAABBBBCCCCDDDDEEEEFFFF000011112"


class Symbols:
    """Symbols of one module, which is a row of functions of 256 bytes from `first` on."""

    def __init__(self, debug_id: str, names: Sequence[str], first: int = 0x1000) -> None:
        self._debug_id, self._names, self._first = debug_id, names, first
        self.lookups = 0

    def module(self, debug_file: str, debug_id: str) -> Symbols | None:  # noqa: ARG002
        return self if debug_id == self._debug_id else None

    def locate(self, offset: int) -> Sequence[Location]:
        self.lookups += 1
        number = (offset - self._first) // 0x100
        if not 0 <= number < len(self._names):
            return ()
        start = self._first + 0x100 * number
        return (Location(self._names[number], "game.cc", 7, start),)

    def cfi(self, offset: int) -> Mapping[str, str] | None:  # noqa: ARG002
        return None

    def windows_frame(self, offset: int) -> WindowsFrame | None:  # noqa: ARG002
        return None


def _words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


def _game(os: str = "linux") -> MinidumpBuilder:
    return MinidumpBuilder(os=os, cpu="amd64").module(
        "/app/game", CODE, SIZE, debug_file="/build/game", debug_id=GAME_ID
    )


def _functions(report: Report) -> list[str | None]:
    thread = report.crashed_thread
    assert thread is not None
    return [frame.function for frame in thread.frames]


def test_crashed_thread_shows_the_registers_of_the_exception_not_of_its_handler() -> None:
    dump = (
        _game()
        .thread(6, {"rip": CODE + 0x1301, "rsp": STACK + 0x100}, stack=bytes(64))
        .thread(7, {"rip": CODE + 0x1201, "rsp": STACK}, stack=bytes(64), name="render")
        .exception(
            7, code=11, flags=1, address=0x45, registers={"rip": CODE + 0x1001, "rsp": STACK}
        )
        .build()
    )
    report = parse(dump, Symbols(GAME_ID, ["crash", "other", "handler", "idle"]))
    assert [(thread.number, thread.crashed) for thread in report.threads] == [(0, False), (1, True)]
    crashed = report.threads[1]
    assert (crashed.name, _functions(report)) == ("render", ["crash"])
    assert dict(crashed.registers)["rip"] == CODE + 0x1001
    assert (report.exception_type, report.crash_address) == ("SIGSEGV /SEGV_MAPERR", 0x45)
    assert report.reason == "SIGSEGV /SEGV_MAPERR at 0x45"
    frame = crashed.frames[0]
    assert (frame.module, frame.offset, frame.address) == ("game", 0x1001, CODE + 0x1001)
    assert (frame.file, frame.line, frame.trust, frame.in_app) == ("game.cc", 7, "context", True)


def test_without_an_exception_the_requesting_thread_counts_as_crashed() -> None:
    dump = (
        _game()
        .thread(6, {"rip": CODE + 0x1001, "rsp": STACK}, stack=bytes(64))
        .thread(7, {"rip": CODE + 0x1101, "rsp": STACK}, stack=bytes(64))
        .breakpad_info(requesting_thread=7)
        .build()
    )
    report = parse(dump, Symbols(GAME_ID, ["idle", "asked"]))
    assert _functions(report) == ["asked"]
    assert (report.exception_type, report.reason) == ("No crash", "No crash")
    assert report.crash_address is None


def test_thread_that_writes_the_dump_is_left_out_unless_it_crashed() -> None:
    dump = (
        _game()
        .thread(5, {"rip": CODE + 0x1001, "rsp": STACK}, stack=bytes(64))
        .thread(6, {"rip": CODE + 0x1101, "rsp": STACK}, stack=bytes(64))
        .thread(7, {"rip": CODE + 0x1201, "rsp": STACK}, stack=bytes(64))
        .exception(7, code=11, registers={"rip": CODE + 0x1201, "rsp": STACK})
        .breakpad_info(dump_thread=5)
        .build()
    )
    report = parse(dump, Symbols(GAME_ID, ["writer", "idle", "crash"]))
    shown = [(thread.number, thread.frames[0].function) for thread in report.threads]
    assert shown == [(0, "idle"), (1, "crash")]


def test_a_module_without_symbols_is_lacking_once_and_only_for_the_crashed_thread() -> None:
    stack = _words(0, CODE + 0x1105, 0x50_0123, 0x50_0321, 0x60_0123)
    dump = (
        _game()
        .module(r"C:\app\lib.dll", 0x50_0000, SIZE, debug_file=r"D:\b\lib.pdb", debug_id=LIB_ID)
        .module("/app/nameless", 0x60_0000, SIZE)
        .module("/app/idle", 0x70_0000, SIZE, debug_file="idle", debug_id=LIB_ID[:-1] + "5")
        .thread(1, {"rip": CODE + 0x1001, "rsp": STACK}, stack=stack)
        .thread(2, {"rip": 0x70_0010, "rsp": STACK}, stack=bytes(16))
        .exception(1, code=11, registers={"rip": CODE + 0x1001, "rsp": STACK})
        .build()
    )
    report = parse(dump, Symbols(GAME_ID, ["crash", "caller"]))
    assert [frame.module for frame in report.threads[0].frames] == [
        "game", "game", "lib.dll", "lib.dll", "nameless",
    ]  # fmt: skip
    assert report.lacking == (ModuleId("lib.pdb", LIB_ID),)
    assert [entry.debug_id for entry in parse(dump, NoSymbols()).lacking] == [GAME_ID, LIB_ID]


def test_a_function_that_symbols_do_not_have_is_not_lacking() -> None:
    registers = {"rip": CODE + 0x8000, "rsp": STACK}
    dump = _game().thread(1, registers, stack=bytes(8)).exception(1, code=11).build()
    report = parse(dump, Symbols(GAME_ID, ["far_away"]))
    assert _functions(report) == [None]
    assert report.lacking == ()


def test_inlined_functions_are_frames_before_the_one_they_are_in(tmp_path: Path) -> None:
    (tmp_path / "game.sym").write_text(
        f"""MODULE Linux x86_64 {GAME_ID} game
FILE 0 a.cc
FILE 1 b.cc
INLINE_ORIGIN 0 Ship::hull()
INLINE_ORIGIN 1 Ship::sink()
FUNC 1000 100 0 main
INLINE 0 42 0 0 1000 40
INLINE 1 32 1 1 1000 20
1000 20 27 0
1020 e0 50 0
"""
    )
    registers = {"rip": CODE + 0x1005, "rsp": STACK}
    dump = _game().thread(1, registers, stack=bytes(8)).exception(1, code=11).build()
    thread = parse(dump, FolderSymbols(tmp_path)).crashed_thread
    assert thread is not None
    shown = [
        (frame.function, frame.class_name, frame.method, frame.file, frame.line, frame.inlined)
        for frame in thread.frames
    ]
    assert shown == [
        ("Ship::sink()", "Ship", "sink", "a.cc", 27, True),
        ("Ship::hull()", "Ship", "hull", "b.cc", 32, True),
        ("main", None, "main", "a.cc", 42, False),
    ]


def test_a_module_that_was_unloaded_names_the_frame() -> None:
    registers = {"rip": 0x90_0123, "rsp": STACK}
    dump = (
        _game("windows")
        .unloaded_module(r"C:\app\plugin.dll", 0x90_0000, SIZE)
        .thread(1, registers, stack=_words(CODE + 0x1001))
        .exception(1, code=0xC0000005, registers=registers)
        .build()
    )
    thread = parse(dump, Symbols(GAME_ID, ["main"])).crashed_thread
    assert thread is not None
    assert [(frame.module, frame.offset) for frame in thread.frames] == [
        ("plugin.dll", 0x123), ("game", 0x1001),
    ]  # fmt: skip


def test_modules_and_system_are_in_the_report() -> None:
    dump = (
        MinidumpBuilder(os="windows", cpu="x86", version=(10, 0, 19042), build_text="SP 1")
        .module(
            r"C:\app\game.exe", 0x40_0000, SIZE, debug_file=r"D:\game.pdb", debug_id=GAME_ID,
            version=(1, 2, 3, 4),
        )
        .thread(1, {"eip": 0x40_1000, "esp": 0x8000}, stack=bytes(8))
        .exception(1, code=0xC0000005, address=0x40_1000, parameters=(1, 0x45))
        .build()
    )  # fmt: skip
    report = parse(dump, NoSymbols())
    assert report.platform == "windows"
    assert (report.os.name, report.os.version, report.os.build) == (
        "Windows NT", "10.0.19042", "SP 1",
    )  # fmt: skip
    module = report.modules[0]
    assert module == Module(
        name="game.exe",
        path=r"C:\app\game.exe",
        start=0x40_0000,
        end=0x41_0000,
        debug_id=GAME_ID,
        arch="x86",
        version="1.2.3.4",
        debug_file="game.pdb",
        code_id=module.code_id,
    )
    assert report.exception_type == "EXCEPTION_ACCESS_VIOLATION_WRITE"


def test_annotations_of_the_process_come_before_those_of_its_modules() -> None:
    dump = (
        _game()
        .thread(1, {"rip": CODE, "rsp": STACK}, stack=bytes(8))
        .crashpad_info(
            {"prod": "Game"}, {0: ModuleAnnotations(simple={"prod": "Engine", "level": "7"})}
        )
        .build()
    )
    assert parse(dump, NoSymbols()).annotations == (("prod", "Game"), ("level", "7"))


@pytest.mark.parametrize(
    ("os", "main", "path", "function", "is_app"),
    [
        ("windows", r"C:\Game\game.exe", r"C:\Windows\System32\ntdll.dll", None, False),
        ("windows", r"C:\Game\game.exe", r"C:\Windows\WinSxS\x86_c\comctl32.dll", None, False),
        ("windows", r"C:\Game\game.exe", r"C:\Game\engine.dll", None, True),
        ("windows", r"C:\Game\game.exe", "kernel32.dll", None, False),
        ("windows", r"C:\Game\game.exe", r"C:\Game\game.exe", "__scrt_common_main_seh", False),
        ("windows", r"C:\Game\game.exe", r"C:\Game\game.exe", "std::vector<int>::at", False),
        ("linux", "/usr/bin/editor", "/usr/bin/editor", "main", True),
        ("linux", "/usr/bin/editor", "/usr/lib/x86_64-linux-gnu/libc-2.31.so", None, False),
        ("linux", "/usr/lib/editor/editor", "/usr/lib/editor/libcore.so", None, True),
        ("linux", "/opt/game/game", "/opt/game/libphysics.so", None, True),
        ("linux", "/opt/game/game", "linux-gate.so", None, False),
        ("linux", "/opt/game/game", "/opt/game/game", "core::panicking::panic", False),
        ("linux", "/opt/game/game", "/opt/game/game", "<game::Ship as game::Hull>::sink", True),
        ("macos", "/Applications/G.app/Contents/MacOS/G", "/usr/lib/libdyld.dylib", None, False),
        (
            "macos", "/Applications/G.app/Contents/MacOS/G",
            "/Applications/G.app/Contents/Frameworks/E.framework/E", None, True,
        ),
        ("android", "/system/bin/app_process64", "/system/bin/app_process64", None, False),
        ("android", "/system/bin/app_process64", "/data/app/x/lib/arm64/libgame.so", None, True),
    ],
)  # fmt: skip
def test_in_app_is_what_neither_system_nor_compiler_brings(
    os: str, main: str, path: str, function: str | None, *, is_app: bool
) -> None:
    builder = MinidumpBuilder(os=os, cpu="amd64").module(
        main, CODE, SIZE, debug_file="main", debug_id=GAME_ID
    )
    if path != main:
        builder.module(path, 0x50_0000, SIZE)
    at = CODE if path == main else 0x50_0000
    dump = builder.thread(1, {"rip": at + 0x1001, "rsp": STACK}, stack=bytes(8)).exception(
        1, code=11
    )
    report = parse(dump.build(), Symbols(GAME_ID, [function] if function else []))
    thread = report.crashed_thread
    assert thread is not None
    assert (thread.frames[0].function, thread.frames[0].in_app) == (function, is_app)


def test_code_made_at_run_time_is_no_bad_jump() -> None:
    registers = {"rip": 0x90_0123, "rsp": STACK, "rbp": STACK + 8}
    stack = _words(CODE + 0x1101, STACK + 24, CODE + 0x1201, 0)

    def dump(protection: int) -> bytes:
        return (
            _game()
            .memory_info(0x90_0000, SIZE, protection)
            .thread(1, registers, stack=stack)
            .exception(1, code=11, address=0x90_0123)
            .build()
        )

    def trusts(protection: int) -> list[str | None]:
        thread = parse(dump(protection), NoSymbols()).crashed_thread
        assert thread is not None
        return [frame.trust for frame in thread.frames]

    not_executable, executable = 0x04, 0x20
    assert trusts(not_executable) == ["context", "leaf", "frame_pointer"]
    assert trusts(executable) == ["context", "frame_pointer"]


def test_what_is_no_minidump_is_refused() -> None:
    with pytest.raises(FormatError):
        parse(b"MDMP and nothing else", NoSymbols())


def test_an_endless_stack_ends_at_the_limit() -> None:
    registers = {"rip": CODE + 0x1001, "rsp": STACK}
    dump = (
        _game()
        .thread(1, registers, stack=_words(*[CODE + 0x1005] * 5000))
        .exception(1, code=11, registers=registers)
        .build()
    )
    report = parse(dump, Symbols(GAME_ID, ["deeper"]))
    assert len(_functions(report)) == MAX_FRAMES
    assert report.unread == (
        f"the crashed thread has more than {MAX_FRAMES} frames",
        "stacks that go on behind the last frame shown: 1",
    )


def test_many_endless_stacks_take_bounded_effort_and_the_crashed_one_is_whole() -> None:
    builder = _game()
    # Each word leads elsewhere into the module: none is answered from what is known already.
    words = [CODE + 1 + (place * 7919) % SIZE for place in range(2000)]
    for number in range(200):
        registers = {"rip": CODE + 0x1001, "rsp": STACK}
        builder.thread(number, registers, stack=_words(*words))
    dump = builder.exception(199, code=11, registers=registers).build()
    symbols = Symbols(GAME_ID, [f"f{number}" for number in range(240)])
    began = time.process_time()
    report = parse(dump, symbols)
    assert time.process_time() - began < 5  # a second on a quiet machine
    assert len(report.threads) == 200
    assert len(_functions(report)) == MAX_FRAMES
    # Beyond the limit, a thread still shows where it is.
    assert all(thread.frames for thread in report.threads)
    assert sum(len(thread.frames) for thread in report.threads) <= 16_384 + 200
    assert symbols.lookups <= 20_000


# Prints threads and the most memory used, in kB. Linux's ru_maxrss would count what the process
# had before it became this one.
_READ_LARGE = """
import re, resource, sys
from pathlib import Path
from chalicelib.formats.minidump.report import parse
from chalicelib.formats.minidump.symbol_source import NoSymbols
report = parse(sys.stdin.buffer.read(), NoSymbols())
status = Path("/proc/self/status")
if status.exists():
    most = int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1])
else:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(len(report.threads), most)
"""


def test_a_dump_of_20_mb_is_read_within_256_mb_of_memory() -> None:
    builder = _game()
    stack = _words(*[CODE + 0x1005, 0, STACK] * 3000)
    for number in range(100):
        builder.thread(number, {"rip": CODE + 0x1001, "rsp": STACK}, stack=stack)
    for number in range(180):
        builder.memory64(0x10_0000_0000 + 0x10_0000 * number, bytes(0x1_8000))
    dump = builder.build()
    assert len(dump) > 20_000_000
    done = subprocess.run(
        [sys.executable, "-c", _READ_LARGE], input=dump, capture_output=True, check=True
    )
    threads, kilobytes = map(int, done.stdout.split())
    assert threads == 100
    assert kilobytes < 256 * 1024


@pytest.mark.parametrize(
    "name", ["rust-minidump-pipeline-inlines-macos-segv", "symbolic-windows-mini"]
)
def test_the_crashed_thread_alone_is_as_it_is_among_all(name: str) -> None:
    raw = shared_data("minidumps", "dumps", f"{name}.dmp").read_bytes()
    whole = parse(raw, NoSymbols())
    alone = parse(raw, NoSymbols(), only_crashed=True)
    assert (alone.crashed_thread, alone.lacking) == (whole.crashed_thread, whole.lacking)
    assert len(whole.threads) > len(alone.threads) == 1
