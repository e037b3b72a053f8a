"""Symbol files: kept as they came, with their caches beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import cast

from chalicelib import clock, keys
from chalicelib.errors import FormatError, InvalidRequest, NotFound
from chalicelib.ids import IdSource
from chalicelib.model import AppBuild
from chalicelib.records import SHARED, SymbolFile, Version
from chalicelib.storage.ports import (
    Blobs,
    ConditionFailed,
    Delete,
    Key,
    Operation,
    Put,
    SortRange,
    Table,
    Update,
    query_all,
)
from chalicelib.symbols import isolation
from chalicelib.symbols.containers import Member, members
from chalicelib.symbols.debug_file import DebugFile, canonical_id
from chalicelib.symbols.source import AppSymbols, SymbolSources
from chalicelib.tasks import MappingArrived, SymbolsArrived

_PARTS = ("original", "symbols", "unwind")
_ANY_DIGITS = SortRange("0", "9" * 16)  # the files of a scope, without its totals
_PAGE = 500


@dataclass(frozen=True, slots=True)
class AddedSymbols:
    """A symbol file that was sent; not new: it was here already, with the same content."""

    file: SymbolFile
    is_new: bool


@dataclass(frozen=True, slots=True)
class SymbolFiles:
    """Some files of a scope, oldest first, and how many it has."""

    files: tuple[SymbolFile, ...]
    total: int


class Symbols:
    """Adds, lists and removes symbol files, and opens them for whoever reads crashes.

    A scope is an app's id, or None: for every app.
    """

    def __init__(
        self,
        table: Table,
        blobs: Blobs,
        ids: IdSource,
        *,
        cache_bytes: int = 256 * 1024 * 1024,
        arrived: Callable[[SymbolsArrived | MappingArrived], None] = lambda _: None,
        now: Callable[[], float] | None = None,
        limits: isolation.Limits = isolation.Limits(),
    ) -> None:
        """`arrived` is told of what came, each time it is sent: telling it twice does no harm.

        `cache_bytes` bounds what is open, `now` tells seconds.
        """
        self._table = table
        self._blobs = blobs
        self._ids = ids
        self._arrived = arrived
        self._limits = limits
        self._sources = SymbolSources(table, blobs, cache_bytes, now)

    def source(self, app_id: str) -> AppSymbols:
        """The symbols that an app may use: its own first, then those for every app."""
        return self._sources.of_app(app_id)

    def look_again(self) -> None:
        """See at once what came or went in other processes, for who was told of it."""
        self._sources.look_again()

    # --- adding ---

    def add(
        self, raw: bytes, *, app_id: str | None, filename: str, version: AppBuild | None = None
    ) -> list[AddedSymbols]:
        """Keep a debug file, or those in a zip; `version` is what a mapping belongs to.

        Members of a zip that are no debug files are passed over. Raises
        `FormatError` when there is none at all, and `InvalidRequest` for a
        mapping without an app, or with neither a version nor an id of its own.
        """
        added: list[AddedSymbols] = []
        problem = FormatError("the zip file has no debug file in it")
        for member in members(raw, filename):
            try:
                for found in isolation.read(member.data, member.filename, self._limits):
                    added.append(self._add(found, member, app_id, version))
            except FormatError as error:
                problem = error
        if not added:
            raise problem
        self.look_again()
        for entry in added:
            self._announce(entry.file)
        return added

    def _add(
        self, found: DebugFile, member: Member, app_id: str | None, version: AppBuild | None
    ) -> AddedSymbols:
        if found.has("mapping"):
            _require_owner(found, app_id, version)
        file = self._described(found, member, app_id, version)
        known = self._table.get(file.key())
        if known is None:
            contents = {"original": member.data, "symbols": found.symbols, "unwind": found.unwind}
            for part, data in contents.items():
                if data:
                    self._blobs.put(file.blob(part), data)
            try:
                self._table.write(
                    [
                        Put(file.item(), if_absent=True),
                        Put(file.list_item()),
                        Put(file.item_by_id(), if_absent=True),
                        Update(keys.symbol_totals(file.scope), add={"files": 1}),
                        *(Put(_pointer(place, file)) for place in _mapping_places(file)),
                    ]
                )
                return AddedSymbols(file, is_new=True)
            except ConditionFailed:  # somebody sent the same at the same time
                self._delete_blobs(file)
                known = self._table.get(file.key())
                if known is None:
                    raise
        stored = SymbolFile.from_item(known)
        places = _mapping_places(file)
        if places:
            self._table.write([Put(_pointer(place, stored)) for place in places])
        return AddedSymbols(stored, is_new=False)

    def _described(
        self, found: DebugFile, member: Member, app_id: str | None, version: AppBuild | None
    ) -> SymbolFile:
        moment = clock.to_stored(clock.now())
        is_mapping = found.has("mapping") and version is not None
        return SymbolFile(
            file_id=self._ids.next(),
            scope=app_id or SHARED,
            debug_id=found.debug_id,
            debug_file=found.debug_file,
            arch=found.arch,
            kind=found.kind,
            features=" ".join(found.features),
            filename=member.filename[-255:],
            size_bytes=len(member.data),
            sha256=hashlib.sha256(member.data).hexdigest(),
            created_at=moment,
            modified_at=moment,
            symbols_bytes=len(found.symbols or b""),
            unwind_bytes=len(found.unwind or b""),
            code_id=found.code_id,
            version_number=(version.version or "") if version and is_mapping else None,
            version_name=(version.short_version or "") if version and is_mapping else None,
        )

    def _announce(self, file: SymbolFile) -> None:
        if not file.has("mapping"):
            self._arrived(SymbolsArrived(file.debug_id, file.app_id))
            return
        if file.app_id is None or file.version_number is None:
            return
        for item in query_all(self._table, keys.version(file.app_id, "", "").pk):
            version = Version.from_item(item)
            if _is_mapping_of(file, version):
                self._arrived(MappingArrived(file.app_id, version.version_id))

    # --- what there is ---

    def files(self, app_id: str | None, *, start: int = 0, count: int = _PAGE) -> SymbolFiles:
        """`count` files of a scope from the place `start` on."""
        scope = app_id or SHARED
        item = self._table.get(keys.symbol_totals(scope))
        total = cast(int, item["files"]) if item else 0
        chosen: list[SymbolFile] = []
        if start < total:
            chosen += islice(self.every_file(app_id), start, start + count)
        return SymbolFiles(tuple(chosen), total)

    def every_file(self, app_id: str | None) -> Iterator[SymbolFile]:
        """The files of a scope, oldest first."""
        partition = keys.symbol_totals(app_id or SHARED).pk
        items = query_all(self._table, partition, sort=_ANY_DIGITS, page_size=_PAGE)
        return map(SymbolFile.from_item, items)

    def file(self, file_id: int) -> SymbolFile:
        """Raises `NotFound`."""
        pointer = self._table.get(keys.symbol_file(file_id))
        item = self._table.get(_pointed(pointer)) if pointer else None
        if item is None:
            raise NotFound("symbol file", str(file_id))
        return SymbolFile.from_item(item)

    def of_build(self, app_id: str | None, debug_id: str) -> tuple[SymbolFile, ...]:
        """The files of a build in a scope, oldest first."""
        partition = keys.symbols_of_build(app_id or SHARED, canonical_id(debug_id), "").pk
        files = map(SymbolFile.from_item, query_all(self._table, partition))
        return tuple(sorted(files, key=lambda file: file.file_id))

    def were_there(self, app_id: str, debug_id: str, since: str) -> bool:
        """Whether an app has had symbols of a build all the time since a moment (as stored)."""
        files = (*self.of_build(app_id, debug_id), *self.of_build(None, debug_id))
        return any(file.created_at < since for file in files)

    def has_build(self, app_id: str | None, debug_id: str, debug_file: str) -> bool:
        """Whether a scope has symbols under this id and this name: omaha-server's duplicate."""
        return any(file.debug_file == debug_file for file in self.of_build(app_id, debug_id))

    def content(self, file_id: int) -> bytes:
        """The file as it was sent; raises `NotFound`."""
        return self._blobs.get(self.file(file_id).blob())

    def download(self, file_id: int, *, expires_in_s: int) -> str:
        """A link that gives the file to whoever has it; raises `NotFound`."""
        file = self.file(file_id)
        return self._blobs.signed_download(
            file.blob(), expires_in_s=expires_in_s, filename=file.debug_file
        )

    # --- removing ---

    def delete(self, file_id: int) -> SymbolFile:
        """Take a file away, with its caches; raises `NotFound`."""
        file = self.file(file_id)
        pointers = self._table.batch_get(_mapping_places(file)) if _mapping_places(file) else {}
        ours = [place for place, item in pointers.items() if _pointed(item) == file.key()]
        operations: list[Operation] = [
            Delete(file.key(), must_exist=True),
            Delete(keys.symbol_files(file.scope, file_id)),
            Delete(keys.symbol_file(file_id)),
            Update(keys.symbol_totals(file.scope), add={"files": -1}),
            *map(Delete, ours),
        ]
        try:
            self._table.write(operations)
        except ConditionFailed as error:  # somebody else took it away just now
            raise NotFound("symbol file", str(file_id)) from error
        self.look_again()
        self._delete_blobs(file)
        return file

    def _delete_blobs(self, file: SymbolFile) -> None:
        for part in _PARTS:
            self._blobs.delete(file.blob(part))


def _require_owner(found: DebugFile, app_id: str | None, version: AppBuild | None) -> None:
    """Nothing would find a mapping that belongs to nothing."""
    if app_id is None:
        raise InvalidRequest({"app": ["is required: a mapping belongs to one app"]})
    if not (found.code_id or (version and (version.version or version.short_version))):
        told = "is required: this mapping has no id of its own"
        raise InvalidRequest({"bundle_version": [told]})


def _mapping_places(file: SymbolFile) -> Sequence[Key]:
    """Where a mapping is found from: the version it was sent for, its UUID, R8's id."""
    if not file.has("mapping") or file.app_id is None:
        return ()
    places = [keys.mapping_by_id(file.app_id, file.debug_id)]
    if file.code_id:
        places.append(keys.mapping_by_id(file.app_id, file.code_id))
    number, name = file.version_number or "", file.version_name or ""
    either = number or name
    versions = [(number, name), (number, "")] if number and name else [(either, ""), ("", either)]
    if either:
        places += [keys.mapping_of_version(file.app_id, *version) for version in versions]
    return places


def _is_mapping_of(file: SymbolFile, version: Version) -> bool:
    """By the number, as no two builds share one; a version told by one word may mean its name."""
    number, name = file.version_number or "", file.version_name or ""
    if number and name:
        return version.number == number
    return (number or name) in {version.number, version.name}


def _pointer(place: Key, file: SymbolFile) -> dict[str, str]:
    build = file.key()
    return {"pk": place.pk, "sk": place.sk, "build_pk": build.pk, "build_sk": build.sk}


def _pointed(pointer: object) -> Key:
    item = cast(dict[str, str], pointer)
    return Key(item["build_pk"], item["build_sk"])
