"""Which module, function and line an address belongs to."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property

from chalicelib.formats.minidump.dump import DumpModule, UnloadedModule
from chalicelib.formats.minidump.symbol_source import Location, ModuleSymbols, SymbolSource


class Code:
    """A module of the process with its symbols, which are asked for when first needed.

    `module` is an `UnloadedModule` where the process had let go of it before.
    """

    def __init__(self, module: DumpModule | UnloadedModule, source: SymbolSource) -> None:
        self.module = module
        self.start = module.start
        self.end = module.start + module.size
        self._source = source

    @cached_property
    def symbols(self) -> ModuleSymbols | None:
        if not self.is_identified:
            return None
        assert isinstance(self.module, DumpModule)
        return self._source.module(self.module.debug_file, self.module.debug_id)

    @property
    def is_identified(self) -> bool:
        """Whether the dump says which build it is: an identifier of zeros is none."""
        return isinstance(self.module, DumpModule) and bool(self.module.debug_id.strip("0"))


class CodeMap:
    """The modules of a process by address, with what their symbols say.

    Where modules overlap, the one that begins later has the bytes (Breakpad's
    `MergeRangeStrategy::kTruncateLower`), and the first of two that begin at
    one address. `lookups_left` bounds how often symbols are asked, so that a
    stack full of pointers into code takes bounded time; beyond it, no address
    has a location and none looks like code.
    """

    def __init__(
        self,
        modules: Sequence[DumpModule],
        unloaded: Sequence[UnloadedModule],
        source: SymbolSource,
        *,
        max_lookups: int,
    ) -> None:
        self._loaded = _ByAddress([Code(module, source) for module in modules])
        self._unloaded = _ByAddress([Code(module, source) for module in unloaded])
        self._locations: dict[int, Sequence[Location]] = {}
        self._looks_like_code: dict[int, bool] = {}
        self.lookups_left = max_lookups
        self.low, self.high = self._loaded.low, self._loaded.high

    def loaded_at(self, address: int) -> Code | None:
        return self._loaded.at(address)

    def at(self, address: int) -> Code | None:
        """The module there, an unloaded one where no other is."""
        return self._loaded.at(address) or self._unloaded.at(address)

    def locate(self, code: Code | None, address: int) -> Sequence[Location]:
        """The functions at an address of a module, the innermost inlined one first."""
        if code is None or code.symbols is None:
            return ()
        found = self._locations.get(address)
        if found is None:
            if self.lookups_left <= 0:
                return ()
            self.lookups_left -= 1
            found = code.symbols.locate(address - code.start)
            self._locations[address] = found
        return found

    def is_return_address(self, value: int) -> bool:
        """Whether a word of the stack may be one: the call before it is in a module, and in a
        function of it when its symbols are there (Breakpad's `InstructionAddressSeemsValid`)."""
        if not self.low < value <= self.high:
            return False
        known = self._looks_like_code.get(value)
        if known is None:
            # One byte back: behind a call that never returns another function may begin.
            code = self._loaded.at(value - 1)
            known = code is not None and (
                code.symbols is None or bool(self.locate(code, value - 1))
            )
            self._looks_like_code[value] = known
        return known


class _ByAddress:
    def __init__(self, found: list[Code]) -> None:
        self._code: list[Code] = []
        for code in sorted(found, key=lambda entry: entry.start):
            if code.end > code.start and (not self._code or code.start > self._code[-1].start):
                self._code.append(code)
        self._starts = [code.start for code in self._code]
        self.low = self._starts[0] if self._starts else 0
        self.high = self._code[-1].end if self._code else 0

    def at(self, address: int) -> Code | None:
        place = bisect_right(self._starts, address) - 1
        if place < 0:
            return None
        code = self._code[place]
        return code if address < code.end else None
