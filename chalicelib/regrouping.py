"""Move reports to where bucketing puts them now, with their counts.

Used when the form of bucketing has changed and when symbols have arrived.
Each report is read from its payload and bucketed as if it came again; where
its stack or its group differ it moves there, in one atomic batch with the
counts. A group keeps its id, status and annotations for the bucket that its
first report is in now. The groups that reports were taken from are noted in
the same batch, to be settled (settling.py).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, cast

from chalicelib import deltas, keys
from chalicelib.belongings import items_of
from chalicelib.bootstrap import Services
from chalicelib.bucketing.assignment import Assignment, Founder
from chalicelib.bucketing.stack import normalise
from chalicelib.described import described, titled
from chalicelib.errors import CrashbucketError, FormatError, NotFound, TryAgain
from chalicelib.group_places import place_by_first
from chalicelib.ids import sortable
from chalicelib.left_groups import left
from chalicelib.left_stacks import left_stack
from chalicelib.model import Report
from chalicelib.placement import Placement
from chalicelib.records import (
    Group,
    StoredReport,
    Version,
    bucket_pointer,
    stack_pointer,
)
from chalicelib.sampling import Weights
from chalicelib.storage.ports import (
    Check,
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
from chalicelib.tasks import Place, ReadAnew, encode, settled_s
from chalicelib.waiting import Notes, lacking_of

_MAX_ATTEMPTS = 10  # to move one report, or settle one group, while others write to it


@dataclass(frozen=True, slots=True)
class _Anew:
    """A report as it is read now, the bucket that it belongs to, and what its stack waits for."""

    report: Report
    database_id: str
    assignment: Assignment
    has_frames: bool
    notes: Notes


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

        Raises `Unreadable`, and whatever the store raises: then try again.
        """
        try:
            report, forced = self._read(stored.report_id)
        except Unreadable:
            if self._is_left_over(stored):
                self._take_back(stored)
                return True
            raise
        for _ in range(_MAX_ATTEMPTS):
            try:
                operations, group_id = self._move(stored, self._assigned(stored, report, forced))
                if not operations:
                    return False
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

    def _read(self, report_id: int) -> tuple[Report, str | None]:
        """The report as it reads now, and the bucket that it was forced into."""
        try:
            received = self._services.crashes.payload(report_id)
        except (NotFound, FormatError) as error:
            raise Unreadable(f"report {report_id} cannot be read: {error}") from error
        try:
            report = self._services.reader.crash(received)
        except TryAgain:  # the store's fault
            raise
        except Exception as error:  # one report that breaks the reader
            raise Unreadable(f"report {report_id} cannot be read: {error!r}") from error
        return report, received.fields.get("force_bucket")

    def _assigned(self, stored: StoredReport, report: Report, forced: str | None) -> _Anew:
        database_id = stored.database_id or str(stored.report_id)
        stack = normalise(report)
        founder = Founder(database_id, self._app_id)
        assignment = self._services.bucketing.assign(stack, founder, forced)
        notes = Notes(self._app_id, assignment.fingerprint, lacking_of(report))
        return _Anew(report, database_id, assignment, bool(stack.frames), notes)

    def _move(self, stored: StoredReport, anew: _Anew) -> tuple[list[Operation], int]:
        """What brings the report into its bucket's group, and that group."""
        version_id, operations = self._version(stored)
        operations += anew.notes.puts(self._noted(anew.notes))
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
            group = self._found(placement.home(stored.fingerprint) or stored.group_id)
            own = group.bucket_id if group is not None else None
            if group is not None and own == bucket_id:  # it was about to be taken away
                group_id = placement.end(group.group_id)
                operations.append(self._leading(group, bucket_id, group_id))
            elif group is not None and own == anew.database_id:
                # Its first report leads it to the new bucket; its others belong elsewhere now.
                group_id = placement.end(group.group_id)
                self._have_all_read(group_id)
                operations += self._lead(group, bucket_id, anew.report, group_id)
            else:
                group_id = self._services.ids.next()
                new_groups = 1
                before = group or _lost(stored)
                made = replace(
                    before, group_id=group_id, bucket_id=bucket_id, total=0, sampled=None,
                    created_at=stored.date, last_at=stored.date, last_version_id=version_id,
                    merged_into=None, unlisted=None, kept=None,
                    **titled(anew.report),
                )  # fmt: skip
                operations.append(Put(made.item(), if_absent=True))
                operations.append(Put(made.by_class()))
                way = bucket_pointer(bucket_id, self._app_id, group_id)
                operations.append(Put(way, if_absent=True))
        if anew.has_frames and taken_out is None:
            operations += self._pointing(stack, of_stack, group_id)
        as_it_was = (stored.group_id, stored.fingerprint, stored.version_id)
        if (group_id, stack, version_id) == as_it_was:
            return operations, group_id
        if pointer is not None:
            operations += self._changed_group(group_id, stored.date, anew)
        moved = replace(
            stored,
            group_id=group_id,
            version_id=version_id,
            fingerprint=stack,
            **described(anew.report),
        )
        changed = {
            name: value for name, value in moved.item().items() if value != stored.item().get(name)
        }
        operations.append(
            Update(
                keys.report(stored.report_id),
                set=changed,
                require=_as_it_is(stored),
            )
        )
        if stack != stored.fingerprint:
            operations.append(left_stack(self._app_id, stored.fingerprint))
        weights = Weights(self._table, self._app_id, [stored])
        operations += weights.moved(stored, moved)
        operations.append(self._delta(stored, moved, new_groups, weights.of(stored)))
        if (group_id, version_id) != (stored.group_id, stored.version_id):
            operations.append(left(self._app_id, stored.group_id, [stored.version_id]))
        return operations, group_id

    def _changed_group(self, group_id: int, date: str, anew: _Anew) -> list[Operation]:
        """What a report changes of the group it comes into: it may be older than those there;
        and it names the group if it is its first, or if those there have no names."""
        group = self._found(group_id)
        if group is None:
            raise Conflict(f"group {group_id} was just taken away")
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
        place = place_by_first(self._app_id, group_id, changed.created_at)
        return [
            Update(
                keys.group(group_id),
                set={**change, "app_sk": place["app_sk"]},
                require={"created_at": group.created_at, "bucket_id": group.bucket_id},
            ),
            *_renamed(group, changed),
        ]

    def _noted(self, notes: Notes) -> Collection[Key]:
        """What is noted already of what the stack waits for."""
        return (
            self._table.batch_get([*notes.stack_keys, *notes.build_keys]) if notes.lacking else ()
        )

    def _version(self, stored: StoredReport) -> tuple[int, list[Operation]]:
        """The report's version, and what makes it again, if it was deleted as the crash came."""
        by_id = keys.version_by_id(stored.version_id)
        named = keys.version(self._app_id, stored.bundle_version, stored.bundle_short_version)
        found = self._table.batch_get([by_id, named])
        if by_id in found:
            return stored.version_id, []
        if named in found:
            return cast(int, found[named]["version_id"]), []
        version = Version(
            stored.version_id,
            self._app_id,
            stored.bundle_version,
            stored.bundle_short_version,
            stored.received_at,
        )
        places = (version.item(), version.item_by_id())
        return version.version_id, [Put(item, if_absent=True) for item in places]

    def _pointing(self, stack: str, known: Item | None, group_id: int) -> list[Operation]:
        """What leads from the stack to the group, unless a person took it out of that. The stack
        may have been forgotten since it was read, as it had no reports."""
        if known is not None and ("home" in known or known["group_id"] == group_id):
            return []
        way = stack_pointer(stack, self._app_id, group_id)
        if known is None:
            pointing: Operation = Put(way, if_absent=True)
        else:
            pointing = Update(
                keys.stack_in_app(stack, self._app_id),
                set={name: way[name] for name in ("group_id", "group_pk", "group_sk")},
                require={"group_id": known["group_id"], "home": None},
            )
        return [pointing, Check(keys.stack(stack))]

    def _have_all_read(self, group_id: int) -> None:
        """Have every report of a group read again, now, and when none can come that knew it as
        it was. To be sent before what makes it necessary is written."""
        later_s = settled_s(self._services.settings.visibility_s)
        for delay_s in (0, later_s):
            task = ReadAnew(self._app_id, group_id, everything=True)
            self._services.queue.send(encode(task), delay_s=delay_s)

    def _delta(
        self, stored: StoredReport, moved: StoredReport, new_groups: int, weight: int
    ) -> Put:
        """Takes the report from the counts of where it was, and adds it to those of where it is,
        with those that it stands for."""
        place = (moved.group_id, moved.version_id, moved.date, moved.fingerprint)
        there = deltas.row_of(*place, weight)
        return self._delta_of(stored, [self._less(stored, weight), there], new_groups)

    def _less(self, stored: StoredReport, weight: int) -> deltas.Row:
        # earlier forms counted no stacks
        stack = stored.fingerprint if self._is_counted(stored.fingerprint) else ""
        place = (stored.group_id, stored.version_id, stored.date, stack)
        return deltas.less(deltas.row_of(*place, weight))

    def _delta_of(self, stored: StoredReport, rows: list[deltas.Row], new_groups: int = 0) -> Put:
        shard = stored.report_id % keys.DELTA_SHARDS
        batch = sortable(self._services.ids.next())
        return deltas.delta_put(self._app_id, shard, batch, rows, new_groups, moved=True)

    def _is_counted(self, fingerprint: str) -> bool:
        if fingerprint not in self._counted:
            if not self._services.counts.counts_stack(self._app_id, fingerprint):
                return False
            self._counted.add(fingerprint)
        return True

    def _found(self, group_id: int) -> Group | None:
        item = self._table.get(keys.group(group_id))
        return Group.from_item(item) if item is not None else None

    # --- what an erasure left ---

    def _is_left_over(self, stored: StoredReport) -> bool:
        """Whether the report was erased, and an event that was delivered again just then brought
        it back: without its payload, and where nothing else is any more."""
        around = [keys.group(stored.group_id), keys.version_by_id(stored.version_id)]
        is_lost = len(self._table.batch_get(around)) < len(around)
        return is_lost and self._services.blobs.size(keys.raw_blob(stored.report_id)) is None

    def _take_back(self, stored: StoredReport) -> None:
        """Erase the report again, with its counts."""
        doomed = items_of(stored)
        weights = Weights(self._table, self._app_id, [stored])
        if stored.database_id:
            place = keys.database_id(stored.database_id)
            alias = self._table.get(place)
            if alias is not None and alias["report_id"] == stored.report_id:
                doomed.append(place)
        operations: list[Operation] = [
            Delete(keys.report(stored.report_id), require=_as_it_is(stored)),
            *map(Delete, doomed),
            *weights.taken(stored),
            self._delta_of(stored, [self._less(stored, weights.of(stored))]),
            left(self._app_id, stored.group_id, [stored.version_id]),
            left_stack(self._app_id, stored.fingerprint),
        ]
        try:
            self._table.write(operations)
        except ConditionFailed as failure:
            if self._table.get(keys.report(stored.report_id)) is not None:
                raise Conflict(f"report {stored.report_id} was moved just now") from failure

    # --- the group ---

    def _lead(self, group: Group, bucket_id: str, report: Report, group_id: int) -> list[Operation]:
        """The group goes with its first report; `group_id` is the one that it is merged into."""
        titles = titled(report)
        return [
            Update(
                keys.group(group.group_id),
                set={"bucket_id": bucket_id, **_there(titles)},
                remove=tuple(name for name, value in titles.items() if value is None),
                require={"bucket_id": group.bucket_id},
            ),
            *_renamed(group, replace(group, **titles)),
            Delete(keys.group_of_bucket(group.bucket_id, self._app_id)),
            self._leading(group, bucket_id, group_id),
        ]

    def _leading(self, group: Group, bucket_id: str, group_id: int) -> Put:
        home = group.group_id if group_id != group.group_id else None
        return Put(bucket_pointer(bucket_id, self._app_id, group_id, home), if_absent=True)

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


def _lost(stored: StoredReport) -> Group:
    """In the place of a report's group that was deleted as the crash came."""
    return Group(stored.group_id, stored.app_id, stored.app_number, "", "", "", 0)


def _as_it_is(stored: StoredReport) -> dict[str, Value]:
    """The condition that nobody has moved the report since it was read."""
    return {"group_id": stored.group_id, "fingerprint": stored.fingerprint}


def _there(values: dict[str, Any]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if value is not None}
