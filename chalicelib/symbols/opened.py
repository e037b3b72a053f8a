"""Modules whose caches are open in this process, as many as fit."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from chalicelib.storage.ports import BlobNotFound, Blobs

K = TypeVar("K")
V = TypeVar("V")

_CHUNK_BYTES = 8 * 1024 * 1024


class Opened(Generic[K, V]):
    """What was opened last, `max_bytes` of it at most; the newest stays however large it is.

    Threads that want the same value at once open it once; others do not wait.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._opening: dict[K, threading.Lock] = {}

    def get(self, key: K, size_bytes: int, open_it: Callable[[], V]) -> V:
        """The value, opened now if it is not; what `open_it` raises is not kept."""
        with self._lock:
            known = self._known(key)
            if known is not None:
                return known[0]
            opening = self._opening.setdefault(key, threading.Lock())
        with opening:
            try:
                with self._lock:
                    known = self._known(key)
                if known is not None:
                    return known[0]
                value = open_it()
                with self._lock:
                    self._keep(key, value, size_bytes)
                return value
            finally:
                with self._lock:
                    self._opening.pop(key, None)

    def _known(self, key: K) -> tuple[V, int] | None:
        known = self._values.get(key)
        if known is not None:
            self._values.move_to_end(key)
        return known

    def _keep(self, key: K, value: V, size_bytes: int) -> None:
        self._values[key] = (value, size_bytes)
        self._bytes += size_bytes
        while self._bytes > self._max_bytes and len(self._values) > 1:
            _, (_, freed) = self._values.popitem(last=False)
            self._bytes -= freed


@contextmanager
def local_copy(blobs: Blobs, key: str) -> Iterator[Path]:
    """The blob as a file for a moment: what maps it into memory may go on using it after that.

    Its memory is the file's pages, which the system may drop and read again.
    Raises `BlobNotFound`.
    """
    handle, name = tempfile.mkstemp(prefix="crashbucket-symbols-")
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            start = 0
            while chunk := blobs.get(key, start=start, length=_CHUNK_BYTES):
                file.write(chunk)
                start += len(chunk)
                if len(chunk) < _CHUNK_BYTES:
                    break
        if not start:
            raise BlobNotFound(f"the blob {key!r} is empty")
        yield path
    finally:
        path.unlink(missing_ok=True)
