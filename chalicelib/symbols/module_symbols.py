"""The symbols of one module, answered from its caches: nothing is parsed."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from chalicelib.errors import FormatError
from chalicelib.formats.minidump.symbol_source import Location, ModuleSymbols, WindowsFrame
from chalicelib.symbols.demangling import demangle
from chalicelib.symbols.unwind_cache import LIMIT, UnwindCache

if TYPE_CHECKING:
    from symbolic.symcache import SymCache

_MAX_KNOWN_PLACES = 4096  # located offsets of one module that are kept: crashes repeat themselves
_MAX_INLINED = 128  # functions at one offset

_INLINED = 0xFFFFFFFF  # what a SymCache has for the start of an inlined function

CacheData: TypeAlias = bytes | memoryview | Path


@dataclass(frozen=True, slots=True)
class Caches:
    """What is looked up of one module: its symbols (a SymCache of `symbolic`) and its unwind data.

    Either may be missing. A path is mapped into memory and may be deleted once
    it was opened.
    """

    symbols: CacheData | None = None
    unwind: CacheData | None = None


def open_symbols(caches: Caches) -> ModuleSymbols:
    """The symbols in caches; raises `FormatError` when one is damaged."""
    symbols = None if caches.symbols is None else _symcache(caches.symbols)
    unwind = None if caches.unwind is None else UnwindCache(as_buffer(caches.unwind))
    return _CachedSymbols(symbols, unwind)


class _CachedSymbols:
    """`symbolic` takes one call at a time for a cache: what it answered is kept, the rest waits."""

    def __init__(self, symbols: SymCache | None, unwind: UnwindCache | None) -> None:
        self._symbols = symbols
        self._unwind = unwind
        self._known: dict[int, tuple[Location, ...]] = {}
        self._lock = threading.Lock()

    def locate(self, offset: int) -> Sequence[Location]:
        if self._symbols is None or not 0 <= offset < LIMIT:
            return ()
        known = self._known.get(offset)
        if known is None:
            with self._lock:
                found = self._symbols.lookup(offset)
            known = tuple(
                Location(
                    function=demangle(entry.symbol),
                    file=entry.full_path,
                    line=entry.line or None,
                    function_start=None if entry.sym_addr == _INLINED else entry.sym_addr,
                )
                for entry in found[:_MAX_INLINED]
                if entry.symbol
            )
            if len(self._known) >= _MAX_KNOWN_PLACES:
                self._known.clear()
            self._known[offset] = known
        return known

    def cfi(self, offset: int) -> Mapping[str, str] | None:
        return None if self._unwind is None else self._unwind.rules(offset)

    def windows_frame(self, offset: int) -> WindowsFrame | None:
        return None if self._unwind is None else self._unwind.windows_frame(offset)


def _symcache(data: CacheData) -> SymCache:
    from symbolic.exceptions import SymbolicError  # noqa: PLC0415 - see docs/dependencies.md
    from symbolic.symcache import SymCache  # noqa: PLC0415

    try:
        opened: SymCache
        if isinstance(data, Path):
            opened = SymCache.open(str(data))
        else:
            opened = SymCache.from_bytes(bytes(data))
        return opened
    except SymbolicError as error:
        raise FormatError(f"the symbol cache is damaged: {error.message}") from error


def as_buffer(data: CacheData) -> bytes | memoryview:
    """The bytes of a cache; those of a file are mapped into memory."""
    if not isinstance(data, Path):
        return data
    import mmap  # noqa: PLC0415

    with data.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
