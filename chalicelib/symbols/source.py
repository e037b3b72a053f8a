"""The symbols that an app may use: its own first, then those for every app."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

from chalicelib import keys
from chalicelib.errors import FormatError, TryAgain
from chalicelib.formats.minidump.symbol_source import ModuleSymbols
from chalicelib.model import AppBuild
from chalicelib.records import SHARED, SymbolFile
from chalicelib.storage.ports import BlobNotFound, Blobs, Item, Key, Table, query_all
from chalicelib.symbols.choice import Chosen, best
from chalicelib.symbols.debug_file import canonical_id
from chalicelib.symbols.mapping import Mapping
from chalicelib.symbols.module_symbols import Caches, open_symbols
from chalicelib.symbols.opened import Opened, local_copy
from chalicelib.ttl_cache import TtlCache

_log = logging.getLogger(__name__)

NEGATIVE_S = 5
"""For how many seconds a process goes on with what it knows of a build: that there are no symbols,
or which files have them. Symbols that came are seen by every process after that time."""


class SymbolsAway(TryAgain):
    """The store did not give the symbols that are there: whoever reads a crash tries again."""


@dataclass(frozen=True, slots=True)
class _Files:
    """The files for a build, as they were a moment ago."""

    symbols: SymbolFile | None
    unwind: SymbolFile | None

    @property
    def size_bytes(self) -> int:
        return (self.symbols.symbols_bytes if self.symbols else 0) + (
            self.unwind.unwind_bytes if self.unwind else 0
        )


class SymbolSources:
    """Opens the symbols of builds from the store; safe to share between threads."""

    def __init__(
        self,
        table: Table,
        blobs: Blobs,
        cache_bytes: int,
        now: Callable[[], float] | None = None,
    ) -> None:
        """`cache_bytes` bounds what is open, `now` tells seconds."""
        self._table = table
        self._blobs = blobs
        self._modules: Opened[tuple[int, int], ModuleSymbols | None] = Opened(cache_bytes)
        self._mappings: Opened[int, Mapping | None] = Opened(cache_bytes // 4)
        self._files: TtlCache[tuple[str, str], _Files] = TtlCache(NEGATIVE_S, now)
        self._counts: TtlCache[str, int] = TtlCache(NEGATIVE_S, now)
        self._named: TtlCache[tuple[str, tuple[Key, ...]], tuple[SymbolFile, ...]] = TtlCache(
            NEGATIVE_S, now
        )

    def look_again(self) -> None:
        """Forget which files there are; those that are open stay open."""
        for known in (self._files, self._counts, self._named):
            known.clear()

    def of_app(self, app_id: str) -> AppSymbols:
        return AppSymbols(self, app_id)

    def module(self, app_id: str, debug_id: str) -> ModuleSymbols | None:
        files = self._files.get((app_id, debug_id))
        if files is None:
            files = self._files_of(app_id, debug_id)
            self._files.put((app_id, debug_id), files)
        if files.symbols is None and files.unwind is None:
            return None
        key = (
            files.symbols.file_id if files.symbols else 0,
            files.unwind.file_id if files.unwind else 0,
        )
        return self._modules.get(key, files.size_bytes, partial(self._open, files))

    def mapping(self, app_id: str, build: AppBuild, ids: Iterable[str]) -> Mapping | None:
        """The mapping that an app's names were obfuscated with, newest first.

        By an id that the report gives, else by the app's version.
        """
        if not self._count(app_id):
            return None
        number, name = build.version or "", build.short_version or ""
        wanted = [keys.mapping_by_id(app_id, mapping_id) for mapping_id in ids]
        if number or name:
            places = dict.fromkeys([(number, name), (number, ""), ("", name)])
            wanted += [keys.mapping_of_version(app_id, *place) for place in places if any(place)]
        if not wanted:
            return None
        cached = (app_id, tuple(wanted))
        files = self._named.get(cached)
        if files is None:
            files = tuple(self._mapping_files(wanted))
            self._named.put(cached, files)
        for file in files:
            found = self._mappings.get(file.file_id, file.size_bytes, partial(self._read, file))
            if found is not None:
                return found
        return None

    # --- which files ---

    def _files_of(self, app_id: str, debug_id: str) -> _Files:
        """Of equally good files the one that came last; an app's own before the shared ones."""
        candidates: list[SymbolFile] = []
        for scope in (app_id, SHARED):
            if self._count(scope):
                partition = keys.symbols_of_build(scope, debug_id, "").pk
                files = map(SymbolFile.from_item, query_all(self._table, partition))
                candidates += sorted(files, key=lambda file: -file.file_id)
        chosen: Chosen[SymbolFile] = best([file for file in candidates if not file.has("mapping")])
        return _Files(chosen.symbols, chosen.unwind)

    def _count(self, scope: str) -> int:
        """How many files a scope has: with none there is nothing to look for."""
        count = self._counts.get(scope)
        if count is None:
            item = self._table.get(keys.symbol_totals(scope))
            count = cast(int, item["files"]) if item else 0
            self._counts.put(scope, count)
        return count

    def _mapping_files(self, wanted: Sequence[Key]) -> Iterable[SymbolFile]:
        pointers = self._table.batch_get(wanted)
        builds = {
            key: Key(cast(str, item["build_pk"]), cast(str, item["build_sk"]))
            for key, item in pointers.items()
        }
        found = self._table.batch_get(list(builds.values())) if builds else {}
        for key in wanted:
            item: Item | None = found.get(builds[key]) if key in builds else None
            if item is not None:
                yield SymbolFile.from_item(item)

    # --- opening ---

    def _open(self, files: _Files) -> ModuleSymbols | None:
        with ExitStack() as copies:
            symbols = unwind = None
            try:
                if files.symbols is not None and files.symbols.symbols_bytes:
                    symbols = copies.enter_context(
                        local_copy(self._blobs, files.symbols.blob("symbols"))
                    )
                if files.unwind is not None and files.unwind.unwind_bytes:
                    unwind = copies.enter_context(
                        local_copy(self._blobs, files.unwind.blob("unwind"))
                    )
                return open_symbols(Caches(symbols, unwind))
            except BlobNotFound:  # deleted since it was looked up
                return None
            except FormatError:  # written by another version, say: the crash counts all the same
                _log.exception("caches of symbols cannot be read: %s", files)
                return None

    def _read(self, file: SymbolFile) -> Mapping | None:
        try:
            with (
                local_copy(self._blobs, file.blob()) as text,
                local_copy(self._blobs, file.blob("symbols")) as index,
            ):
                return Mapping(text, index)
        except BlobNotFound:
            return None
        except FormatError:
            _log.exception("the index of a mapping cannot be read: %s", file)
            return None


class AppSymbols:
    """A `SymbolSource` of one app, and the mappings of its versions."""

    def __init__(self, sources: SymbolSources, app_id: str) -> None:
        self._sources = sources
        self._app_id = app_id

    def module(self, debug_file: str, debug_id: str) -> ModuleSymbols | None:  # noqa: ARG002
        """The symbols of a build: its id is enough, the name of its file is for people."""
        with _asking():
            return self._sources.module(self._app_id, canonical_id(debug_id)) if debug_id else None

    def mapping(self, build: AppBuild, ids: Iterable[str] = ()) -> Mapping | None:
        with _asking():
            return self._sources.mapping(self._app_id, build, ids)


@contextmanager
def _asking() -> Iterator[None]:
    """Tells a store that fails from a crash that cannot be read; damaged symbols stay damaged."""
    try:
        yield
    except FormatError:
        raise
    except Exception as error:
        raise SymbolsAway(f"the symbols cannot be read now: {error}") from error
