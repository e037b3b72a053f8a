"""Which module, function and line an address belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from chalicelib.formats.minidump.dump import DumpModule, Minidump
from chalicelib.formats.minidump.module_map import ModuleMap
from chalicelib.formats.minidump.symbol_source import Location, ModuleSymbols, SymbolSource
from chalicelib.formats.path_names import file_name


class Code:
    """A module of the process with its symbols, which are asked for when first needed."""

    def __init__(self, module: DumpModule, source: SymbolSource) -> None:
        self.module = module
        self.start = module.start
        self._source = source

    @cached_property
    def symbols(self) -> ModuleSymbols | None:
        if not self.is_identified:
            return None
        return self._source.module(self.debug_file, self.module.debug_id)

    @property
    def debug_file(self) -> str:
        """Its name only: linkers write down the path on the machine that built it."""
        return file_name(self.module.debug_file)

    @property
    def is_identified(self) -> bool:
        """Whether the dump says which build it is: an identifier of zeros is none."""
        return bool(self.module.debug_id.strip("0"))


class CodeMap:
    """The code of a process by address, with what its symbols say.

    `low` is where its first module begins, `high` where the last one ends.
    `max_lookups` bounds how often symbols are asked, so that a stack full of
    pointers into code takes bounded time; beyond it, no address has a location
    and none looks like code.
    """

    def __init__(self, dump: Minidump, source: SymbolSource, *, max_lookups: int) -> None:
        self._modules = ModuleMap(dump.modules, dump.system.os)
        # What the process had let go of: it can be named, but has no symbols.
        unloaded = [
            DumpModule(module.start, module.size, module.code_file, module.code_id)
            for module in dump.unloaded_modules
        ]
        self._unloaded = ModuleMap(unloaded, dump.system.os)
        self._source = source
        self._code: dict[int, Code] = {}
        self._unloaded_code: dict[int, Code] = {}
        self._locations: dict[int, Sequence[Location]] = {}
        self._looks_like_code: dict[int, bool] = {}
        self._lookups_left = max_lookups
        self.low = min((module.start for module in dump.modules), default=0)
        self.high = max((module.end for module in dump.modules), default=0)

    def loaded_at(self, address: int) -> Code | None:
        return self._known(self._modules.at(address), self._code)

    def at(self, address: int) -> Code | None:
        """The module there, an unloaded one where no other is."""
        return self.loaded_at(address) or self._known(
            self._unloaded.at(address), self._unloaded_code
        )

    def _known(self, module: DumpModule | None, known: dict[int, Code]) -> Code | None:
        if module is None:
            return None
        code = known.get(module.start)
        if code is None:
            code = known[module.start] = Code(module, self._source)
        return code

    def locate(self, code: Code | None, address: int) -> Sequence[Location]:
        """The functions at an address of a module, the innermost inlined one first."""
        if code is None or code.symbols is None:
            return ()
        found = self._locations.get(address)
        if found is None:
            if self._lookups_left <= 0:
                return ()
            self._lookups_left -= 1
            found = code.symbols.locate(address - code.start)
            if found and found[-1].function_start == 0:
                found = ()  # the header of the file (`_mh_execute_header`), not a function
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
            code = self.loaded_at(value - 1)
            known = code is not None and (
                code.symbols is None or bool(self.locate(code, value - 1))
            )
            self._looks_like_code[value] = known
        return known
