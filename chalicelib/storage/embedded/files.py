"""Files that are wholly there, also after power loss, or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


class Files:
    """Write-once files below one folder, under names made from keys.

    A name is a hash of the key, so no key can lead out of the folder, and a
    random part, so a blob is replaced by pointing to another file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def write(self, key: str, data: bytes) -> str:
        """The name of a new file that holds the data and survives power loss."""
        digest = hashlib.sha256(key.encode()).hexdigest()
        name = f"{digest[:2]}/{digest[2:40]}-{secrets.token_hex(6)}"
        path = self._folder / name
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(self._folder)
        draft = path.with_suffix(".new")
        try:
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
        return name

    def read(self, name: str, start: int, length: int | None) -> bytes:
        """The bytes from `start`; FileNotFoundError when the file was replaced meanwhile."""
        with (self._folder / name).open("rb") as file:
            left = max(0, os.fstat(file.fileno()).st_size - start)
            file.seek(start)
            # Asked for more than there is, Python would make room for all of it first.
            return file.read(left if length is None else min(length, left))

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def older_than(self, age_s: float) -> Iterator[str]:
        """The names of all files that were written that long ago."""
        latest = time.time() - age_s
        for path in self._folder.glob("??/*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime <= latest:
                    yield path.relative_to(self._folder).as_posix()


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":  # a folder cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
