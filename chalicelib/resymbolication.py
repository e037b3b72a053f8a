"""Symbols that arrive late: read the crashes that waited for them again, and move them.

A crash whose stack lacks symbols notes its stack under each build it lacks
(see commit.py). When symbols of a build arrive, the stacks noted there lead to
their groups, and each group's reports of those stacks are read and bucketed
again. A worker knows for some seconds that a build has no symbols, so a crash
that is being processed while they arrive may still come without: a second
round, when that cannot be any more, finds it and takes the notes away.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import cast

from chalicelib import clock, keys
from chalicelib.bootstrap import Services
from chalicelib.bucketing.forgetting import Forgetting
from chalicelib.records import StoredReport
from chalicelib.regrouping import Regrouping, Unreadable
from chalicelib.settling import Settling
from chalicelib.storage.ports import (
    MAX_BATCH_ITEMS,
    Delete,
    Item,
    SortRange,
    get_all,
    query_all,
)
from chalicelib.storage.schema import BY_APP, BY_GROUP
from chalicelib.tasks import (
    MappingArrived,
    ReadAnew,
    Settle,
    SymbolsArrived,
    SymbolTask,
    announce,
    encode,
    settled_s,
)

_log = logging.getLogger(__name__)

_STACKS_A_MESSAGE = 1000  # of 33 bytes: an SQS message has room for 256 kB
_PART_OF_VISIBILITY = 0.25  # of a message's time is worked; the rest is left to another message


class Resymbolication:
    """Does what the arrival of symbols asks for, a bounded part at a time."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._table = services.table
        visibility_s = services.settings.visibility_s
        self._work_s = visibility_s * _PART_OF_VISIBILITY
        # No crash that was in work when symbols arrived, or a group was left, is in work then.
        self._settled_s = settled_s(visibility_s)

    def announce(self, arrived: SymbolsArrived | MappingArrived) -> None:
        """Have it done by the workers."""
        announce(self._services.queue, arrived, self._services.settings.visibility_s)

    def run(self, task: SymbolTask) -> None:
        match task:
            case SymbolsArrived():
                self._symbols_arrived(task)
            case MappingArrived():
                self._mapping_arrived(task)
            case ReadAnew():
                self._read_anew(task)
            case Settle(app_id):
                self._settle(app_id)

    # --- whom it concerns ---

    def _symbols_arrived(self, task: SymbolsArrived) -> None:
        if task.app_id is not None:
            app_ids = [task.app_id]
        else:
            app_ids = [app.app_id for app in self._services.accounts.apps()]
        for app_id in app_ids:
            self._wake_stacks(app_id, task)

    def _wake_stacks(self, app_id: str, task: SymbolsArrived) -> None:
        partition = keys.waiting(app_id, task.debug_id, "").pk
        stacks = [cast(str, item["sk"]) for item in query_all(self._table, partition)]
        pointers = {keys.stack_in_app(stack, app_id): stack for stack in stacks}
        by_group: dict[int, list[str]] = {}
        for key, pointer in get_all(self._table, pointers).items():
            by_group.setdefault(cast(int, pointer["group_id"]), []).append(pointers[key])
        for group_id, ours in by_group.items():
            for start in range(0, len(ours), _STACKS_A_MESSAGE):
                part = tuple(ours[start : start + _STACKS_A_MESSAGE])
                waited_for = task.debug_id if task.final else ""
                self._send(ReadAnew(app_id, group_id, part, waited_for=waited_for))
        if task.final:
            grouped = {stack for ours in by_group.values() for stack in ours}
            self._wait_no_more(app_id, task.debug_id, [s for s in stacks if s not in grouped])

    def _mapping_arrived(self, task: MappingArrived) -> None:
        partition = keys.groups_of_version(task.version_id)
        self._services.counts.fold_all(task.app_id)  # a group is listed there once it is counted
        for item in query_all(self._table, partition, index=BY_APP):
            group_id = cast(int, item["group_id"])
            self._send(ReadAnew(task.app_id, group_id, version_id=task.version_id))

    # --- reading anew ---

    def _read_anew(self, task: ReadAnew) -> None:
        """The reports of one group, the oldest first; what takes too long goes on in a message."""
        self._services.symbols.look_again()  # what came may be known here as missing
        if not task.after:  # first: whoever does this may die half-way, and the next one finds done
            self._send(Settle(task.app_id), self._settled_s)
        regrouping = Regrouping(self._services, task.app_id)
        until = time.monotonic() + self._work_s
        stacks = set(task.stacks)
        place = task.after
        for item in self._oldest_first(task.group_id, task.after):
            if time.monotonic() > until and place != task.after:
                self._send(replace(task, after=place))
                break
            place = cast(str, item["group_sk"])
            if item["fingerprint"] not in stacks and item["version_id"] != task.version_id:
                continue
            try:
                regrouping.put_anew(StoredReport.from_item(item))
            except Unreadable:  # stops nothing; what the store cannot do now is tried again
                _log.exception("report %s could not be read anew", item["report_id"])
        else:
            if task.waited_for:
                self._wait_no_more(task.app_id, task.waited_for, task.stacks)

    def _oldest_first(self, group_id: int, after: str) -> Iterator[Item]:
        low = f"{after}\0" if after else None
        shards = [
            query_all(self._table, partition, index=BY_GROUP, sort=SortRange(low=low))
            for partition in keys.reports_of_group(group_id)
        ]
        return heapq.merge(*shards, key=lambda item: str(item["group_sk"]))

    def _wait_no_more(self, app_id: str, debug_id: str, stacks: Sequence[str]) -> None:
        """Take the notes away, and what bucketing keeps of stacks that no report has now."""
        counts = self._services.counts
        counts.fold_all(app_id)  # what is taken from a stack must not be counted once it is gone
        totals = counts.of_stacks(app_id, stacks)
        pending = {row.stack for row in counts.pending(app_id).rows}
        gone = [stack for stack in stacks if stack not in totals and stack not in pending]
        Forgetting(self._table).forget(gone, [app_id])
        notes = [Delete(keys.waiting(app_id, debug_id, stack)) for stack in stacks]
        for start in range(0, len(notes), MAX_BATCH_ITEMS):
            self._table.write(notes[start : start + MAX_BATCH_ITEMS])
        partition = keys.waiting(app_id, debug_id, "").pk
        if not self._table.query(partition, limit=1).items:
            self._table.write([Delete(keys.missing(app_id, debug_id))])

    def _settle(self, app_id: str) -> None:
        before = clock.now() - timedelta(seconds=self._settled_s)
        if not Settling(self._services, app_id).run(clock.to_stored(before)):
            self._send(Settle(app_id), self._settled_s)

    def _send(self, task: SymbolTask, delay_s: int = 0) -> None:
        self._services.queue.send(encode(task), delay_s=delay_s)
