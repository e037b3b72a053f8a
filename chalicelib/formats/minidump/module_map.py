"""Which module holds an address, where the list's ranges overlap or repeat."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from chalicelib.formats.minidump.dump import DumpModule, OsName


def without_duplicates(modules: Iterable[DumpModule]) -> tuple[DumpModule, ...]:
    """The modules, each once: some writers list one twice (same range, file and build)."""
    seen: dict[tuple[int, int, str, str], DumpModule] = {}
    for module in modules:
        seen.setdefault((module.start, module.size, module.code_file, module.code_id), module)
    return tuple(seen.values())


class ModuleMap:
    """Modules by address.

    Of two that overlap on Linux and Android, the lower one ends where the upper begins: it is
    the file's later segments that were unmapped (Breakpad's `kTruncateLower`). Elsewhere the
    lower one keeps its range, as with rust-minidump; where both begin at one address, the first
    of the list does.
    """

    def __init__(self, modules: Sequence[DumpModule], os: OsName) -> None:
        cut_lower = os in {"linux", "android"}
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._modules: list[DumpModule] = []
        for module in sorted(modules, key=lambda module: module.start):
            if self._ends and module.start < self._ends[-1]:
                if not cut_lower or module.start == self._starts[-1]:
                    continue
                self._ends[-1] = module.start
            self._starts.append(module.start)
            self._ends.append(module.end)
            self._modules.append(module)

    def at(self, address: int) -> DumpModule | None:
        """The module that holds the byte at `address`."""
        place = bisect_right(self._starts, address) - 1
        if place < 0 or address >= self._ends[place]:
            return None
        return self._modules[place]

    def __iter__(self) -> Iterator[DumpModule]:
        """The modules that have a range, by address."""
        return iter(self._modules)
