"""Symbols out of folders, without a store: for benchmarks, tests and a look by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from chalicelib.errors import FormatError
from chalicelib.formats.minidump.symbol_source import ModuleSymbols
from chalicelib.symbols import debug_file
from chalicelib.symbols.choice import best
from chalicelib.symbols.debug_file import DebugFile
from chalicelib.symbols.module_symbols import Caches, open_symbols


class FolderSymbols:
    """The debug files in some folders, in whatever layout; all are read at the start.

    Of several files of one build, those in an earlier folder come first.
    """

    def __init__(self, *folders: Path) -> None:
        self._files: dict[str, list[DebugFile]] = {}
        for path in _files(folders):
            try:
                found = debug_file.read(path.read_bytes(), path.name)
            except FormatError:
                continue
            for entry in found:
                self._files.setdefault(entry.debug_id, []).append(entry)
        self._opened: dict[str, ModuleSymbols] = {}

    def module(self, debug_file: str, debug_id: str) -> ModuleSymbols | None:  # noqa: ARG002
        if debug_id not in self._opened and debug_id in self._files:
            self._opened[debug_id] = open_symbols(_caches(self._files[debug_id]))
        return self._opened.get(debug_id)


def _caches(files: Sequence[DebugFile]) -> Caches:
    chosen = best(files)
    return Caches(
        symbols=chosen.symbols.symbols if chosen.symbols else None,
        unwind=chosen.unwind.unwind if chosen.unwind else None,
    )


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file())
