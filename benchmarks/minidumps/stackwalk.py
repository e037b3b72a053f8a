"""What `minidump_stackwalk -m` prints of a dump.

Rows `OS|`, `CPU|`, `GPU|`, `Crash|reason|address|thread` and `Module|...`, then one row a frame:
`thread|frame|module|function|source file|line|offset`. The crashed thread comes first. The
offset is in the module where there is no function, else in the line or the function.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A frame as it is compared; `offset` is in the module, or the address where there is none,
    and given only where there is no function."""

    module: str
    function: str
    file: str
    line: int | None
    offset: int | None

    def __str__(self) -> str:
        if self.function:
            place = f" ({self.file.rsplit('/', 1)[-1]}:{self.line})" if self.file else ""
            return f"{self.module}!{self.function}{place}"
        return f"{self.module}+0x{self.offset or 0:x}"


@dataclass(frozen=True, slots=True)
class Stackwalk:
    """`crashed` is the number of the crashed thread, None when there is none."""

    reason: str
    address: int | None
    crashed: int | None
    stacks: Mapping[int, tuple[Row, ...]]


def row(module: str, function: str, file: str, line: int | None, offset: int | None) -> Row:
    """Paths are compared with `..` folded, which names the same file; line 0 is no line, but the
    compiler's own code."""
    if file:
        file = posixpath.normpath(file)
    return Row(module, function, file, line or None, None if function else offset)


def parse(text: str) -> Stackwalk:
    reason, address, crashed = "", None, None
    stacks: dict[int, list[Row]] = {}
    for line in text.splitlines():
        fields = line.split("|")
        if fields[0] == "Crash":
            reason = fields[1]
            address = int(fields[2], 16) if fields[2] else None
            crashed = int(fields[3]) if len(fields) > 3 and fields[3] else None
        elif fields[0].isdigit():
            thread, _, module, function, file, number, offset = fields
            stacks.setdefault(int(thread), []).append(
                row(module, function, file, int(number) if number else None, int(offset, 16))
            )
    return Stackwalk(
        reason, address, crashed, {thread: tuple(rows) for thread, rows in stacks.items()}
    )
