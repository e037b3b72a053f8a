"""What machine and system: Breakpad's wording, checked against its minidump_stackwalk."""

from __future__ import annotations

import struct

import pytest

from chalicelib.formats.minidump.directory import Kind
from chalicelib.formats.minidump.reader import read
from tests.formats.minidump.builder import MinidumpBuilder, overwritten, stream_offset


@pytest.mark.parametrize(
    ("os", "name"),
    [
        ("windows", "Windows NT"),
        ("macos", "Mac OS X"),
        ("ios", "iOS"),
        ("linux", "Linux"),
        ("android", "Android"),
        ("fuchsia", "Fuchsia"),
    ],
)
def test_systems_have_the_names_that_breakpad_prints(os: str, name: str) -> None:
    system = read(MinidumpBuilder(os, version=(10, 0, 19045)).thread(1, {}).build()).system
    assert (system.os, system.os_name, system.os_version) == (os, name, "10.0.19045")


def test_an_unknown_system_is_its_number() -> None:
    system = read(MinidumpBuilder(0x1234).thread(1, {}).build()).system
    assert (system.os, system.os_name) == ("other", "0x00001234")


@pytest.mark.parametrize(
    ("cpu", "name", "info"),
    [
        ("x86", "x86", "GenuineIntel family 6 model 42 stepping 7"),
        ("amd64", "amd64", "family 6 model 42 stepping 7"),
        ("arm64", "arm64", None),
        ("arm64_old", "arm64", None),
        (0x8005, "riscv", None),
        (0x4321, "0x4321", None),
    ],
)
def test_processors_are_described_as_breakpad_does(
    cpu: str | int, name: str, info: str | None
) -> None:
    system = read(MinidumpBuilder(cpu=cpu, cpu_count=8).thread(1, {}).build()).system
    assert (system.cpu_name, system.cpu_info, system.cpu_count) == (name, info, 8)


@pytest.mark.parametrize(
    ("cpuid", "capabilities", "info"),
    [
        (0, 0, "ARMv7"),
        (0x410F_C0F4, 0, "ARMv7 ARM Cortex-A15"),
        (0x511F_06F0, 0x1000, "ARMv7 Qualcomm Krait features: neon"),
        (
            0x7511_6543,
            0x60003,
            "ARMv7 vendor(0x75) part(0x75006540) features: swp,half,idiva,idivt",
        ),
    ],
)
def test_arm_processors_are_described_as_breakpad_does(
    cpuid: int, capabilities: int, info: str
) -> None:
    fields = struct.pack("<2I", cpuid, capabilities)
    builder = MinidumpBuilder("android", "arm", level=7, cpu_fields=fields).thread(1, {})
    assert read(builder.build()).system.cpu_info == info


@pytest.mark.parametrize(
    ("version", "build", "kernel"),
    [
        (
            (0, 0, 0),
            "Linux 3.13.0-53-generic #89-Ubuntu SMP Wed May 20 x86_64",
            "3.13.0-53-generic",
        ),
        (
            (5, 10, 28),
            "-1rodete2-amd64 #1 SMP Debian 5.10.28-1rodete2 x86_64",
            "5.10.28-1rodete2-amd64",
        ),
        ((5, 10, 28), "#1 SMP", "5.10.28"),
        ((0, 0, 0), "", None),
        ((0, 0, 0), "Linux", None),
    ],
)
def test_the_release_of_a_linux_kernel_is_found_where_each_writer_puts_it(
    version: tuple[int, int, int], build: str, kernel: str | None
) -> None:
    builder = MinidumpBuilder("linux", version=version, build_text=build).thread(1, {})
    assert read(builder.build()).system.kernel == kernel


def test_a_build_text_beyond_the_end_is_left_out_and_named() -> None:
    raw = MinidumpBuilder("macos", build_text="20G630").thread(1, {}).build()
    assert read(raw).system.os_build == "20G630"
    damaged = overwritten(raw, stream_offset(raw, Kind.SYSTEM_INFO) + 24, "<I", len(raw) - 2)
    dump = read(damaged)
    assert dump.system.os_build is None
    assert dump.system.os_name == "Mac OS X"
    assert dump.unread[0].startswith("operating system's build: its 4 bytes at byte")
