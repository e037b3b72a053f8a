"""The texts of /proc and /etc in a dump of Linux or Android."""

from __future__ import annotations

import struct

import pytest

from chalicelib.formats.minidump.directory import Kind
from chalicelib.formats.minidump.dump import MemoryMapping, Minidump
from chalicelib.formats.minidump.reader import read
from tests.formats.minidump.builder import MinidumpBuilder, directory_entry, overwritten

MAPS = b"""\
00400000-00417000 r-xp 00000000 fc:02 23856536                           /home/me/my driver
02506000-02527000 rwxp 00000000 00:00 0                                  [heap]
7f692f15b000-7f692f15c000 ---p 00000000 00:00 0
ffffffffff600000-ffffffffff601000 r-xp 00000000 00:00 0                  [vsyscall]
"""


def dump_with(kind: Kind, text: bytes, cpu: str = "amd64") -> Minidump:
    return read(MinidumpBuilder("linux", cpu).thread(1, {}).stream(kind, text).build())


def test_maps_are_mappings() -> None:
    assert dump_with(Kind.LINUX_MAPS, MAPS).mappings == (
        MemoryMapping(0x400000, 0x417000, "r-xp", "/home/me/my driver"),
        MemoryMapping(0x2506000, 0x2527000, "rwxp", "[heap]"),
        MemoryMapping(0x7F692F15B000, 0x7F692F15C000, "---p"),
        MemoryMapping(0xFFFFFFFFFF600000, 0xFFFFFFFFFF601000, "r-xp", "[vsyscall]"),
    )


@pytest.mark.parametrize(
    "line",
    [
        b"garbage",
        b"00400000-00417000",
        b"00417000-00400000 r-xp 00000000 fc:02 1 /a",
        b"zz-00400000 r-xp 00000000 fc:02 1 /a",
        b"1" * 100_000 + b"-2 r-xp 00000000 fc:02 1 /a",
    ],
)
def test_a_line_that_is_no_mapping_is_named_and_the_others_are_read(line: bytes) -> None:
    dump = dump_with(Kind.LINUX_MAPS, line + b"\n" + MAPS)
    assert len(dump.mappings) == 4
    (note,) = dump.unread
    assert note.startswith("linux maps: a line is no mapping: ")
    assert len(note) < 200


def test_maps_whose_size_lies_are_named() -> None:
    raw = MinidumpBuilder().thread(1, {}).stream(Kind.LINUX_MAPS, MAPS).build()
    dump = read(overwritten(raw, directory_entry(raw, Kind.LINUX_MAPS) + 4, "<I", 0x7FFF_FFFF))
    assert dump.mappings == ()
    assert dump.unread[0].startswith("linux maps: its 2147483647 bytes at byte")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            b'# a comment\nDISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=16.04\nDISTRIB_CODENAME="xenial"\n',
            {"id": "Ubuntu", "release": "16.04", "codename": "xenial"},
        ),
        (
            b"PRETTY_NAME='Debian GNU/Linux 12'\nVERSION_ID=\"12\"\nID=debian\nHOME_URL=x",
            {"description": "Debian GNU/Linux 12", "release": "12", "id": "debian"},
        ),
        (b"", {}),
        (b"\xff\xfe=\xff\n=\n", {}),
    ],
)
def test_the_distribution_is_read_from_both_files(text: bytes, found: dict[str, str]) -> None:
    assert dump_with(Kind.LINUX_LSB_RELEASE, text).linux_distribution == found


@pytest.mark.parametrize(
    ("text", "model"),
    [
        (b"processor\t: 0\nmodel\t\t: 63\nmodel name\t: Intel(R) Xeon(R)\n", "Intel(R) Xeon(R)"),
        (b"processor\t: 0\nHardware\t: Qualcomm SM8150\n\0\0", "Qualcomm SM8150"),
        (b"Processor\t: AArch64 Processor rev 4\nprocessor\t: 0\n", "AArch64 Processor rev 4"),
        (b"processor\t: 0\n", None),
    ],
)
def test_the_processors_name_is_read(text: bytes, model: str | None) -> None:
    assert dump_with(Kind.LINUX_CPU_INFO, text).system.cpu_model == model


@pytest.mark.parametrize(
    ("text", "process_id"),
    [
        (b"Name:\tdriver\nTgid:\t20520\nPid:\t20521\nPPid:\t1\n", 20521),
        (b"Pid:\tmany\n", None),
        (b"Pid:\t" + b"9" * 10_000 + b"\n", None),
        (b"PPid:\t1\n", None),
    ],
)
def test_the_process_id_is_read_where_there_is_no_misc_info(
    text: bytes, process_id: int | None
) -> None:
    assert dump_with(Kind.LINUX_PROC_STATUS, text).process_id == process_id


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        (b"./overflow\0--now\0", ("./overflow", "--now")),
        (b"./a\0\0b\0", ("./a", "", "b")),
        (b"", ()),
        (b"\0\0", ()),
        (b"x\0" * 1000, ("x",) * 256),
    ],
)
def test_the_command_line_is_its_arguments(text: bytes, arguments: tuple[str, ...]) -> None:
    assert dump_with(Kind.LINUX_COMMAND_LINE, text).command_line == arguments


@pytest.mark.parametrize(("cpu", "layout"), [("arm", "<6I"), ("arm64", "<6Q")])
def test_the_auxiliary_vector_has_the_words_of_its_cpu(cpu: str, layout: str) -> None:
    # 11 is AT_UID, which is nobody's business.
    vector = struct.pack(layout, 9, 0x401DC0, 11, 1000, 33, 0x7FFF0000)
    found = dump_with(Kind.LINUX_AUXV, vector + b"\1", cpu).auxiliary_vector
    assert found == {"AT_ENTRY": 0x401DC0, "AT_SYSINFO_EHDR": 0x7FFF0000}


def test_the_environment_is_not_read() -> None:
    dump = read(
        MinidumpBuilder().thread(1, {}).stream(0x47670007, b"AWS_SECRET_ACCESS_KEY=x\0").build()
    )
    assert "AWS_SECRET" not in repr(dump)
