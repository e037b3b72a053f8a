"""Move reports to where bucketing puts them now, with their counts.

Used when the form of bucketing has changed and when symbols have arrived.
Each report is read from its payload and bucketed as if it came again; where
its stack or its group differ it moves there, in one atomic batch with the
counts. A group keeps its id, status and annotations for the bucket that its
first report is in now. The groups that reports were taken from are noted in
the same batch, so that they are settled also after a stop.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Any, cast

from chalicelib import clock, deltas, keys
from chalicelib.bootstrap import Services
from chalicelib.bucketing.assignment import Assignment, Founder
from chalicelib.bucketing.stack import normalise
from chalicelib.commit import described, titled
from chalicelib.errors import NotFound
from chalicelib.ids import sortable
from chalicelib.model import Report
from chalicelib.records import Group, GroupVersion, StoredReport
from chalicelib.storage.ports import (
    ConditionFailed,
    Conflict,
    Delete,
    Item,
    Key,
    Operation,
    Put,
    SortRange,
    Update,
    Value,
    query_all,
)

_MAX_ATTEMPTS = 10  # to move one report, or settle one group, while others write to it


@dataclass(frozen=True, slots=True)
class _Anew:
    """A report as it is read now, and the bucket that it belongs to."""

    report: Report
    database_id: str
    assignment: Assignment


class Regrouping:
    """Moves reports of one app; several may be at it, and crashes may come meanwhile."""

    def __init__(self, services: Services, app_id: str) -> None:
        self._services = services
        self._table = services.table
        self._app_id = app_id
        self._counted: set[str] = set()  # stacks whose reports are known to be counted

    def put_anew(self, stored: StoredReport) -> bool:
        """Bring a report where it belongs now; whether that is another group.

        Raises `FormatError` or `NotFound` when it cannot be read any more.
        """
        received = self._services.crashes.payload(stored.report_id)
        report = self._services.reader.crash(received)
        database_id = stored.database_id or str(stored.report_id)
        assignment = self._services.bucketing.assign(
            normalise(report),
            Founder(database_id, self._app_id),
            received.fields.get("force_bucket"),
        )
        anew = _Anew(report, database_id, assignment)
        for _ in range(_MAX_ATTEMPTS):
            operations, group_id = self._move(stored, anew)
            if not operations:
                return False
            try:
                self._table.write(operations)
            except (ConditionFailed, Conflict):
                current = self._table.get(keys.report(stored.report_id))
                if current is None:
                    return False
                stored = StoredReport.from_item(current)
            else:
                return group_id != stored.group_id
        raise Conflict(f"report {stored.report_id} could not be moved: others write to its groups")

    def settle_groups_left(self, before: str | None = None) -> bool:
        """Give each group that lost reports the dates of those it has; take the empty ones away.

        With `before`, only those that lost none since that time (as stored): a
        crash that is just being committed may still come into a group that it
        found before. False: some are left for later.
        """
        self._services.counts.fold_all(self._app_id)
        first = keys.left_by_regrouping(self._app_id, 0)
        notes = SortRange.beginning_with(first.sk.rstrip("0"))
        all_settled = True
        for note in list(query_all(self._table, first.pk, sort=notes)):
            is_recent = before is not None and cast(str, note.get("at", "")) >= before
            if is_recent or not self._settle(note):
                all_settled = False
        return all_settled

    # --- one report ---

    def _move(self, stored: StoredReport, anew: _Anew) -> tuple[list[Operation], int]:
        """What brings the report into its bucket's group, and that group."""
        operations: list[Operation] = []
        bucket_id = anew.assignment.buckets[self._services.bucketing.default_threshold]
        place = keys.group_of_bucket(bucket_id, self._app_id)
        pointer = self._table.get(place)
        group_id = stored.group_id
        new_groups = 0
        if pointer is not None:
            group_id = cast(int, pointer["group_id"])
        else:
            group = self._group(stored.group_id)
            if group.bucket_id == anew.database_id:  # its first report leads it to the new bucket
                operations += self._lead(group, bucket_id, place, anew.report)
            else:
                group_id = self._services.ids.next()
                new_groups = 1
                made = replace(
                    group, group_id=group_id, bucket_id=bucket_id, total=0,
                    created_at=stored.date, last_at=stored.date, last_version_id=stored.version_id,
                    **titled(anew.report),
                )  # fmt: skip
                operations.append(Put(made.item(), if_absent=True))
                operations.append(Put(_pointer(place, group_id), if_absent=True))
        stack = anew.assignment.fingerprint
        if group_id == stored.group_id and stack == stored.fingerprint:
            return operations, group_id
        if pointer is not None:
            operations += self._changed_group(group_id, stored.date, anew)
        stack_place = keys.stack_in_app(stack, self._app_id)
        if self._table.get(stack_place) is None:
            operations.append(Put(_pointer(stack_place, group_id), if_absent=True))
        moved = replace(stored, group_id=group_id, fingerprint=stack, **described(anew.report))
        changed = {
            name: value for name, value in moved.item().items() if value != stored.item().get(name)
        }
        operations.append(
            Update(
                keys.report(stored.report_id),
                set=changed,
                require={"group_id": stored.group_id, "fingerprint": stored.fingerprint},
            )
        )
        operations.append(self._delta(stored, moved, new_groups))
        if group_id != stored.group_id:
            operations.append(self._note(stored.group_id))
        return operations, group_id

    def _changed_group(self, group_id: int, date: str, anew: _Anew) -> list[Operation]:
        """What a report changes of the group it comes into: it may be older than those there;
        and it names the group if it is its first, or if those there have no names."""
        group = self._group(group_id)
        change: dict[str, Value] = {}
        if date < group.created_at:
            change["created_at"] = date
        titles = titled(anew.report)
        if group.bucket_id == anew.database_id or not group.method:
            change |= _there(titles)
        known = group.attributes()
        change = {name: value for name, value in change.items() if known.get(name) != value}
        if not change:
            return []
        require = {"created_at": group.created_at, "bucket_id": group.bucket_id}
        return [Update(keys.group(group_id), set=change, require=require)]

    def _note(self, group_id: int) -> Put:
        left = keys.left_by_regrouping(self._app_id, group_id)
        at = clock.to_stored(clock.now())
        noted: dict[str, Value] = {"group_id": group_id, "at": at, "mark": secrets.token_hex(8)}
        return Put({"pk": left.pk, "sk": left.sk, **noted})

    def _delta(self, stored: StoredReport, moved: StoredReport, new_groups: int) -> Put:
        """Takes the report from the counts of where it was, and adds it to those of where it is."""
        # earlier forms counted no stacks
        old_stack = stored.fingerprint if self._is_counted(stored.fingerprint) else ""
        rows = [
            deltas.row_of(stored.group_id, stored.version_id, stored.date, old_stack)._replace(
                reports=-1
            ),
            deltas.row_of(moved.group_id, stored.version_id, stored.date, moved.fingerprint),
        ]
        shard = stored.report_id % keys.DELTA_SHARDS
        batch = sortable(self._services.ids.next())
        return deltas.delta_put(self._app_id, shard, batch, rows, new_groups)

    def _is_counted(self, fingerprint: str) -> bool:
        if fingerprint not in self._counted:
            if not self._services.counts.of_stacks(self._app_id, [fingerprint]):
                return False
            self._counted.add(fingerprint)
        return True

    def _group(self, group_id: int) -> Group:
        item = self._table.get(keys.group(group_id))
        if item is None:
            raise NotFound("group", str(group_id))
        return Group.from_item(item)

    def _lead(self, group: Group, bucket_id: str, place: Key, report: Report) -> list[Operation]:
        titles = titled(report)
        return [
            Update(
                keys.group(group.group_id),
                set={"bucket_id": bucket_id, **_there(titles)},
                remove=tuple(name for name, value in titles.items() if value is None),
                require={"bucket_id": group.bucket_id},
            ),
            Delete(keys.group_of_bucket(group.bucket_id, self._app_id)),
            Put(_pointer(place, group.group_id), if_absent=True),
        ]

    # --- what is left behind ---

    def _settle(self, note: Item) -> bool:
        """False: crashes came into the group again and again, or others took reports from it."""
        for _ in range(_MAX_ATTEMPTS):
            try:
                if not self._settle_group(cast(int, note["group_id"])):
                    return False
            except ConditionFailed:
                continue
            try:
                key = Key(str(note["pk"]), str(note["sk"]))
                self._table.write([Delete(key, require={"mark": note.get("mark")})])
            except ConditionFailed:  # it has lost more since
                return False
            return True
        return False

    def _settle_group(self, group_id: int) -> bool:
        """False: it has no report, but another is about to count what it had."""
        item = self._table.get(keys.group(group_id))
        if item is None:
            return True
        group = Group.from_item(item)
        reports = list(self._services.crashes.all_of_group(group_id))
        versions: dict[int, list[str]] = {}
        for report in reports:
            versions.setdefault(report.version_id, []).append(report.date)
        for part in list(query_all(self._table, keys.group_partition(group_id))):
            if str(part["sk"]).startswith("version#"):
                self._settle_version(GroupVersion.from_item(part), versions)
        if not reports:
            if group.total != 0:
                return False
            self._take_away(group)
            return True
        newest = max(reports, key=lambda report: (report.date, report.report_id))
        self._table.write([
            Update(
                keys.group(group_id),
                set={
                    "created_at": min(report.date for report in reports),
                    "last_at": newest.date,
                    "last_version_id": newest.version_id,
                },
                require={"last_at": group.last_at},
            )
        ])  # fmt: skip
        return True

    def _settle_version(self, part: GroupVersion, versions: dict[int, list[str]]) -> None:
        key = keys.group_version(part.group_id, part.version_id)
        dates = versions.get(part.version_id)
        if dates is None:
            self._table.write([Delete(key, require={"total": part.total})])
            return
        values = {"first_at": min(dates), "last_at": max(dates)}
        self._table.write([Update(key, set=values, must_exist=True)])

    def _take_away(self, group: Group) -> None:
        for item in list(query_all(self._table, keys.group_partition(group.group_id))):
            if item["sk"] != keys.group(group.group_id).sk:
                self._table.write([Delete(Key(str(item["pk"]), str(item["sk"])))])
        last: list[Operation] = [
            Delete(keys.group(group.group_id), must_exist=True, require={"total": 0})
        ]
        place = keys.group_of_bucket(group.bucket_id, self._app_id)
        pointer = self._table.get(place)
        if pointer is not None and pointer["group_id"] == group.group_id:
            last.append(Delete(place))
        totals = keys.totals(keys.app_partition(self._app_id))
        self._table.write([*last, Update(totals, add={"groups": -1})])


def _there(values: dict[str, Any]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if value is not None}


def _pointer(place: Key, group_id: int) -> Item:
    return {"pk": place.pk, "sk": place.sk, "group_id": group_id}
