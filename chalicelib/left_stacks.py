"""Stacks whose reports have other stacks now: forgotten, once nothing leads there any more.

Noted in the batch that moves a report. A crash of such a stack may come all
the while, as it was read without symbols, and goes where the stack leads
without a look at anything else. So the lead of a stack without reports is
taken away first; and what bucketing keeps of it goes when no crash can be in
work that knew the lead.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import cast

from chalicelib import clock, keys
from chalicelib.bucketing.forgetting import Forgetting
from chalicelib.counts import Counts
from chalicelib.storage.ports import (
    MAX_BATCH_ITEMS,
    ConditionFailed,
    Conflict,
    Delete,
    Item,
    Key,
    Put,
    SortRange,
    Table,
    Update,
    query_all,
)


@dataclass(frozen=True, slots=True)
class LeftStack:
    """A stack that lost reports to others, the last one at the time `at` (as stored), or whose
    lead was taken away then; `mark` is another one whenever that is so again."""

    key: Key
    fingerprint: str
    at: str
    mark: str


def left_stack(app_id: str, fingerprint: str) -> Put:
    """Note that a report has another stack now."""
    key = keys.left_stack(app_id, fingerprint)
    return Put({"pk": key.pk, "sk": key.sk, **_now()})


def left_stacks(table: Table, app_id: str) -> Iterator[LeftStack]:
    first = keys.left_stack(app_id, "")
    notes = SortRange.beginning_with(first.sk)
    for item in query_all(table, first.pk, sort=notes):
        key = Key(first.pk, cast(str, item["sk"]))
        fingerprint = key.sk.removeprefix(first.sk)
        yield LeftStack(key, fingerprint, cast(str, item["at"]), cast(str, item["mark"]))


def settle_stacks(
    table: Table, counts: Counts, app_id: str, before: str, until: float = math.inf
) -> bool:
    """Do what can be done by now; False: some are left for later.

    `before`: no crash is in work any more that was so before that time.
    Nothing is begun after `until` (of the monotonic clock).
    """
    all_settled = True
    notes = left_stacks(table, app_id)
    while part := list(islice(notes, MAX_BATCH_ITEMS)):
        try:
            if not _settle(table, counts, app_id, part, before):
                all_settled = False
        except (ConditionFailed, Conflict):  # others write to them
            all_settled = False
        if time.monotonic() > until:
            return False
    return all_settled


def _settle(
    table: Table, counts: Counts, app_id: str, notes: Sequence[LeftStack], before: str
) -> bool:
    names = [note.fingerprint for note in notes]
    counts.fold_all(app_id)
    pending = counts.pending(app_id)
    unknown = {row.stack for row in pending.rows}  # another one is about to fold what they had
    living = counts.of_stacks(app_id, names, pending)
    dead = [n for n in notes if n.fingerprint not in living and n.fingerprint not in unknown]
    leads = _leads(table, app_id, dead)
    doomed = [note for note in dead if note.fingerprint not in leads]
    led = {name: item for name, item in leads.items() if "home" not in item}
    for note in dead:
        if note.fingerprint in led:
            key = keys.stack_in_app(note.fingerprint, app_id)
            require = {"group_id": led[note.fingerprint]["group_id"]}
            again = Update(note.key, set=_now(), require={"mark": note.mark})
            table.write([again, Delete(key, require=require)])
    old = [note for note in doomed if note.at < before]
    Forgetting(table).forget([note.fingerprint for note in old], [app_id])
    # One that has reports, or that a person took out of its group, is none of those.
    kept = [n for n in notes if n.fingerprint in living or n.fingerprint in leads.keys() - led]
    done = [*old, *(note for note in kept if note.at < before)]
    if done:
        table.write([Delete(note.key, require={"mark": note.mark}) for note in done])
    return len(done) == len(notes)


def _leads(table: Table, app_id: str, notes: Sequence[LeftStack]) -> Mapping[str, Item]:
    """What leads from the stacks to groups."""
    places = {keys.stack_in_app(n.fingerprint, app_id): n.fingerprint for n in notes}
    return {places[key]: item for key, item in table.batch_get(list(places)).items()}


def _now() -> dict[str, str]:
    return {"at": clock.to_stored(clock.now()), "mark": secrets.token_hex(8)}
