"""A crash as an engineer reads it: what happened where, on which machine, and what is not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from chalicelib.model import (
    Frame,
    Module,
    ModuleId,
    OperatingSystem,
    Process,
    Processor,
    Report,
    Thread,
)
from chalicelib.report_text import as_text

CRASHED_AT = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)
REPORT = Report(
    platform="linux",
    exception_type="SIGSEGV /SEGV_MAPERR",
    reason="SIGSEGV /SEGV_MAPERR at 0x45",
    crash_address=0x45,
    os=OperatingSystem("Linux", "5.10.28", "x86_64", "Ubuntu 22.04 LTS"),
    processor=Processor("amd64", "family 6 model 42", "Xeon", 4),
    process=Process(77, CRASHED_AT - timedelta(seconds=90), ("./app", "--fast")),
    occurred_at=CRASHED_AT,
    threads=(
        Thread(0, "main", frames=(Frame(module="libc.so", offset=0x10, trust="context"),)),
        Thread(
            1,
            'the "worker"',
            crashed=True,
            frames=(
                Frame("inner", module="app", file="a.cc", line=3, inlined=True, trust="context"),
                Frame("outer", module="app", file="a.cc", line=9, trust="context"),
                Frame(module="libc.so", offset=0x20, trust="scan"),
            ),
            registers=(("rip", 0x1234), ("rsp", 0x7FFF_FFFF_0000)),
            thread_id=0x4D,
        ),
    ),
    modules=(
        Module("app", start=0x1000, end=0x2000, debug_file="app", debug_id="A0"),
        Module("libc.so", start=0x2000, end=0x3000, debug_file="libc.so", debug_id="B0"),
    ),
    unloaded=(Module("plugin.so", start=0x9000, end=0xA000),),
    annotations=(("state", "shutting down"),),
    lacking=(ModuleId("libc.so", "B0"),),
    unread=("memory list: cut off",),
)


def test_a_report_reads_from_the_machine_and_the_cause_to_the_modules() -> None:
    assert (
        as_text(REPORT, {"ver": "1.0"})
        == """\
Operating system: Linux 5.10.28 x86_64
                  Ubuntu 22.04 LTS
CPU: amd64, family 6 model 42, Xeon, 4 CPUs
Process: 77
Command line: ./app --fast

Crash reason:  SIGSEGV /SEGV_MAPERR
Crash address: 0x45
Crash time: 2026-11-21 15:30:00+00:00
Process uptime: 90 seconds

Thread 1 (crashed) "the "worker"" id 0x4d
 0  app!inner [a.cc : 3]
    Found by: inlining
 1  app!outer [a.cc : 9]
    Found by: given as instruction pointer in context
    rip = 0x0000000000001234   rsp = 0x00007fffffff0000
 2  libc.so + 0x20
    Found by: stack scanning

No symbols, which the crashed thread needs:
libc.so  B0

Thread 0 "main"
 0  libc.so + 0x10
    Found by: given as instruction pointer in context

Loaded modules:
0x00001000 - 0x00001fff  app  app  A0  (main)
0x00002000 - 0x00002fff  libc.so  libc.so  B0  (no symbols)

Unloaded modules:
0x00009000 - 0x00009fff  plugin.so

Annotations:
state: shutting down

Sent with it:
ver: 1.0

Could not be read:
memory list: cut off
"""
    )


def test_the_meaning_of_a_reasons_numbers_is_shown_with_it_and_the_address_once() -> None:
    told = as_text(replace(REPORT, reason="SIGSEGV /SEGV_MAPERR (SI_TKILL) at 0x45"))
    assert "Crash reason:  SIGSEGV /SEGV_MAPERR (SI_TKILL)\nCrash address: 0x45\n" in told


def test_what_failed_by_its_own_words_is_shown_unless_it_is_the_reason() -> None:
    assert "Assertion: n > 0\n" in as_text(replace(REPORT, assertion="n > 0"))
    alone = Report("windows", exception_type="n > 0", reason="n > 0", assertion="n > 0")
    assert as_text(alone) == "Operating system: unknown\n\nCrash reason:  n > 0\n"


def test_a_thread_without_frames_shows_its_registers() -> None:
    bare = Report("linux", threads=(Thread(0, crashed=True, registers=(("pc", 0x10),)),))
    assert as_text(bare).endswith("Thread 0 (crashed)\n <no frames>\n    pc = 0x00000010\n")


def test_no_value_of_a_client_passes_for_a_line_of_the_report() -> None:
    told = as_text(REPORT, {"a\nThread 2 (crashed)": "b\r\nThread 3 (crashed)"})
    assert [line for line in told.splitlines() if line.startswith("Thread")] == [
        'Thread 1 (crashed) "the "worker"" id 0x4d',
        'Thread 0 "main"',
    ]
