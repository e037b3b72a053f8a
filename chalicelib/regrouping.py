"""Move reports to where bucketing puts them now, with their counts.

Used when the form of bucketing has changed and when symbols have arrived.
Each report is read from its payload and bucketed as if it came again; where
its stack or its group differ it moves there, in one atomic batch with the
counts. A group keeps its id, status and annotations for the bucket that its
first report is in now. The groups that reports were taken from are noted in
the same batch, to be settled (settling.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from chalicelib import deltas, keys
from chalicelib.bootstrap import Services
from chalicelib.bucketing.assignment import Assignment, Founder
from chalicelib.bucketing.stack import normalise
from chalicelib.commit import described, titled, waits_for_symbols
from chalicelib.errors import CrashbucketError, NotFound
from chalicelib.ids import sortable
from chalicelib.left_groups import left
from chalicelib.model import Report
from chalicelib.placement import Placement
from chalicelib.records import Group, StoredReport, bucket_pointer, orders_of, stack_pointer
from chalicelib.storage.ports import (
    ConditionFailed,
    Conflict,
    Delete,
    Item,
    Key,
    Operation,
    Put,
    Update,
    Value,
)
from chalicelib.symbols.source import SymbolsAway
from chalicelib.tasks import Place, encode, settled_s

_MAX_ATTEMPTS = 10  # to move one report, or settle one group, while others write to it


@dataclass(frozen=True, slots=True)
class _Anew:
    """A report as it is read now, and the bucket that it belongs to."""

    report: Report
    database_id: str
    assignment: Assignment


class Unreadable(CrashbucketError):
    """A stored report whose payload is gone, damaged, or breaks its reader."""


class Regrouping:
    """Moves reports of one app; several may be at it, and crashes may come meanwhile."""

    def __init__(self, services: Services, app_id: str) -> None:
        self._services = services
        self._table = services.table
        self._app_id = app_id
        self._counted: set[str] = set()  # stacks whose reports are known to be counted

    def put_anew(self, stored: StoredReport) -> bool:
        """Bring a report where it belongs now; whether that is another group.

        Raises `Unreadable` when it cannot be read any more.
        """
        try:
            received = self._services.crashes.payload(stored.report_id)
            report = self._services.reader.crash(received)
        except SymbolsAway:
            raise
        except Exception as error:
            raise Unreadable(f"report {stored.report_id} cannot be read: {error}") from error
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
                current = StoredReport.at(self._table.get(keys.report(stored.report_id)))
                if current is None:
                    return False
                stored = current
            else:
                return group_id != stored.group_id
        raise Conflict(f"report {stored.report_id} could not be moved: others write to its groups")

    # --- one report ---

    def _move(self, stored: StoredReport, anew: _Anew) -> tuple[list[Operation], int]:
        """What brings the report into its bucket's group, and that group."""
        operations: list[Operation] = []
        bucket_id = anew.assignment.buckets[self._services.bucketing.default_threshold]
        stack = anew.assignment.fingerprint
        stack_place = keys.stack_in_app(stack, self._app_id)
        of_stack = self._table.get(stack_place)
        taken_out = self._taken_out(stored, stack, of_stack)
        pointer = of_stack if of_stack and "home" in of_stack else None
        pointer = pointer or self._table.get(keys.group_of_bucket(bucket_id, self._app_id))
        group_id = stored.group_id
        new_groups = 0
        if taken_out is not None:
            operations.append(taken_out)
            group_id = cast(int, taken_out.set["group_id"])
            pointer = taken_out.set
        elif pointer is not None:
            group_id = cast(int, pointer["group_id"])
        else:
            placement = Placement(self._services, self._app_id)
            group = self._group(placement.home(stored.fingerprint) or stored.group_id)
            if group.bucket_id == anew.database_id:  # its first report leads it to the new bucket
                group_id = placement.end(group.group_id)
                operations += self._lead(group, bucket_id, anew.report, group_id)
            else:
                group_id = self._services.ids.next()
                new_groups = 1
                made = replace(
                    group, group_id=group_id, bucket_id=bucket_id, total=0,
                    created_at=stored.date, last_at=stored.date, last_version_id=stored.version_id,
                    merged_into=None, unlisted=None, kept=None,
                    **titled(anew.report),
                )  # fmt: skip
                operations.append(Put(made.item(), if_absent=True))
                operations.append(Put(made.by_class()))
                way = bucket_pointer(bucket_id, self._app_id, group_id)
                operations.append(Put(way, if_absent=True))
        if group_id == stored.group_id and stack == stored.fingerprint:
            return operations, group_id
        if pointer is not None:
            operations += self._changed_group(group_id, stored.date, anew)
        if of_stack is None and taken_out is None:
            way = stack_pointer(stack, self._app_id, group_id)
            operations.append(Put(way, if_absent=True))
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
        # Symbols of one build name some frames; those of others may still be missing.
        operations += waits_for_symbols(anew.report, self._app_id, stack)
        operations.append(self._delta(stored, moved, new_groups))
        if group_id != stored.group_id:
            operations.append(left(self._app_id, stored.group_id, [stored.version_id]))
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
        changed = replace(group, **cast(dict[str, Any], change))
        place = orders_of(group_id, changed.created_at, group.total, group.last_at)["app_sk"]
        return [
            Update(
                keys.group(group_id),
                set={**change, "app_sk": place},
                require={"created_at": group.created_at, "bucket_id": group.bucket_id},
            ),
            *_renamed(group, changed),
        ]

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

    def _lead(self, group: Group, bucket_id: str, report: Report, group_id: int) -> list[Operation]:
        """The group goes with its first report; `group_id` is the one that it is merged into."""
        titles = titled(report)
        home = group.group_id if group_id != group.group_id else None
        return [
            Update(
                keys.group(group.group_id),
                set={"bucket_id": bucket_id, **_there(titles)},
                remove=tuple(name for name, value in titles.items() if value is None),
                require={"bucket_id": group.bucket_id},
            ),
            *_renamed(group, replace(group, **titles)),
            Delete(keys.group_of_bucket(group.bucket_id, self._app_id)),
            Put(bucket_pointer(bucket_id, self._app_id, group_id, home), if_absent=True),
        ]

    def _taken_out(self, stored: StoredReport, stack: str, known: Item | None) -> Update | None:
        """What takes the report's new stack out of its bucket's group as a person did with the one
        that it had; None where nobody did, or where it is its own group's already."""
        if stack == stored.fingerprint or (known is not None and "home" in known):
            return None
        before = self._table.get(keys.stack_in_app(stored.fingerprint, self._app_id)) or {}
        home = cast("int | None", before.get("home"))
        decided = self._table.get(keys.split(self._app_id, home)) if home is not None else None
        if home is None or decided is None or decided.get("undone"):
            return None
        if known is not None:  # others of the stack go with it, when nobody can miss that any more
            others = Place(self._app_id, cast(int, known["group_id"]), home, round=1)
            delay_s = settled_s(self._services.settings.visibility_s)
            self._services.queue.send(encode(others), delay_s=delay_s)
        group_id = Placement(self._services, self._app_id).end(home)
        place = stack_pointer(stack, self._app_id, group_id)
        return Update(
            keys.stack_in_app(stack, self._app_id),
            set={
                **{name: place[name] for name in ("group_id", "group_pk", "group_sk")},
                "home": home,
            },
            require={"group_id": known["group_id"] if known else None},
        )


def _renamed(group: Group, changed: Group) -> list[Operation]:
    """What brings a group to its new place in the list by class."""
    before, after = group.by_class(), changed.by_class()
    if before == after or group.unlisted:
        return []
    if before["sk"] == after["sk"]:
        return [Put(after)]
    return [Delete(Key(str(before["pk"]), str(before["sk"]))), Put(after)]


def _there(values: dict[str, Any]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if value is not None}
