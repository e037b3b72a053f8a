"""What a minidump says of machine, process and modules, in the JSON that people's tools read."""

from __future__ import annotations

from chalicelib.formats.minidump import report
from chalicelib.formats.minidump.symbol_source import NoSymbols
from chalicelib.report_json import as_json
from tests.formats.minidump.builder import MinidumpBuilder

STARTED = 1_600_072_900


def test_machine_process_threads_and_unloaded_modules_are_told() -> None:
    dump = (
        MinidumpBuilder(os="windows", cpu="x86", cpu_count=8)
        .misc_info(6040, STARTED)
        .module(r"C:\app\game.exe", 0x40_0000, 0x1000)
        .unloaded_module(r"C:\app\plugin.dll", 0x50_0000, 0x2000, 0x5F5F2C88)
        .thread(0x2AE0, {"eip": 0x40_0100, "esp": 0x8000}, stack=bytes(8), name="game")
        .exception(0x2AE0, code=0xC0000005, address=0x40_0100, parameters=(0, 0x45))
        .build()
    )
    told = as_json(report.parse(dump, NoSymbols()))
    assert (told["pid"], told["process_create_time"]) == (6040, "2020-09-14T08:41:40+00:00")
    system = told["system_info"]
    assert (system["cpu_arch"], system["cpu_count"]) == ("x86", 8)
    assert system["cpu_info"].startswith("GenuineIntel family 6 model 42")
    [thread] = told["threads"]
    assert (thread["thread_id"], thread["thread_name"], thread["crashed"]) == (0x2AE0, "game", True)
    [unloaded] = told["unloaded_modules"]
    assert unloaded == {
        "filename": "plugin.dll",
        "path": r"C:\app\plugin.dll",
        "base_addr": "0x500000",
        "end_addr": "0x502000",
        "code_id": "5F5F2C882000",
    }
    assert told["crash_info"] == {
        "type": "EXCEPTION_ACCESS_VIOLATION_READ",
        "address": "0x45",
        "reason": "EXCEPTION_ACCESS_VIOLATION_READ at 0x45",
        "assertion": None,
        "crashing_thread": 0,
    }


def test_an_assertion_that_failed_is_told() -> None:
    dump = (
        MinidumpBuilder(os="windows", cpu="x86")
        .thread(1, {"eip": 0x40_0100, "esp": 0x8000}, stack=bytes(8))
        .assertion(1, "n > 0", "f", "a.cc", 7)
        .build()
    )
    told = as_json(report.parse(dump, NoSymbols()))
    assert "n > 0 in function f, in file a.cc at line 7" in told["crash_info"]["assertion"]
