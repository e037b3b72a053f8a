"""Settle the groups that lost reports: give them the dates of those they have, or take them away.

An emptied group shows nowhere, but a crash that is just being committed may
still come into it: known crashes go where their stack is known to be, and look
at no group. So it goes in two steps. First everything that leads to it is
taken away; a crash of its cause that comes from then on makes a group of its
own. When no crash can be in work any more that knew the way, it goes itself.
A crash that came in between is brought where its cause is now.

A group that was merged into another is emptied for good, but stays, out of
every list: its id leads on, and the merge may be undone. What leads to it is
led on instead of taken away. A group that people's decisions rely on stays
listed as an empty one, which shows nowhere, and waits for crashes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import cast

from chalicelib import keys, left_groups
from chalicelib.bootstrap import Services
from chalicelib.group_places import places
from chalicelib.left_groups import LeftGroup
from chalicelib.left_stacks import settle_stacks
from chalicelib.placement import Placement
from chalicelib.records import (
    NO_FIRST,
    NO_LAST,
    Group,
    GroupVersion,
    bucket_pointer,
    stack_pointer,
)
from chalicelib.regrouping import Regrouping
from chalicelib.storage.ports import (
    MAX_BATCH_ITEMS,
    ConditionFailed,
    Delete,
    Item,
    Key,
    Operation,
    Put,
    Update,
    Value,
    get_all,
    query_all,
)
from chalicelib.storage.schema import BY_GROUP

_NOW = "9"  # after every time that is stored
_MAX_ATTEMPTS = 10  # to settle one group while others write to it
_IN_LISTS = ("app_pk", "group_pk", "user_pk")  # what has a group in the lists of its app
_MAX_BROUGHT = 1000  # reports of a merged group at a time: placing.py has brought all but a few


@dataclass(frozen=True, slots=True)
class _Ends:
    """The dates of the first and the last report."""

    first_at: str
    last_at: str


class Settling:
    """Settles the groups of one app; crashes may come meanwhile."""

    def __init__(self, services: Services, app_id: str) -> None:
        self._services = services
        self._table = services.table
        self._app_id = app_id
        self._pending: set[int] = set()  # groups whose counts are not all folded
        self.is_out_of_time = False

    def run(self, before: str | None = None, *, until: float = math.inf) -> bool:
        """Settle what can be settled now; False: some groups are left for later.

        With `before`, only groups that lost nothing since that time (as
        stored), and emptied ones that were closed before it. Without, no crash
        may be in work that knew them before. After `until` (of the
        monotonic clock) no other group is begun; then it `is_out_of_time`.
        """
        self._services.counts.fold_all(self._app_id)
        rows = self._services.counts.pending(self._app_id).rows
        self._pending = {row.group_id for row in rows}
        all_settled = True
        for note in left_groups.left_groups(self._table, self._app_id):
            is_recent = before is not None and note.at >= before
            if is_recent or not self._settle(note, at_once=before is None):
                all_settled = False
            elif time.monotonic() > until:
                self.is_out_of_time = True
                return False
        counts = self._services.counts
        stacks = settle_stacks(self._table, counts, self._app_id, before or _NOW, until)
        return stacks and all_settled

    def _settle(self, note: LeftGroup, *, at_once: bool) -> bool:
        """False: it is for later, or others write to it again and again."""
        for _ in range(_MAX_ATTEMPTS):
            try:
                if not self._settle_group(note, at_once):
                    return False
            except ConditionFailed:
                continue
            try:
                self._table.write([Delete(note.key, require={"mark": note.mark})])
            except ConditionFailed:  # it has lost more since
                return False
            return True
        return False

    def _settle_group(self, note: LeftGroup, at_once: bool) -> bool:
        item = self._table.get(keys.group(note.group_id))
        if item is None:
            self._sweep(note.group_id)  # who took it away was stopped here
            return True
        group = Group.from_item(item)
        if group.merged_into is not None:
            return self._settle_merged(group, note, at_once)
        if next(self._services.crashes.oldest_first(group.group_id), None) is None:
            return self._settle_empty(group, note, at_once)
        if note.is_closed and not self._open(group):
            return False
        return self._settle_dates(group, note)

    # --- with reports ---

    def _settle_dates(self, group: Group, note: LeftGroup) -> bool:
        """Reads reports from either end until those of each version that lost some are found."""
        parts = self._parts(note)
        if any(not part.total and part.group_id in self._pending for part in parts.values()):
            return False
        wanted = {version_id: part for version_id, part in parts.items() if part.total}
        ends = self._ends(group.group_id, wanted)
        if ends.keys() != wanted.keys():  # what they lost is not folded yet
            return False
        for version_id, part in parts.items():
            if version_id in wanted:
                self._write_dates(part, ends[version_id])
            else:
                self._table.write(_without(part))
        oldest = next(self._services.crashes.oldest_first(group.group_id))
        newest = next(self._services.crashes.newest_first(group.group_id))
        dates = {
            "created_at": oldest.date,
            "last_at": newest.date,
            "last_version_id": newest.version_id,
            **places(self._app_id, group.group_id, oldest.date, group.total, newest.date),
        }
        require: dict[str, Value] = {
            "last_at": group.last_at,
            "total": group.total,
            "unlisted": None,
        }
        self._table.write([Update(keys.group(group.group_id), set=dates, require=require)])
        return True

    def _parts(self, note: LeftGroup) -> dict[int, GroupVersion]:
        """The group in each of the versions that it lost reports of; an old note names none."""
        partition = keys.group_partition(note.group_id)
        wanted = [keys.group_version(note.group_id, version) for version in note.version_ids]
        items = get_all(self._table, wanted) if wanted else self._children(partition)
        found = (
            GroupVersion.from_item(item) for key, item in items.items() if _is_part(key)
        )  # fmt: skip
        return {part.version_id: part for part in found}

    def _ends(self, group_id: int, wanted: Mapping[int, GroupVersion]) -> dict[int, _Ends]:
        """The dates of the first and the last report of each version that has reports."""
        if not wanted:
            return {}
        crashes = self._services.crashes
        firsts: dict[int, str] = {}
        since = min(part.first_at for part in wanted.values())
        for report in crashes.oldest_first(group_id, since):
            if report.version_id in wanted:
                firsts.setdefault(report.version_id, report.date)
                if len(firsts) == len(wanted):
                    break
        lasts: dict[int, str] = {}
        for report in crashes.newest_first(group_id):
            if report.version_id in firsts:
                lasts.setdefault(report.version_id, report.date)
                if len(lasts) == len(firsts):
                    break
        return {version_id: _Ends(firsts[version_id], last) for version_id, last in lasts.items()}

    def _write_dates(self, part: GroupVersion, ends: _Ends) -> None:
        dates = {
            "first_at": ends.first_at,
            "last_at": ends.last_at,
            **places(part.version_id, part.group_id, ends.first_at, part.total, ends.last_at),
        }
        key = keys.group_version(part.group_id, part.version_id)
        self._table.write([Update(key, set=dates, require={"total": part.total})])

    # --- without reports ---

    def _settle_empty(self, group: Group, note: LeftGroup, at_once: bool) -> bool:
        if group.total != 0 or group.group_id in self._pending:
            return False
        if group.kept:
            if not self._delete_parts(group):
                return False
            self._table.write([_without_dates(group)])
            return True
        ways = self._ways_to(group)
        if (ways or not note.is_closed) and not at_once:
            self._delete(group, ways)
            self._table.write([left_groups.closed(note)])
            return False
        self._delete(group, ways)
        if not self._delete_parts(group):
            return False
        undecided = {"total": 0, "merged_into": None, "kept": group.kept}
        gone = Delete(keys.group(group.group_id), must_exist=True, require=undecided)
        self._table.write([gone, *self._out_of_lists(group)])
        self._sweep(group.group_id)
        return True

    def _delete_parts(self, group: Group) -> bool:
        """Take the empty group's parts in versions away; False: one is not empty."""
        for key, item in self._children(keys.group_partition(group.group_id)).items():
            if _is_part(key):
                part = GroupVersion.from_item(item)
                if part.total != 0:
                    return False
                self._table.write(_without(part))
        return True

    def _out_of_lists(self, group: Group) -> list[Operation]:
        totals = keys.totals(keys.app_partition(self._app_id))
        return [
            Delete(keys.group_by_class(self._app_id, group.class_name or "", group.group_id)),
            Update(totals, add={"groups": -1}),
        ]

    # --- merged into another ---

    def _settle_merged(self, group: Group, note: LeftGroup, at_once: bool) -> bool:
        placement = Placement(self._services, self._app_id)
        left = self._services.crashes.oldest_first(group.group_id)
        if placement.move(islice(left, _MAX_BROUGHT)):
            return False
        if group.total != 0 or group.group_id in self._pending:
            return False
        led = placement.lead_buckets(group.group_id) + placement.lead(group.group_id)
        if (led or not note.is_closed) and not at_once:
            self._table.write([left_groups.closed(note)])
            return False
        if not self._delete_parts(group):
            return False
        if not group.unlisted:
            gone = _without_dates(group)
            kept = {name: value for name, value in gone.set.items() if name not in _IN_LISTS}
            gone = replace(
                gone,
                set={**kept, "unlisted": True},
                remove=_IN_LISTS,
                require={**gone.require, "unlisted": None},
            )
            self._table.write([gone, *self._out_of_lists(group)])
        return True

    def _ways_to(self, group: Group) -> list[Key]:
        """The pointers of stacks and of the bucket that lead to the group."""
        stacks = query_all(
            self._table, keys.stacks_of_group(group.group_id), index=BY_GROUP
        )  # fmt: skip
        ways = [_key(item) for item in stacks]
        place = keys.group_of_bucket(group.bucket_id, self._app_id)
        pointer = self._table.get(place)
        if pointer is not None and pointer["group_id"] == group.group_id:
            ways.append(place)
        return ways

    def _delete(self, group: Group, ways: list[Key]) -> None:
        """Take pointers away, unless one leads elsewhere by now."""
        for start in range(0, len(ways), MAX_BATCH_ITEMS):
            self._table.write([
                Delete(key, require={"group_id": group.group_id})
                for key in ways[start : start + MAX_BATCH_ITEMS]
            ])  # fmt: skip

    def _open(self, group: Group) -> bool:
        """Have the group's cause lead to it again; False: it has another group by now, and what
        came in is moved there."""
        place = keys.group_of_bucket(group.bucket_id, self._app_id)
        pointer = self._table.get(place)
        reports = self._services.crashes.oldest_first(group.group_id)
        if pointer is not None and pointer["group_id"] != group.group_id:
            regrouping = Regrouping(self._services, self._app_id)
            for report in list(reports):
                regrouping.put_anew(report)
            return False
        if pointer is None:
            made = bucket_pointer(group.bucket_id, self._app_id, group.group_id)
            self._table.write([Put(made, if_absent=True)])
        for fingerprint in {report.fingerprint for report in reports}:
            way = stack_pointer(fingerprint, self._app_id, group.group_id)
            if self._table.get(_key(way)) is None:
                self._table.write([Put(way, if_absent=True)])
        return True

    # --- helpers ---

    def _children(self, partition: str) -> dict[Key, Item]:
        return {_key(item): item for item in query_all(self._table, partition)}

    def _sweep(self, group_id: int) -> None:
        """Take away what a group that is gone left in its partition."""
        left = list(self._children(keys.group_partition(group_id)))
        for start in range(0, len(left), MAX_BATCH_ITEMS):
            self._table.write([Delete(key) for key in left[start : start + MAX_BATCH_ITEMS]])


def _without_dates(group: Group) -> Update:
    """Takes the dates of the crashes it had from an empty group; the next one sets them."""
    orders = places(group.app_id, group.group_id, NO_FIRST, 0, NO_LAST)
    return Update(
        keys.group(group.group_id),
        set={"created_at": NO_FIRST, "last_at": NO_LAST, **orders},
        require={
            "total": 0,
            "created_at": group.created_at,
            "last_at": group.last_at,
            "merged_into": group.merged_into,
        },
        must_exist=True,
    )


def _without(part: GroupVersion) -> list[Operation]:
    """Takes an emptied part away, of which the version's count of groups knows."""
    key = keys.group_version(part.group_id, part.version_id)
    totals = keys.totals(keys.version_partition(part.version_id))
    gone = Delete(key, must_exist=True, require={"total": 0})
    return [gone, Update(totals, add={"groups": -1})]


def _is_part(key: Key) -> bool:
    return key.sk.startswith("version#")


def _key(item: Item) -> Key:
    return Key(cast(str, item["pk"]), cast(str, item["sk"]))
