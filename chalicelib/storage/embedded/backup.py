"""A copy of a data folder as it was at one moment, while a server goes on with it.

Table and queue must be of the same moment: a report without its payload, or a
message that is gone before its report is there, is a crash lost. So both files
are kept from being written for as long as it takes to begin reading both, and
are copied out of what those readings see.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from chalicelib.errors import Refused
from chalicelib.storage.embedded.database import Database

DATABASES = ("table.db", "intake.db")
FILES = "blobs"
SECRETS = ("link-secret", "secret")
_NAMED = "SELECT file FROM blobs WHERE file IS NOT NULL"


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a backup holds, in bytes; `missing` files were deleted while it was made."""

    database_bytes: int
    files: int
    file_bytes: int
    missing: int


def back_up(folder: Path, target: Path) -> BackedUp:
    """Copy the data folder to `target`, which must not be there; it is whole once it is.

    Raises `Refused`, `Conflict` and `OSError`.
    """
    if target.exists():
        raise Refused("target", f"{target} is there already")
    draft = target.with_name(f"{target.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    with ExitStack() as open_ones:
        sources = _at_one_moment(folder, open_ones)
        for name, source in zip(DATABASES, sources, strict=True):
            with closing(sqlite3.connect(draft / name)) as copy:
                source.backup(copy)
        named = [str(row[0]) for row in sources[-1].execute(_NAMED)]
    files, file_bytes = 0, 0
    for name in named:
        size = _copied(folder / FILES / name, draft / FILES / name)
        if size is not None:
            files += 1
            file_bytes += size
    for name in SECRETS:
        if (folder / name).exists():
            shutil.copy2(folder / name, draft / name)
    size = sum((draft / name).stat().st_size for name in DATABASES)
    for name in DATABASES:
        _sync(draft / name)
    draft.rename(target)
    return BackedUp(size, files, file_bytes, len(named) - files)


def _at_one_moment(folder: Path, open_ones: ExitStack) -> Sequence[sqlite3.Connection]:
    """Connections that read both databases as they are now, whatever is written after."""
    connections = [
        open_ones.enter_context(
            closing(sqlite3.connect(folder / name, isolation_level=None, timeout=20))
        )
        for name in DATABASES
    ]
    databases = [Database(folder / name, "") for name in DATABASES]
    for database in databases:
        open_ones.callback(database.close)
    with ExitStack() as still:
        for database in databases:
            still.enter_context(database.transaction(durable=False))
        for connection in connections:
            connection.execute("BEGIN")
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    return connections


def _copied(source: Path, target: Path) -> int | None:
    """The file's size; None if it was deleted meanwhile. Files are never changed."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:
        return None
    _sync(target)
    return target.stat().st_size


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
