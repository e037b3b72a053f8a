"""Every shared dump against what Breakpad's minidump_stackwalk prints for it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from chalicelib.errors import FormatError
from chalicelib.formats.minidump.dump import DumpModule, Minidump
from chalicelib.formats.minidump.module_map import ModuleMap
from chalicelib.formats.minidump.reader import read
from chalicelib.formats.minidump.reason import reason_of
from tests.shared_data import shared_data

NAMES = [
    *(
        f"breakpad-{name}"
        for name in (
            "ascii_read_av",
            "ascii_read_av_clobber_write",
            "ascii_read_av_then_jmp",
            "ascii_write_av",
            "exec_av_on_stack",
            "linux_executable_heap",
            "linux_inline",
            "linux_inside_module_exe_region2",
            "linux_jmp_to_module_not_exe_region",
            "linux_null_read_av",
            "linux_overflow",
            "linux_stack_pointer_in_module",
            "linux_stack_pointer_in_stack_alt_name",
            "linux_write_to_nonwritable_module",
            "linux_write_to_outside_module",
            "linux_write_to_under_4k",
            "minidump2",
            "minidump_32bit_crash_addr",
            "null_read_av",
            "read_av_clobber_write",
            "read_av_non_null",
            "thread_name_list",
            "tiny-exe-with-cet-xsave-x86",
            "write_av_non_canonical",
        )
    ),
    "omaha-BreakpadTestApp",
    "rust-minidump-linux-mini",
    "rust-minidump-pipeline-inlines-macos-segv",
    "symbolic-crash_linux",
    "symbolic-linux-mini",
    "symbolic-macos-mini",
    "symbolic-windows-mini",
]


@cache
def dump_of(path: Path) -> Minidump:
    return read(path.read_bytes())


def dump_named(name: str) -> Minidump:
    return dump_of(shared_data("minidumps", "dumps", f"{name}.dmp"))


def rows(name: str, kind: str) -> list[str]:
    lines = shared_data("minidumps", "expected", f"{name}.txt").read_text().splitlines()
    return [line for line in lines if line.startswith(f"{kind}|")]


def test_every_shared_dump_is_named_here() -> None:
    folder = shared_data("minidumps", "dumps")
    assert sorted(path.stem for path in folder.iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_reason_address_and_thread_are_breakpads(name: str) -> None:
    dump = dump_named(name)
    reason = reason_of(dump)
    address = "" if reason.address is None else f"0x{reason.address:x}"
    thread = ""
    if dump.crash_thread is not None:
        # Breakpad does not count the thread that wrote the dump.
        before = dump.threads[: dump.crash_thread]
        thread = str(sum(entry.thread_id != dump.dump_thread_id for entry in before))
    assert [f"Crash|{reason.reason}|{address}|{thread}"] == rows(name, "Crash")


@pytest.mark.parametrize("name", NAMES)
def test_system_and_cpu_are_breakpads(name: str) -> None:
    system = dump_named(name).system
    assert [f"OS|{system.os_name}|{system.os_version} {system.os_build or ''}"] == rows(name, "OS")
    cpu = f"CPU|{system.cpu_name}|{system.cpu_info or ''}|{system.cpu_count}"
    assert [cpu] == rows(name, "CPU")


def module_rows(dump: Minidump) -> Iterator[str]:
    for module in ModuleMap(dump.modules, dump.system.os):
        main = int(module == dump.modules[0])
        yield (
            f"Module|{file_name(module.code_file)}|{module.version or ''}"
            f"|{file_name(module.debug_file)}|{module.debug_id}"
            f"|0x{module.start:08x}|0x{module.end - 1:08x}|{main}"
        )


def file_name(path: str) -> str:
    return PureWindowsPath(path).name if "\\" in path else PurePosixPath(path).name


@pytest.mark.parametrize("name", NAMES)
def test_modules_are_breakpads(name: str) -> None:
    assert list(module_rows(dump_named(name))) == rows(name, "Module")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_real_dump_is_left_unread(name: str) -> None:
    assert dump_named(name).unread == ()


@pytest.mark.parametrize("name", NAMES)
def test_every_thread_of_a_real_dump_has_registers_and_its_stack(name: str) -> None:
    dump = dump_named(name)
    for place, thread in enumerate(dump.threads):
        context = thread.context
        if place == dump.crash_thread and dump.exception:
            context = dump.exception.context  # the thread's own may be inside the handler
        assert context is not None
        stack_pointer = context.registers[{"x86": "esp", "amd64": "rsp"}[dump.system.cpu]]
        assert thread.stack_start <= stack_pointer
        assert stack_pointer < thread.stack_start + thread.stack_size
        assert dump.memory.range_at(stack_pointer) is not None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("invalid-range.dmp", "neither a thread nor an exception"),
        ("invalid-record-count.dmp", "neither a thread nor an exception"),
        ("omaha-incorrect_minidump.dmp", "this is a tar archive, not a minidump"),
    ],
)
def test_a_malformed_dump_says_what_is_wrong(name: str, why: str) -> None:
    raw = shared_data("minidumps", "malformed", name).read_bytes()
    with pytest.raises(FormatError, match=why):
        read(raw)


def test_main_module_is_the_first() -> None:
    first: DumpModule = dump_named("symbolic-macos-mini").modules[0]
    assert first.code_file.endswith("/crash")
