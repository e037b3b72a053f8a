"""Debug files from a disk: folders are walked, and what is no debug file is passed over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chalicelib.errors import CrashbucketError
from chalicelib.model import AppBuild
from chalicelib.symbols.containers import HEAD_BYTES, ZIP_MAGIC, looks_like_debug_file
from chalicelib.symbols.store import AddedSymbols, Symbols

MAX_FILE_BYTES = 2_000_000_000  # what one SQLite blob, one read and one process can hold


@dataclass
class Tally:
    """What became of the files; `refused` holds (path, reason)."""

    added: list[AddedSymbols] = field(default_factory=list)
    skipped: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)

    @property
    def new(self) -> int:
        return sum(entry.is_new for entry in self.added)

    def as_json(self) -> dict[str, Any]:
        return {
            "added": [
                {
                    "id": entry.file.file_id,
                    "debug_id": entry.file.debug_id,
                    "debug_file": entry.file.debug_file,
                    "arch": entry.file.arch,
                    "kind": entry.file.kind,
                    "features": entry.file.features.split(),
                    "new": entry.is_new,
                }
                for entry in self.added
            ],
            "skipped": self.skipped,
            "refused": [{"file": name, "reason": reason} for name, reason in self.refused],
        }

    def lines(self) -> Iterator[str]:
        for entry in self.added:
            file, mark = entry.file, "" if entry.is_new else "  (known)"
            yield f"{file.file_id}  {file.debug_id}  {file.debug_file}  {file.arch}{mark}"
        for name, reason in self.refused:
            yield f"{name}: {reason}"
        known = len(self.added) - self.new
        yield (
            f"{self.new} symbol files added, {known} known, "
            f"{self.skipped} other files skipped, {len(self.refused)} refused"
        )


def upload(
    symbols: Symbols,
    paths: Iterable[Path],
    *,
    app_id: str | None,
    version: AppBuild | None,
    progress: Callable[[int], object],
) -> Tally:
    """Add the files; `progress` is told how many are done. Each is read in a process of its own,
    as many at a time as there are processors."""
    tally = Tally()

    def add(path: Path) -> list[AddedSymbols] | str:
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                return f"has more than {MAX_FILE_BYTES} bytes"
            data = path.read_bytes()
            return symbols.add(data, app_id=app_id, filename=path.name, version=version)
        except (CrashbucketError, OSError) as error:
            return str(error)

    chosen: list[Path] = []
    for path in paths:
        if may_be_debug_file(path):
            chosen.append(path)
        else:
            tally.skipped += 1
            progress(1)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, outcome in zip(chosen, pool.map(add, chosen), strict=True):
            progress(1)
            if isinstance(outcome, str):
                tally.refused.append((str(path), outcome))
            else:
                tally.added += outcome
    return tally


def files_in(paths: Iterable[Path]) -> list[Path]:
    """The files themselves, and those in the folders (a `.dSYM` bundle is one), by name."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(entry for entry in path.rglob("*") if entry.is_file())
        else:
            found.append(path)
    return found


def may_be_debug_file(path: Path) -> bool:
    """By the first bytes; of zips only those that are called so, as half of all formats are one."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return looks_like_debug_file(head) or (
        head.startswith(ZIP_MAGIC) and path.suffix.lower() == ".zip"
    )
