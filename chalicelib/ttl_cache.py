"""A small cache whose entries are good for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_MAX_ENTRIES = 10_000  # then it starts anew: simple, and rare


class TtlCache(Generic[K, V]):
    """At most `_MAX_ENTRIES` values, each for `ttl_s` seconds."""

    def __init__(self, ttl_s: float, now: Callable[[], float] | None = None) -> None:
        self._ttl_s = ttl_s
        self._now = now or time.monotonic
        self._entries: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry is None or entry[0] < self._now():
            return None
        return entry[1]

    def put(self, key: K, value: V) -> None:
        if len(self._entries) >= _MAX_ENTRIES:
            self._entries.clear()
        self._entries[key] = (self._now() + self._ttl_s, value)

    def forget(self, key: K) -> None:
        self._entries.pop(key, None)

    def clear(self) -> None:
        self._entries.clear()
