"""What an unwinder asks of symbols; `chalicelib.symbols` answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Location:
    """A place in the source. `function` is readable (demangled); `line` counts from 1.

    `function_start` is the offset in the module at which the function begins.
    """

    function: str
    file: str | None = None
    line: int | None = None
    function_start: int | None = None


@dataclass(frozen=True, slots=True)
class WindowsFrame:
    """A `STACK WIN` record (Breakpad's `windows_frame_info.h`), sizes in bytes.

    `program` is the postfix program string, empty where the record has none.
    """

    kind: int
    start: int
    code_size: int
    prolog_size: int
    epilog_size: int
    parameter_size: int
    saved_register_size: int
    local_size: int
    max_stack_size: int
    program: str = ""
    allocates_base_pointer: bool = False


class ModuleSymbols(Protocol):
    """The symbols and unwind data of one module; offsets are from its start."""

    def locate(self, offset: int) -> Sequence[Location]:
        """The functions at an offset, the innermost inlined one first; empty when unknown."""
        ...

    def cfi(self, offset: int) -> Mapping[str, str] | None:
        """The rules of call frame information there, by register (`.cfa`, `.ra`, `$rbx`, `x29`...)
        as `STACK CFI` writes them: postfix expressions; None where there are none."""
        ...

    def windows_frame(self, offset: int) -> WindowsFrame | None:
        """The `STACK WIN` record that covers an offset, the frame-data kind before FPO."""
        ...


class SymbolSource(Protocol):
    """The symbols that an app may use."""

    def module(self, debug_file: str, debug_id: str) -> ModuleSymbols | None:
        """The symbols of a build, or None when there are none (yet)."""
        ...


class NoSymbols:
    """A source that has none."""

    def module(self, debug_file: str, debug_id: str) -> ModuleSymbols | None:  # noqa: ARG002
        return None
