"""Symbols that arrive late: read the crashes that waited for them again, and move them.

A crash whose stack lacks symbols notes its stack under each build it lacks
(see waiting.py). When symbols of a build arrive, the stacks noted there lead to
their groups, and each group's reports of those stacks are read and bucketed
again. A worker knows for some seconds that a build has no symbols, so a crash
that is being processed while they arrive may still come without: a second
round, when that cannot be any more, finds it and takes the notes away.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import cast

from chalicelib import clock, group_places, keys, waiting
from chalicelib.bootstrap import Services
from chalicelib.placement import Placement
from chalicelib.records import StoredReport
from chalicelib.regrouping import Regrouping, Unreadable
from chalicelib.settling import Settling
from chalicelib.storage.ports import Put, get_all
from chalicelib.tasks import (
    MappingArrived,
    ReadAnew,
    Settle,
    SymbolsArrived,
    SymbolTask,
    announce,
    encode,
    settled_s,
    work_s,
)

_log = logging.getLogger(__name__)

_STACKS_A_MESSAGE = 1000  # of 35 bytes: an SQS message has room for 256 kB
_SETTLED_TOGETHER = 0.25  # of the time until it: what asks for settling within it asks once


class Resymbolication:
    """Does what the arrival of symbols asks for, a bounded part at a time.

    What the store raises is raised here too: whoever has the task tries again.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._table = services.table
        visibility_s = services.settings.visibility_s
        self._work_s = work_s(visibility_s)
        # No crash that was in work when symbols arrived, or a group was left, is in work then.
        self._settled_s = settled_s(visibility_s)

    def announce(self, arrived: SymbolsArrived | MappingArrived) -> None:
        """Have it done by the workers."""
        announce(self._services.queue, arrived, self._services.settings.visibility_s)

    def run(self, task: SymbolTask) -> None:
        match task:
            case SymbolsArrived(app_id=None):
                self._wake_apps(task)
            case SymbolsArrived(app_id=str(app_id)):
                self._wake_stacks(app_id, task)
            case MappingArrived():
                self._mapping_arrived(task)
            case ReadAnew():
                self._read_anew(task)
            case Settle(app_id):
                self._settle(app_id)

    # --- whom it concerns ---

    def _wake_apps(self, task: SymbolsArrived) -> None:
        until = time.monotonic() + self._work_s
        for app in self._services.accounts.apps(after=task.after):
            if waiting.is_waited_for(self._table, app.app_id, task.debug_id):
                self._send(replace(task, app_id=app.app_id, after=""))
            if time.monotonic() > until:
                self._send(replace(task, after=app.app_id))
                return

    def _wake_stacks(self, app_id: str, task: SymbolsArrived) -> None:
        until = time.monotonic() + self._work_s
        after = task.after
        while True:
            stacks, is_last = waiting.stacks_waiting_for(
                self._table, app_id, task.debug_id, after, limit=_STACKS_A_MESSAGE
            )
            if stacks:
                self._wake(app_id, task, stacks)
                after = stacks[-1]
            if is_last:
                return
            if time.monotonic() > until:
                self._send(replace(task, after=after))
                return

    def _wake(self, app_id: str, task: SymbolsArrived, stacks: Sequence[str]) -> None:
        """Have the groups of the stacks read again."""
        by_group: dict[int, list[str]] = {}
        grouped: set[str] = set()
        for group_id, stack in self._groups_of(app_id, stacks):
            by_group.setdefault(group_id, []).append(stack)
            grouped.add(stack)
        waited_for = task.debug_id if task.final else ""
        for group_id, ours in by_group.items():
            self._send(ReadAnew(app_id, group_id, tuple(ours), waited_for=waited_for))
        if task.final:
            self._wait_no_more(app_id, task.debug_id, [s for s in stacks if s not in grouped])

    def _groups_of(self, app_id: str, stacks: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Each stack with the group that it leads to, else with that of its bucket."""
        places = {keys.stack_in_app(stack, app_id): stack for stack in stacks}
        pointers = get_all(self._table, places)
        placement = Placement(self._services, app_id)
        for place, stack in places.items():
            if place in pointers:
                yield cast(int, pointers[place]["group_id"]), stack
                continue
            home = placement.home(stack)
            if home is not None:
                yield placement.end(home), stack

    def _mapping_arrived(self, task: MappingArrived) -> None:
        until = time.monotonic() + self._work_s
        self._services.counts.fold_all(task.app_id)  # a group is listed there once it is counted
        for item in group_places.listed(self._table, task.version_id, task.after):
            group_id = cast(int, item["group_id"])
            self._send(ReadAnew(task.app_id, group_id, version_id=task.version_id))
            if time.monotonic() > until:
                self._send(replace(task, after=cast(str, item["app_sk"])))
                return

    # --- reading anew ---

    def _read_anew(self, task: ReadAnew) -> None:
        """The reports of one group, the oldest first; what takes too long goes on in a message."""
        self._services.symbols.look_again()  # what came may be known here as missing
        if not task.after:  # first: whoever does this may die half-way, and the next one finds done
            self._settle_later(task.app_id)
        regrouping = Regrouping(self._services, task.app_id)
        until = time.monotonic() + self._work_s
        stacks = set(task.stacks)
        place = task.after
        since = f"{task.after}\0" if task.after else None
        for stored in self._services.crashes.oldest_first(task.group_id, since):
            if time.monotonic() > until and place != task.after:
                self._send(replace(task, after=place))
                return
            place = stored.place
            is_wanted = stored.fingerprint in stacks or stored.version_id == task.version_id
            if is_wanted or task.everything:
                _put_anew(regrouping, stored)
        if task.waited_for:
            self._wait_no_more(task.app_id, task.waited_for, task.stacks)

    def _wait_no_more(self, app_id: str, debug_id: str, stacks: Sequence[str]) -> None:
        """Take the notes away, unless a crash may have come without the symbols since."""
        since = clock.now() - timedelta(seconds=self._settled_s)
        if self._services.symbols.were_there(app_id, debug_id, clock.to_stored(since)):
            waiting.take_away(self._table, app_id, debug_id, stacks)

    # --- settling ---

    def _settle(self, app_id: str) -> None:
        before = clock.to_stored(clock.now() - timedelta(seconds=self._settled_s))
        settling = Settling(self._services, app_id)
        if not settling.run(before, until=time.monotonic() + self._work_s):
            if settling.is_out_of_time:
                self._send(Settle(app_id))
            else:
                self._settle_later(app_id)

    def _settle_later(self, app_id: str) -> None:
        """Have the groups of an app settled when what is done now is done.

        One message does it for all that ask for it at about the same time.
        """
        due = clock.now() + timedelta(seconds=self._settled_s)
        known = self._table.get(keys.settling(app_id))
        enough = due - timedelta(seconds=self._settled_s * _SETTLED_TOGETHER)
        if known is not None and cast(str, known["due"]) >= clock.to_stored(enough):
            return
        self._send(Settle(app_id), self._settled_s)
        key = keys.settling(app_id)
        self._table.write([Put({"pk": key.pk, "sk": key.sk, "due": clock.to_stored(due)})])

    def _send(self, task: SymbolTask, delay_s: int = 0) -> None:
        self._services.queue.send(encode(task), delay_s=delay_s)


def _put_anew(regrouping: Regrouping, stored: StoredReport) -> None:
    try:
        regrouping.put_anew(stored)
    except Unreadable as error:  # stops nothing; what the store cannot do now is tried again
        _log.warning("%s", error)
