"""The registers of a thread, as the context record of its CPU holds them.

Layouts: Microsoft's winnt.h (CONTEXT of x86, AMD64, ARM, ARM64) and Breakpad's
`minidump_cpu_*.h`, which took them over, with ARM and an older ARM64 of its own.
Contexts with XSAVE or CET state are longer; what is read lies before that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct

from chalicelib.formats.minidump.dump import Context, Cpu
from chalicelib.formats.minidump.dump_bytes import Damaged, DumpBytes

_CPU_BITS = 0xFFFF_FF00  # the low byte says which registers are filled in
_X86 = 0x0001_0000
_AMD64 = 0x0010_0000
_ARM = 0x4000_0000
_ARM_WINDOWS = 0x0020_0000
_ARM64 = 0x0040_0000
_ARM64_OLD = 0x8000_0000


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the flags lie, which of their bits name the CPU, and the registers from `begin` on.

    `size` is that of the whole record without extensions.
    """

    cpu: Cpu
    size: int
    flags_at: int
    flags: int
    begin: int
    record: Struct
    names: Sequence[str]


_X86_NAMES = ("edi", "esi", "ebx", "edx", "ecx", "eax", "ebp", "eip", "eflags", "esp")
_AMD64_NAMES = (
    *("eflags", "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"),
    *(f"r{number}" for number in range(8, 16)),
    "rip",
)
_ARM_NAMES = (*(f"r{number}" for number in range(13)), "sp", "lr", "pc")
_ARM64_NAMES = (*(f"x{number}" for number in range(31)), "sp", "pc")

_LAYOUTS = (
    _Layout(
        "amd64",
        1232,
        0x30,
        _AMD64,
        0x44,
        Struct("<I48x17Q"),
        _AMD64_NAMES,
    ),
    _Layout(
        "x86",
        716,
        0,
        _X86,
        0x9C,
        Struct("<8I4x2I"),
        _X86_NAMES,
    ),
    _Layout("arm64", 912, 0, _ARM64, 4, Struct("<I33Q"), ("cpsr", *_ARM64_NAMES)),
    _Layout("arm64", 796, 0, _ARM64_OLD, 8, Struct("<33QI"), (*_ARM64_NAMES, "cpsr")),
    _Layout("arm", 368, 0, _ARM | _ARM_WINDOWS, 4, Struct("<17I"), (*_ARM_NAMES, "cpsr")),
)


def read_context(dump: DumpBytes, offset: int, size: int, cpu: Cpu | None) -> Context | None:
    """The registers at `offset`; `cpu` is what the system info says, None when there is none.

    None where there is no context, or it is of a CPU that is not read. A 64-bit system may
    hold 32-bit threads (WOW64). Raises `Damaged` where the context is cut off before its
    registers end, or is that of another CPU.
    """
    if not size or cpu == "other":
        return None
    layout = _layout(dump, offset, size, cpu)
    if layout is None:
        whose = f"no {cpu} context" if cpu else "no context of a known CPU"
        raise Damaged(f"what lies at byte {offset} ({size} bytes) is {whose}")
    if layout.begin + layout.record.size > size:
        raise Damaged(f"the context at byte {offset} has {size} bytes only")
    values = dump.fields(layout.record, offset + layout.begin)
    return Context(layout.cpu, dict(zip(layout.names, values, strict=True)))


def _layout(dump: DumpBytes, offset: int, size: int, cpu: Cpu | None) -> _Layout | None:
    """The first layout whose flags are set, else the first of the CPU if no CPU's flags are.

    Without a system info, the size must be the layout's own.
    """
    unflagged = None
    for layout in _LAYOUTS:
        if cpu is None:
            if size != layout.size:
                continue
        elif layout.cpu != cpu and (layout.cpu, cpu) != ("x86", "amd64"):
            continue
        # The flags of AMD64 do not come first: only its size says that they are flags.
        if size < (layout.size if layout.flags_at else 4):
            continue
        if layout.flags == _ARM64_OLD and size != layout.size:
            continue
        flags = dump.uint32(offset + layout.flags_at)
        if flags & layout.flags:
            return layout
        if layout.cpu == cpu and not flags & _CPU_BITS:
            unflagged = unflagged or layout
    return unflagged
