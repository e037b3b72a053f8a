"""The files of /proc and /etc that Breakpad's Linux writer copies into a dump.

Format: proc(5), lsb-release and os-release(5), getauxval(3). /proc/PID/environ is in many dumps
too; it is not read, as it is full of what is nobody's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from struct import Struct

from chalicelib.formats.minidump.directory import Stream
from chalicelib.formats.minidump.dump import MemoryMapping
from chalicelib.formats.minidump.dump_bytes import DumpBytes, Notes
from chalicelib.formats.minidump.limits import (
    MAX_LINUX_TEXT_BYTES,
    MAX_MAPPINGS,
    MAX_MAPS_BYTES,
    MAX_NAME_CHARS,
)

_MAX_ARGUMENTS = 256
_MODEL_KEYS = ("model name", "hardware", "processor", "cpu model")
_DISTRIBUTION_KEYS = {
    "DISTRIB_ID": "id",
    "DISTRIB_RELEASE": "release",
    "DISTRIB_CODENAME": "codename",
    "DISTRIB_DESCRIPTION": "description",
    "ID": "id",
    "VERSION_ID": "release",
    "VERSION_CODENAME": "codename",
    "PRETTY_NAME": "description",
}
_MAX_VALUES = 64  # the kernel passes about 20
_PAIR_32 = Struct("<2I")
_PAIR_64 = Struct("<2Q")
# <elf.h> AT_*: those that help to read a dump; the ids of the user are not among them.
_VALUES = {
    3: "AT_PHDR",
    5: "AT_PHNUM",
    6: "AT_PAGESZ",
    7: "AT_BASE",
    9: "AT_ENTRY",
    16: "AT_HWCAP",
    23: "AT_SECURE",
    26: "AT_HWCAP2",
    33: "AT_SYSINFO_EHDR",
}


def read_maps(dump: DumpBytes, stream: Stream, notes: Notes) -> tuple[MemoryMapping, ...]:
    """/proc/PID/maps: `00400000-00417000 r-xp 00000000 fc:02 23856536 /usr/bin/driver`."""
    mappings: list[MemoryMapping] = []
    for line in _lines(dump, stream, MAX_MAPS_BYTES):
        if len(mappings) == MAX_MAPPINGS:
            notes.add("linux maps", f"more than {MAX_MAPPINGS} lines")
            break
        mapping = _mapping(line)
        if mapping:
            mappings.append(mapping)
        elif line.strip():
            notes.add("linux maps", f"a line is no mapping: {line[:80]!r}")
    return tuple(mappings)


def _mapping(line: str) -> MemoryMapping | None:
    words = line.split(None, 5)
    if len(words) < 5:
        return None
    first, _, last = words[0].partition("-")
    start, end = _hexadecimal(first), _hexadecimal(last)
    if start is None or end is None or start > end:
        return None
    return MemoryMapping(start, end, words[1][:4], words[5][:MAX_NAME_CHARS] if words[5:] else "")


def _hexadecimal(digits: str) -> int | None:
    # The length goes first: a long run of digits takes quadratic time.
    if not 0 < len(digits) <= 16:
        return None
    try:
        return int(digits, 16)
    except ValueError:
        return None


def read_distribution(dump: DumpBytes, stream: Stream) -> Mapping[str, str]:
    """/etc/lsb-release or os-release: `id`, `release`, `codename`, `description`."""
    found: dict[str, str] = {}
    for line in _lines(dump, stream):
        key, _, value = line.partition("=")
        name = _DISTRIBUTION_KEYS.get(key.strip())
        if name and value.strip():
            found.setdefault(name, value.strip().strip("\"'")[:MAX_NAME_CHARS])
    return found


def read_cpu_model(dump: DumpBytes, stream: Stream) -> str | None:
    """/proc/cpuinfo's name of the processor: `Intel(R) Xeon(R) CPU E5-1650 v3 @ 3.50GHz`."""
    found: dict[str, str] = {}
    for line in _lines(dump, stream):
        key, _, value = line.partition(":")
        name, value = key.strip().lower(), value.strip()
        if value and not value.isdecimal():  # "processor : 0" counts
            found.setdefault(name, value[:MAX_NAME_CHARS])
    return next((found[key] for key in _MODEL_KEYS if key in found), None)


def read_process_id(dump: DumpBytes, stream: Stream) -> int | None:
    """/proc/PID/status's `Pid`."""
    for line in _lines(dump, stream):
        key, _, value = line.partition(":")
        if key == "Pid":
            digits = value.strip()
            return int(digits) if digits.isdecimal() and len(digits) < 10 else None
    return None


def read_command_line(dump: DumpBytes, stream: Stream) -> tuple[str, ...]:
    """/proc/PID/cmdline: the arguments, each ended by a NUL; at most 256."""
    text = bytes(dump.part(stream.offset, stream.size)[:MAX_LINUX_TEXT_BYTES]).rstrip(b"\0")
    arguments = text.split(b"\0", _MAX_ARGUMENTS)[:_MAX_ARGUMENTS] if text else []
    return tuple(argument.decode("utf-8", "replace")[:MAX_NAME_CHARS] for argument in arguments)


def read_auxiliary_vector(dump: DumpBytes, stream: Stream, *, is_64_bit: bool) -> Mapping[str, int]:
    """/proc/PID/auxv: what the kernel told the program, by the names of getauxval(3)."""
    layout = _PAIR_64 if is_64_bit else _PAIR_32
    raw = dump.part(stream.offset, stream.size)[: _MAX_VALUES * layout.size]
    pairs = layout.iter_unpack(raw[: len(raw) // layout.size * layout.size])
    return {_VALUES[key]: value for key, value in pairs if key in _VALUES}


def _lines(dump: DumpBytes, stream: Stream, limit: int = MAX_LINUX_TEXT_BYTES) -> Iterator[str]:
    """The lines of the first `limit` bytes, one more than mappings are read at most."""
    raw = bytes(dump.part(stream.offset, stream.size)[:limit])
    most = MAX_MAPPINGS + 1
    for line in raw.rstrip(b"\0").split(b"\n", most)[:most]:
        yield line.decode("utf-8", "replace")
