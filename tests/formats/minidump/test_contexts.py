"""The registers of each CPU, and contexts that are longer, shorter or of another one."""

from __future__ import annotations

import struct

import pytest

from chalicelib.formats.minidump.directory import Kind
from chalicelib.formats.minidump.dump import Context
from chalicelib.formats.minidump.reader import read
from tests.formats.minidump.builder import MinidumpBuilder, context, overwritten, stream_offset

REGISTERS = {
    "x86": {"eip": 0x401234, "esp": 0x12FF00, "ebp": 0x12FF40, "eax": 1, "edi": 2, "eflags": 0x246},
    "amd64": {"rip": 0x7FF6_0000_1234, "rsp": 0x8000, "rbp": 0x8040, "rax": 1, "r15": 2},
    "arm": {"pc": 0x8001_2345, "sp": 0x9000, "lr": 0x8001_0001, "r0": 1, "r11": 2, "cpsr": 0x30},
    "arm64": {"pc": 0x71_0000_1234, "sp": 0x9000, "x30": 0x71_0000_1000, "x29": 0x9040, "x0": 1},
}


def context_of(raw: bytes) -> Context:
    found = read(raw).threads[0].context
    assert found is not None
    return found


@pytest.mark.parametrize("cpu", REGISTERS)
def test_registers_have_the_names_of_their_cpu(cpu: str) -> None:
    found = context_of(MinidumpBuilder(cpu=cpu).thread(1, REGISTERS[cpu]).build())
    assert found.cpu == cpu
    assert {name: found.registers[name] for name in REGISTERS[cpu]} == REGISTERS[cpu]
    others = {value for name, value in found.registers.items() if name not in REGISTERS[cpu]}
    assert others == {0}


def test_breakpads_older_arm64_context_is_read_too() -> None:
    registers = {**REGISTERS["arm64"], "cpsr": 0x6000_0000}
    found = context_of(MinidumpBuilder(cpu="arm64_old").thread(1, registers).build())
    assert found.cpu == "arm64"
    assert {name: found.registers[name] for name in registers} == registers


@pytest.mark.parametrize("cpu", ["x86", "amd64"])
def test_a_context_with_xsave_state_behind_it_is_read(cpu: str) -> None:
    builder = MinidumpBuilder(cpu=cpu).thread(1, REGISTERS[cpu], context_extra=bytes(2048))
    assert context_of(builder.build()).registers["eflags"] in {0, 0x246}
    assert read(builder.build()).unread == ()


def test_a_32_bit_thread_of_a_64_bit_system_is_x86() -> None:
    found = context_of(MinidumpBuilder(cpu="amd64").thread(1, REGISTERS["x86"], cpu="x86").build())
    assert found.cpu == "x86"
    assert found.registers["eip"] == 0x401234


def test_windows_own_arm_flags_are_known() -> None:
    record = bytearray(context("arm", REGISTERS["arm"]))
    struct.pack_into("<I", record, 0, 0x0020_0007)
    raw = MinidumpBuilder("windows", "arm").thread(1, REGISTERS["arm"]).build()
    at = raw.index(context("arm", REGISTERS["arm"]))
    found = context_of(raw[:at] + bytes(record) + raw[at + len(record) :])
    assert found.registers["pc"] == 0x8001_2345


def test_a_context_of_another_cpu_is_named_as_unread() -> None:
    dump = read(MinidumpBuilder(cpu="arm64").thread(7, REGISTERS["x86"], cpu="x86").build())
    assert dump.threads[0].context is None
    (note,) = dump.unread
    assert note.startswith("registers of thread 7: ")
    assert "is no arm64 context" in note


@pytest.mark.parametrize(
    ("cpu", "size", "why"),
    [
        ("amd64", 1231, "(1231 bytes) is no amd64 context"),
        ("x86", 199, "has 199 bytes only"),
        ("arm", 71, "has 71 bytes only"),
        ("arm64", 3, "(3 bytes) is no arm64 context"),
    ],
)
def test_a_context_that_is_cut_off_is_named_as_unread(cpu: str, size: int, why: str) -> None:
    raw = MinidumpBuilder(cpu=cpu).thread(7, REGISTERS[cpu]).build()
    at = stream_offset(raw, Kind.THREAD_LIST) + 4 + 40
    dump = read(overwritten(raw, at, "<I", size))
    assert dump.threads[0].context is None
    assert why in dump.unread[0]


def test_a_context_beyond_the_end_is_named_as_unread() -> None:
    raw = MinidumpBuilder().thread(7, REGISTERS["amd64"]).build()
    at = stream_offset(raw, Kind.THREAD_LIST) + 4 + 44
    dump = read(overwritten(raw, at, "<I", 0xFFFF_FFF0))
    assert dump.threads[0].context is None
    assert "reach beyond the end of the dump" in dump.unread[0]


@pytest.mark.parametrize("cpu", REGISTERS)
def test_without_system_info_the_size_of_the_context_tells_the_cpu(cpu: str) -> None:
    builder = MinidumpBuilder(cpu=cpu, system_info=False).thread(1, REGISTERS[cpu])
    dump = read(builder.build())
    assert dump.system.cpu == cpu
    assert dump.unread == ("system info: the dump has none",)


def test_a_cpu_that_is_not_read_costs_its_registers_only() -> None:
    dump = read(MinidumpBuilder(cpu=3).thread(1, REGISTERS["amd64"], cpu="amd64").build())
    assert dump.system.cpu == "other"
    assert dump.system.cpu_name == "ppc"
    assert dump.threads[0].context is None
    assert dump.unread == ()
