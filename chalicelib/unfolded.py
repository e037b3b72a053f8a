"""Counts that nobody folds: found without a look at every app.

A process folds what it wrote now and then. One that stops, as a function that
Lambda freezes, leaves deltas behind. So before it commits the first ones of an
app, and again each minute in which it commits more, it leaves a *mark* with
the shard it writes to. Every minute, somebody folds what is marked, and takes
away marks that are older than any process relies on.

A mark costs one write a minute for each process and app that has crashes; a
look at them one query for each shard, whatever the number of apps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import cast

from chalicelib import keys
from chalicelib.counts import Counts
from chalicelib.storage.ports import ConditionFailed, Delete, Key, Put, Table, query_all

_GOOD_S = 60  # for which a process relies on its mark
# After that, the commit that relied on it, a late look and clocks that differ.
_KEPT_S = 4 * _GOOD_S


class Marks:
    """Leaves the marks of one process, which writes to one shard."""

    def __init__(self, table: Table, shard: int, now: Callable[[], float] = time.time) -> None:
        self._table = table
        self._shard = shard
        self._now = now
        self._left_at: dict[str, float] = {}

    def leave(self, app_ids: Iterable[str]) -> None:
        """To be called before deltas of the apps are written."""
        now = self._now()
        for app_id in app_ids:
            if now - self._left_at.get(app_id, 0.0) >= _GOOD_S:
                key = keys.unfolded(app_id, self._shard)
                self._table.write([Put({"pk": key.pk, "sk": key.sk, "at": int(now)})])
                self._left_at[app_id] = now


def fold_marked(table: Table, counts: Counts, now: Callable[[], float] = time.time) -> None:
    """Fold what the marks lead to."""
    for shard in range(keys.DELTA_SHARDS):
        for mark in list(query_all(table, keys.unfolded("", shard).pk)):
            app_id, at = cast(str, mark["sk"]), cast(int, mark["at"])
            if at < now() - _KEPT_S:
                with suppress(ConditionFailed):  # left anew: it stays
                    table.write([Delete(keys.unfolded(app_id, shard), require={"at": at})])
            while counts.fold(app_id, shard):
                pass


def marks_of_app(app_id: str) -> list[Key]:
    return [keys.unfolded(app_id, shard) for shard in range(keys.DELTA_SHARDS)]
