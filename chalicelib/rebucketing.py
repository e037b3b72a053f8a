"""Put reports that were grouped by an earlier form of bucketing where the present one puts them.

Report by report, the oldest first, as if each came again: its payload is read
and bucketed, and where stack or group differ it moves there, in one atomic
batch with the counts. A group keeps its id, status and annotations for the
bucket that its first report is in now. Interrupted, it goes on where it was.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import cast

from chalicelib import deltas, keys
from chalicelib.bootstrap import Services
from chalicelib.bucketing.assignment import Assignment, Founder
from chalicelib.bucketing.stack import normalise
from chalicelib.errors import NotFound
from chalicelib.ids import sortable
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
    query_all,
)
from chalicelib.storage.schema import BY_APP

_log = logging.getLogger(__name__)

_REMEMBERED = 100  # reports between two notes of how far it is
_MAX_ATTEMPTS = 10  # to move one report while others write to its groups


@dataclass(frozen=True, slots=True)
class Rebucketed:
    """What a run did: reports looked at, moved to another group, and those that cannot be read."""

    reports: int = 0
    moved: int = 0
    unreadable: int = 0


class Rebucketing:
    """Moves the reports of one app. One run at a time for an app; crashes may come meanwhile."""

    def __init__(self, services: Services, app_id: str) -> None:
        self._services = services
        self._table = services.table
        self._app_id = app_id

    def run(self, progress: Callable[[], object] = lambda: None) -> Rebucketed:
        """Look at every report that is there now; `progress` is called for each."""
        done = Rebucketed()
        note = self._table.get(keys.rebucketing(self._app_id)) or {}
        place = cast(str, note.get("place", ""))
        for number, item in enumerate(self._oldest_first(place), 1):
            report = StoredReport.from_item(item)
            try:
                moved = self._rebucket(report)
            except Exception:  # a report that breaks the reader stops nothing
                _log.exception("report %s could not be put anew", report.report_id)
                done = replace(done, unreadable=done.unreadable + 1)
            else:
                done = replace(done, moved=done.moved + moved)
            done = replace(done, reports=done.reports + 1)
            progress()
            if number % _REMEMBERED == 0:
                self._remember(cast(str, item["app_sk"]))
        self._services.counts.fold_all(self._app_id)
        for left in list(self._groups_left()):
            for _ in range(_MAX_ATTEMPTS):
                if self._settle(cast(int, left["group_id"])):
                    break
            self._table.write([Delete(Key(str(left["pk"]), str(left["sk"])))])
        self._table.write([Delete(keys.rebucketing(self._app_id))])
        return done

    def _oldest_first(self, place: str) -> Iterator[Item]:
        """The app's reports behind a place that was noted."""
        low = f"{place}\0" if place else None
        shards = [
            query_all(self._table, partition, index=BY_APP, sort=SortRange(low=low))
            for partition in keys.reports_of_app(self._app_id)
        ]
        return heapq.merge(*shards, key=lambda item: str(item["app_sk"]))

    def _remember(self, place: str) -> None:
        key = keys.rebucketing(self._app_id)
        self._table.write([Put({"pk": key.pk, "sk": key.sk, "place": place})])

    def _groups_left(self) -> Iterator[Item]:
        """The notes of the groups that reports were taken from, also by a run that was stopped."""
        first = keys.left_by_rebucketing(self._app_id, 0)
        return query_all(self._table, first.pk, sort=SortRange.beginning_with(first.sk.rstrip("0")))

    # --- one report ---

    def _rebucket(self, report: StoredReport) -> bool:
        received = self._services.crashes.payload(report.report_id)
        database_id = report.database_id or str(report.report_id)
        assignment = self._services.bucketing.assign(
            normalise(self._services.reader.report(received)),
            Founder(database_id, self._app_id),
            received.fields.get("force_bucket"),
        )
        for _ in range(_MAX_ATTEMPTS):
            operations, group_id = self._move(report, database_id, assignment)
            if not operations:
                return False
            try:
                self._table.write(operations)
            except (ConditionFailed, Conflict):
                current = self._table.get(keys.report(report.report_id))
                if current is None:
                    return False
                report = StoredReport.from_item(current)
            else:
                return group_id != report.group_id
        raise Conflict(f"report {report.report_id} could not be moved: others write to its groups")

    def _move(
        self, report: StoredReport, database_id: str, assignment: Assignment
    ) -> tuple[list[Operation], int]:
        """What brings the report into its bucket's group, and that group."""
        operations: list[Operation] = []
        bucket_id = assignment.buckets[self._services.bucketing.default_threshold]
        place = keys.group_of_bucket(bucket_id, self._app_id)
        pointer = self._table.get(place)
        group_id = report.group_id
        new_groups = 0
        if pointer is not None:
            group_id = cast(int, pointer["group_id"])
        else:
            group = self._group(report.group_id)
            if group.bucket_id == database_id:  # its first report leads it to the new bucket
                operations += self._lead(group, bucket_id, place)
            else:
                group_id = self._services.ids.next()
                new_groups = 1
                made = replace(
                    group, group_id=group_id, bucket_id=bucket_id, total=0,
                    created_at=report.date, last_at=report.date, last_version_id=report.version_id,
                )  # fmt: skip
                operations.append(Put(made.item(), if_absent=True))
                operations.append(Put(_pointer(place, group_id), if_absent=True))
        stack = assignment.fingerprint
        if group_id == report.group_id and stack == report.fingerprint:
            return operations, group_id
        stack_place = keys.stack_in_app(stack, self._app_id)
        if self._table.get(stack_place) is None:
            operations.append(Put(_pointer(stack_place, group_id), if_absent=True))
        moved = replace(report, group_id=group_id, fingerprint=stack)
        operations.append(
            Update(
                keys.report(report.report_id),
                set={
                    "group_id": group_id,
                    "fingerprint": stack,
                    "group_pk": moved.item()["group_pk"],
                },
                require={"group_id": report.group_id, "fingerprint": report.fingerprint},
            )
        )
        operations.append(self._delta(report, moved, new_groups))
        if group_id != report.group_id:
            left = keys.left_by_rebucketing(self._app_id, report.group_id)
            operations.append(Put({"pk": left.pk, "sk": left.sk, "group_id": report.group_id}))
        return operations, group_id

    def _delta(self, report: StoredReport, moved: StoredReport, new_groups: int) -> Put:
        """Takes the report from the counts of where it was, and adds it to those of where it is."""
        was = self._table.get(keys.reports_of_stack(report.fingerprint, self._app_id))
        old_stack = report.fingerprint if was is not None else ""  # earlier forms counted no stacks
        rows = [
            deltas.row_of(report.group_id, report.version_id, report.date, old_stack)._replace(
                reports=-1
            ),
            deltas.row_of(moved.group_id, report.version_id, report.date, moved.fingerprint),
        ]
        shard = report.report_id % keys.DELTA_SHARDS
        batch = sortable(self._services.ids.next())
        return deltas.delta_put(self._app_id, shard, batch, rows, new_groups)

    def _group(self, group_id: int) -> Group:
        item = self._table.get(keys.group(group_id))
        if item is None:
            raise NotFound("group", str(group_id))
        return Group.from_item(item)

    def _lead(self, group: Group, bucket_id: str, place: Key) -> list[Operation]:
        return [
            Update(
                keys.group(group.group_id),
                set={"bucket_id": bucket_id},
                require={"bucket_id": group.bucket_id},
            ),
            Delete(keys.group_of_bucket(group.bucket_id, self._app_id)),
            Put(_pointer(place, group.group_id), if_absent=True),
        ]

    # --- what is left behind ---

    def _settle(self, group_id: int) -> bool:
        """Give a group that lost reports the dates of those it has; take it away if it has none.

        False: a crash came into it meanwhile.
        """
        try:
            self._settle_now(group_id)
        except ConditionFailed:
            return False
        return True

    def _settle_now(self, group_id: int) -> None:
        item = self._table.get(keys.group(group_id))
        if item is None:
            return
        group = Group.from_item(item)
        reports = list(self._services.crashes.all_of_group(group_id))
        versions: dict[int, list[str]] = {}
        for report in reports:
            versions.setdefault(report.version_id, []).append(report.date)
        for part in list(query_all(self._table, keys.group_partition(group_id))):
            if str(part["sk"]).startswith("version#"):
                self._settle_version(GroupVersion.from_item(part), versions)
        if not reports:
            if group.total == 0:
                self._take_away(group)
            return
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

    def _settle_version(self, part: GroupVersion, versions: dict[int, list[str]]) -> None:
        key = keys.group_version(part.group_id, part.version_id)
        dates = versions.get(part.version_id)
        if dates is None:
            self._table.write([Delete(key)])
            return
        values = {"first_at": min(dates), "last_at": max(dates)}
        self._table.write([Update(key, set=values, must_exist=True)])

    def _take_away(self, group: Group) -> None:
        for item in list(query_all(self._table, keys.group_partition(group.group_id))):
            if item["sk"] != keys.group(group.group_id).sk:
                self._table.write([Delete(Key(str(item["pk"]), str(item["sk"])))])
        last: list[Operation] = [Delete(keys.group(group.group_id), must_exist=True)]
        place = keys.group_of_bucket(group.bucket_id, self._app_id)
        pointer = self._table.get(place)
        if pointer is not None and pointer["group_id"] == group.group_id:
            last.append(Delete(place))
        totals = keys.totals(keys.app_partition(self._app_id))
        self._table.write([*last, Update(totals, add={"groups": -1})])


def _pointer(place: Key, group_id: int) -> Item:
    return {"pk": place.pk, "sk": place.sk, "group_id": group_id}
