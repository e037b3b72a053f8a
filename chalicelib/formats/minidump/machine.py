"""What an unwinder needs to know of each CPU: its registers' names and calling convention.

Registers go by the names that call frame information uses for them (`$rip`,
`$ebp`, `r11`, `x29`), as in Breakpad's `STACK CFI` records. Source: the
`cfi_register_map_` and `register_names` tables of Breakpad's
`stackwalker_{x86,amd64,arm,arm64}.cc`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from chalicelib.formats.minidump.dump import Cpu


@dataclass(frozen=True, slots=True)
class Machine:
    """A CPU. `word` is the bytes of an address; `call_size` how far before its return address a
    call is looked up; `kept` are the registers that a called function leaves as they were.

    `shows_call`: a caller's frame is shown at its call, as Breakpad does on ARM, and not at the
    return address.
    """

    cpu: Cpu
    word: int
    ip: str
    sp: str
    fp: str
    call_size: int
    kept: tuple[str, ...]
    known: frozenset[str]
    renamed: Mapping[str, str]
    shows_call: bool = False

    @property
    def mask(self) -> int:
        """The highest address."""
        return (1 << 8 * self.word) - 1

    def registers(self, given: Mapping[str, int]) -> dict[str, int]:
        """Registers of a context by the names used here; those of no use to unwinding are left
        out."""
        mask, known, renamed = self.mask, self.known, self.renamed
        return {
            renamed.get(name, name): value & mask
            for name, value in given.items()
            if name in renamed or name in known
        }


def _dollar(names: str) -> dict[str, str]:
    return {name: f"${name}" for name in names.split()}


_X86_NAMES = _dollar("eip esp ebp eax ebx ecx edx esi edi")
_AMD64_NAMES = _dollar("rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip")
_ARM_NAMES = frozenset((*(f"r{number}" for number in range(13)), "sp", "lr", "pc"))
_ARM64_NAMES = frozenset((*(f"x{number}" for number in range(31)), "sp", "pc"))

X86: Final = Machine(
    "x86", 4, "$eip", "$esp", "$ebp", 1,
    ("$ebp", "$ebx", "$esi", "$edi"), frozenset(_X86_NAMES.values()), _X86_NAMES,
)  # fmt: skip
AMD64: Final = Machine(
    "amd64", 8, "$rip", "$rsp", "$rbp", 1,
    ("$rbx", "$rbp", "$r12", "$r13", "$r14", "$r15"),
    frozenset(_AMD64_NAMES.values()), _AMD64_NAMES,
)  # fmt: skip
# A Thumb call may be two bytes long, so two are taken off where ARM's own calls have four: that
# lands in the call either way, and a set Thumb bit does not change it.
ARM: Final = Machine(
    "arm", 4, "pc", "sp", "r11", 2,
    tuple(f"r{number}" for number in range(4, 12)), _ARM_NAMES,
    {"fp": "r11", "r13": "sp", "r14": "lr", "r15": "pc"}, shows_call=True,
)  # fmt: skip
# Apple's calling convention for 32 bits keeps the frame pointer elsewhere.
IOS_ARM: Final = replace(ARM, fp="r7")
ARM64: Final = Machine(
    "arm64", 8, "pc", "sp", "x29", 4,
    tuple(f"x{number}" for number in range(19, 30)), _ARM64_NAMES,
    {"fp": "x29", "lr": "x30", "x31": "sp", "x32": "pc"}, shows_call=True,
)  # fmt: skip

_MACHINES: Mapping[str, Machine] = {"x86": X86, "amd64": AMD64, "arm": ARM, "arm64": ARM64}


def machine_of(cpu: Cpu, *, ios: bool) -> Machine | None:
    """The machine; None for a CPU whose stacks cannot be unwound here."""
    return IOS_ARM if cpu == "arm" and ios else _MACHINES.get(cpu)
