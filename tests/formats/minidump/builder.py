"""Minidumps made by hand, for what no real dump at hand shows: other CPUs, rare streams, damage.

As Breakpad's `synth_minidump.h` and rust-minidump's `minidump-synth` do it. What comes out is
read by Breakpad's minidump_stackwalk too.

    dump = (
        MinidumpBuilder(os="android", cpu="arm64")
        .module("/data/app/lib/libgame.so", 0x7000_0000, 0x1_0000, build_id=bytes(range(20)))
        .thread(7, {"pc": 0x7000_1234, "sp": 0x8000_0000, "x29": 0}, stack=bytes(64), name="main")
        .exception(7, code=11, flags=1, address=0x45)
        .build()
    )

`stack` begins at the stack pointer unless `stack_start` says otherwise. Registers that are not
given are zero. `directory_entry`, `stream_offset` and `overwritten` help to damage a dump at
a known place.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self
from uuid import UUID

from chalicelib.formats.minidump.directory import Kind

OS_IDS = {
    "windows": 2,
    "macos": 0x8101,
    "ios": 0x8102,
    "linux": 0x8201,
    "android": 0x8203,
    "fuchsia": 0x8206,
}
CPU_IDS = {"x86": 0, "arm": 5, "amd64": 9, "arm64": 12, "arm64_old": 0x8003}
STACK_POINTERS = {"x86": "esp", "amd64": "rsp", "arm": "sp", "arm64": "sp", "arm64_old": "sp"}
WRITTEN_AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def context(cpu: str, registers: Mapping[str, int], extra: bytes = b"") -> bytes:
    """A context record with `registers`; `extra` follows it, as XSAVE state does."""
    record, places = _CONTEXTS[cpu]
    filled = bytearray(record)
    for name, value in registers.items():
        layout, offset = places[name]
        struct.pack_into(layout, filled, offset, value)
    return bytes(filled) + extra


def _context_layouts() -> dict[str, tuple[bytes, dict[str, tuple[str, int]]]]:
    """By CPU: an empty record with its flags set, and where each register lies."""
    amd64 = bytearray(1232)
    struct.pack_into("<I", amd64, 0x30, 0x10001F)
    names = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"]
    names += [*(f"r{number}" for number in range(8, 16)), "rip"]
    amd64_places = {name: ("<Q", 0x78 + 8 * place) for place, name in enumerate(names)}
    amd64_places["eflags"] = ("<I", 0x44)
    x86 = bytearray(716)
    struct.pack_into("<I", x86, 0, 0x1003F)
    names = ["edi", "esi", "ebx", "edx", "ecx", "eax", "ebp", "eip", "cs", "eflags", "esp", "ss"]
    x86_places = {name: ("<I", 0x9C + 4 * place) for place, name in enumerate(names)}
    arm = bytearray(368)
    struct.pack_into("<I", arm, 0, 0x4000_0006)
    names = [*(f"r{number}" for number in range(13)), "sp", "lr", "pc", "cpsr"]
    arm_places = {name: ("<I", 4 + 4 * place) for place, name in enumerate(names)}
    names = [*(f"x{number}" for number in range(31)), "sp", "pc"]
    arm64 = bytearray(912)
    struct.pack_into("<I", arm64, 0, 0x40_0007)
    arm64_places = {name: ("<Q", 8 + 8 * place) for place, name in enumerate(names)}
    old = bytearray(796)
    struct.pack_into("<Q", old, 0, 0x8000_0006)
    return {
        "amd64": (bytes(amd64), amd64_places),
        "x86": (bytes(x86), x86_places),
        "arm": (bytes(arm), arm_places),
        "arm64": (bytes(arm64), {**arm64_places, "cpsr": ("<I", 4)}),
        "arm64_old": (bytes(old), {**arm64_places, "cpsr": ("<I", 272)}),
    }


_CONTEXTS = _context_layouts()


@dataclass(frozen=True)
class ModuleAnnotations:
    """What Crashpad says of one module. `objects` are (name, type, value); type 1 is text."""

    simple: Mapping[str, str] = field(default_factory=dict)
    messages: Sequence[str] = ()
    objects: Sequence[tuple[str, int, bytes]] = ()


class MinidumpBuilder:
    """A dump under construction; each method adds something and gives the builder back."""

    def __init__(
        self,
        os: str | int = "linux",
        cpu: str | int = "amd64",
        *,
        version: tuple[int, int, int] = (5, 10, 28),
        build_text: str = "",
        cpu_fields: bytes | None = None,
        level: int = 6,
        revision: int = 0x2A07,
        cpu_count: int = 4,
        system_info: bool = True,
    ) -> None:
        self._cpu = cpu if isinstance(cpu, str) else "amd64"
        if cpu_fields is None:
            cpu_fields = b"GenuineIntel" if self._cpu in {"x86", "amd64"} else b""
        self._body = bytearray(32)
        self._streams: list[tuple[int, int, int]] = []
        self._threads: list[bytes] = []
        self._names: list[tuple[int, str]] = []
        self._modules: list[bytes] = []
        self._unloaded: list[bytes] = []
        self._memory: list[tuple[int, int, int]] = []
        self._memory64: list[tuple[int, bytes]] = []
        self._memory_info: list[bytes] = []
        if system_info:
            self.stream(
                Kind.SYSTEM_INFO,
                struct.pack(
                    "<3H2B5I2H",
                    CPU_IDS[cpu] if isinstance(cpu, str) else cpu,
                    level,
                    revision,
                    cpu_count,
                    1,
                    *version,
                    OS_IDS[os] if isinstance(os, str) else os,
                    self._text16(build_text),
                    0,
                    0,
                )
                + cpu_fields.ljust(24, b"\0"),
            )

    def stream(self, kind: int, data: bytes) -> Self:
        """A stream of any kind, byte for byte."""
        self._streams.append((int(kind), len(data), self.put(data)))
        return self

    def put(self, data: bytes) -> int:
        """Bytes of no stream; where they came to lie, a multiple of 8 bytes from the beginning."""
        self._body += bytes(-len(self._body) % 8)
        offset = len(self._body)
        self._body += data
        return offset

    def thread(
        self,
        thread_id: int,
        registers: Mapping[str, int] | None = None,
        *,
        stack: bytes = b"",
        stack_start: int | None = None,
        name: str | None = None,
        cpu: str | None = None,
        context_extra: bytes = b"",
        in_memory_list: bool = True,
    ) -> Self:
        """A thread, with its stack also in the memory list as real writers put it there."""
        cpu = cpu or self._cpu
        size, at = 0, 0
        if registers is not None:
            record = context(cpu, registers, context_extra)
            size, at = len(record), self.put(record)
        if stack_start is None:
            stack_start = (registers or {}).get(STACK_POINTERS[cpu], 0)
        stack_at = self.put(stack) if stack else 0
        self._threads.append(
            struct.pack(
                "<4IQQ4I", thread_id, 0, 0, 0, 0, stack_start, len(stack), stack_at, size, at
            )
        )
        if stack and in_memory_list:
            self._memory.append((stack_start, len(stack), stack_at))
        if name is not None:
            self._names.append((thread_id, name))
        return self

    def exception(
        self,
        thread_id: int,
        *,
        code: int,
        flags: int = 0,
        address: int = 0,
        parameters: Sequence[int] = (),
        registers: Mapping[str, int] | None = None,
        cpu: str | None = None,
    ) -> Self:
        """Why the process was dumped; without `registers` there is no context of its own."""
        size, at = 0, 0
        if registers is not None:
            record = context(cpu or self._cpu, registers)
            size, at = len(record), self.put(record)
        padded = [*parameters, *([0] * (15 - len(parameters)))]
        return self.stream(
            Kind.EXCEPTION,
            struct.pack(
                "<2I2I2Q2I15Q2I",
                thread_id,
                0,
                code,
                flags,
                0,
                address,
                len(parameters),
                0,
                *padded,
                size,
                at,
            ),
        )

    def module(
        self,
        name: str,
        start: int,
        size: int,
        *,
        debug_file: str = "",
        debug_id: str = "",
        build_id: bytes = b"",
        code_view: bytes | None = None,
        misc: bytes = b"",
        time_stamp: int = 0,
        version: tuple[int, int, int, int] | None = None,
    ) -> Self:
        """A module. `debug_id` is in Breakpad's form (32 hex digits and the age) and makes a PDB
        7.0 record; `build_id` makes Breakpad's ELF record; `code_view` is a record as it is."""
        record = code_view if code_view is not None else b""
        if code_view is None and debug_id:
            guid = UUID(debug_id[:32]).bytes_le
            record = b"RSDS" + guid + struct.pack("<I", int(debug_id[32:], 16))
            record += debug_file.encode() + b"\0"
        elif code_view is None and build_id:
            record = b"LEpB" + build_id
        info = [0] * 13
        if version:
            high, low = version[0] << 16 | version[1], version[2] << 16 | version[3]
            info[:4] = [0xFEEF04BD, 0x10000, high, low]
        self._modules.append(
            struct.pack(
                "<Q4I13I4I16x",
                start,
                size,
                0,
                time_stamp,
                self._text16(name),
                *info,
                len(record),
                self.put(record) if record else 0,
                len(misc),
                self.put(misc) if misc else 0,
            )
        )
        return self

    def unloaded_module(self, name: str, start: int, size: int, time_stamp: int = 0) -> Self:
        self._unloaded.append(struct.pack("<Q4I", start, size, 0, time_stamp, self._text16(name)))
        return self

    def memory(self, start: int, data: bytes) -> Self:
        """Memory of the 32-bit list."""
        self._memory.append((start, len(data), self.put(data)))
        return self

    def memory64(self, start: int, data: bytes) -> Self:
        """Memory of the list of full dumps."""
        self._memory64.append((start, data))
        return self

    def memory_info(self, start: int, size: int, protection: int = 4, state: int = 0x1000) -> Self:
        self._memory_info.append(
            struct.pack("<2QIIQ4I", start, start, protection, 0, size, state, protection, 0, 0)
        )
        return self

    def misc_info(self, process_id: int, created_at: int, size: int = 24) -> Self:
        record = struct.pack("<6I", size, 3, process_id, created_at, 0, 0)
        return self.stream(Kind.MISC_INFO, record.ljust(size, b"\0"))

    def breakpad_info(
        self, dump_thread: int | None = None, requesting_thread: int | None = None
    ) -> Self:
        validity = (dump_thread is not None) | (requesting_thread is not None) << 1
        return self.stream(
            Kind.BREAKPAD_INFO,
            struct.pack("<3I", validity, dump_thread or 0, requesting_thread or 0),
        )

    def assertion(
        self, kind: int, expression: str = "", function: str = "", file: str = "", line: int = 0
    ) -> Self:
        texts = b"".join(
            text.encode("utf-16-le")[:254].ljust(256, b"\0")
            for text in (expression, function, file)
        )
        return self.stream(Kind.ASSERTION_INFO, texts + struct.pack("<2I", line, kind))

    def crashpad_info(
        self,
        annotations: Mapping[str, str] | None = None,
        modules: Mapping[int, ModuleAnnotations] | None = None,
        *,
        report_id: UUID = UUID(int=0x1234),
        client_id: UUID = UUID(int=0x5678),
    ) -> Self:
        """Crashpad's stream; `modules` is by place in the module list."""
        simple_size, simple_at = self._dictionary(annotations or {})
        links = b""
        for place, said in (modules or {}).items():
            info = struct.pack(
                "<7I",
                1,
                *self._strings(said.messages),
                *self._dictionary(said.simple),
                *self._objects(said.objects),
            )
            links += struct.pack("<3I", place, len(info), self.put(info))
        links_size = links_at = 0
        if modules:
            listed = struct.pack("<I", len(modules)) + links
            links_size, links_at = len(listed), self.put(listed)
        return self.stream(
            Kind.CRASHPAD_INFO,
            struct.pack("<I", 1)
            + report_id.bytes_le
            + client_id.bytes_le
            + struct.pack("<4I", simple_size, simple_at, links_size, links_at),
        )

    def build(self) -> bytes:
        """The dump so far; the builder may go on after it."""
        return deepcopy(self)._finished()

    def _finished(self) -> bytes:
        """The lists, then the directory, come last, as their sizes are known then."""
        if self._threads:
            self._list(Kind.THREAD_LIST, self._threads)
        if self._names:
            self._list(
                Kind.THREAD_NAME_LIST,
                [struct.pack("<IQ", thread, self._text16(name)) for thread, name in self._names],
            )
        if self._modules:
            self._list(Kind.MODULE_LIST, self._modules)
        if self._unloaded:
            head = struct.pack("<3I", 12, 24, len(self._unloaded))
            self.stream(Kind.UNLOADED_MODULE_LIST, head + b"".join(self._unloaded))
        if self._memory:
            self._list(Kind.MEMORY_LIST, [struct.pack("<Q2I", *entry) for entry in self._memory])
        if self._memory_info:
            head = struct.pack("<IIQ", 16, 48, len(self._memory_info))
            self.stream(Kind.MEMORY_INFO_LIST, head + b"".join(self._memory_info))
        if self._memory64:
            data_at = self.put(b"".join(data for _, data in self._memory64))
            head = struct.pack("<2Q", len(self._memory64), data_at)
            ranges = b"".join(struct.pack("<2Q", at, len(data)) for at, data in self._memory64)
            self.stream(Kind.MEMORY_64_LIST, head + ranges)
        directory = self.put(b"".join(struct.pack("<3I", *entry) for entry in self._streams))
        written_at = int(WRITTEN_AT.timestamp())
        header = (b"MDMP", 0xA793, len(self._streams), directory, 0, written_at, 0)
        struct.pack_into("<4sIIIIIQ", self._body, 0, *header)
        return bytes(self._body)

    def _list(self, kind: Kind, records: Sequence[bytes]) -> None:
        self.stream(kind, struct.pack("<I", len(records)) + b"".join(records))

    def _text16(self, text: str) -> int:
        encoded = text.encode("utf-16-le")
        return self.put(struct.pack("<I", len(encoded)) + encoded + b"\0\0")

    def _text8(self, text: bytes) -> int:
        return self.put(struct.pack("<I", len(text)) + text + b"\0")

    def _dictionary(self, entries: Mapping[str, str]) -> tuple[int, int]:
        if not entries:
            return 0, 0
        pairs = b"".join(
            struct.pack("<2I", self._text8(key.encode()), self._text8(value.encode()))
            for key, value in entries.items()
        )
        return self._counted(len(entries), pairs)

    def _strings(self, texts: Sequence[str]) -> tuple[int, int]:
        if not texts:
            return 0, 0
        places = b"".join(struct.pack("<I", self._text8(text.encode())) for text in texts)
        return self._counted(len(texts), places)

    def _objects(self, objects: Sequence[tuple[str, int, bytes]]) -> tuple[int, int]:
        if not objects:
            return 0, 0
        records = b"".join(
            struct.pack("<I2HI", self._text8(name.encode()), kind, 0, self._text8(value))
            for name, kind, value in objects
        )
        return self._counted(len(objects), records)

    def _counted(self, count: int, records: bytes) -> tuple[int, int]:
        data = struct.pack("<I", count) + records
        return len(data), self.put(data)


def directory_entry(raw: bytes, kind: int) -> int:
    """Where the directory's entry of a stream lies: its kind, size and offset, 4 bytes each."""
    count, directory = struct.unpack_from("<II", raw, 8)
    for place in range(count):
        at = directory + 12 * place
        if struct.unpack_from("<I", raw, at)[0] == kind:
            return int(at)
    raise LookupError(kind)


def stream_offset(raw: bytes, kind: int) -> int:
    """Where a stream lies."""
    return int(struct.unpack_from("<I", raw, directory_entry(raw, kind) + 8)[0])


def overwritten(raw: bytes, offset: int, layout: str, *values: int) -> bytes:
    """The dump with other numbers at `offset` (`layout` as in `struct`)."""
    changed = bytearray(raw)
    struct.pack_into(layout, changed, offset, *values)
    return bytes(changed)
