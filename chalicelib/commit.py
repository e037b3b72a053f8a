"""The atomic batch that commits reports: report, assignment and counts together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from chalicelib import clock, deltas, keys
from chalicelib.bucketing.assignment import Founder
from chalicelib.bucketing.engine import Bucketing
from chalicelib.crash import Crash
from chalicelib.described import new_group, posted, sent, stored_report
from chalicelib.ids import IdSource, sortable
from chalicelib.keeping import Keeping
from chalicelib.payload import MINIDUMP_DOORS
from chalicelib.records import App, Version, bucket_pointer, stack_pointer
from chalicelib.sampling import row_behind
from chalicelib.storage.ports import (
    MAX_BATCH_ITEMS,
    Check,
    Item,
    Key,
    Operation,
    Put,
    Table,
    get_all,
)
from chalicelib.waiting import MAX_LACKING

# Of a crash: version (2), group (5), report, contact, what was posted or sent, its sample.
_MAX_OPERATIONS = 11


@dataclass
class Batch:
    """The operations that commit some crashes, and what they rely on.

    Crashes of one batch see what earlier ones of it are about to create. `room`
    tells how many more reports an app keeps in a minute; None: any number.
    """

    table: Table
    bucketing: Bucketing
    ids: IdSource
    room: Callable[[App, str], int | None] = lambda *_: None
    operations: list[Operation] = field(default_factory=list)
    apps: tuple[str, ...] = ()
    new_groups: dict[str, list[int]] = field(default_factory=dict)
    """The groups that this batch opens, by app."""
    _report_at: dict[int, int] = field(default_factory=dict)
    _versions: dict[Key, int] = field(default_factory=dict)
    _groups: dict[Key, int] = field(default_factory=dict)
    _noted: set[Key] = field(default_factory=set)
    _checked: set[Key] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.keeping = Keeping(self.table, self.room)

    def plan(self, crashes: Sequence[Crash], shard: int) -> int:
        """Plan as many of the crashes, from the first on, as fit; how many."""
        self._look_up(crashes)
        counted: dict[str, list[deltas.Row]] = {}
        taken = 0
        for crash in crashes:
            needed = len({*counted, crash.app.app_id})  # a delta for each app
            room = MAX_BATCH_ITEMS - len(self.operations) - needed
            if room < _MAX_OPERATIONS + 2 * len(crash.report.lacking[:MAX_LACKING]):
                break
            before = len(self.operations)
            version_id = self._version(crash)
            fingerprint, group_id = self._group(crash, version_id)
            is_known = len(self.operations) == before
            rows = counted.setdefault(crash.app.app_id, [])
            taken += 1
            is_above = self.keeping.is_above(crash)
            if is_above and is_known and not self.keeping.is_described(crash):
                sample = self.keeping.sample(crash, fingerprint)
                if sample is not None:
                    self._report_at[len(self.operations)] = crash.report_id
                    self.operations += self.keeping.count(crash, sample)
                    rows.append(row_behind(sample))
                    continue
            self._note_lacking(crash, fingerprint)
            report = stored_report(crash, version_id, group_id, fingerprint)
            if is_above:
                report, operations = self.keeping.as_sample(crash, report)
                self.operations += operations
            self.keeping.keep(crash)
            self._report_at[len(self.operations)] = crash.report_id
            self.operations.append(Put(report.item(), if_absent=True))
            by_contact = report.contact_item()
            if by_contact is not None:
                self.operations.append(Put(by_contact))
            as_posted = posted(crash)
            if as_posted is not None:
                self.operations.append(Put(as_posted.item()))
            if crash.received.door in MINIDUMP_DOORS:
                self.operations.append(Put(sent(crash).item()))
            rows.append(deltas.row_of(group_id, version_id, crash.date, fingerprint))
        batch_id = sortable(self.ids.next())
        for app_id, rows in counted.items():
            founded = self.new_groups.get(app_id, [])
            self.operations.append(
                deltas.delta_put(
                    app_id, shard, batch_id, deltas.tally(rows), len(founded), founded=founded
                )
            )
        self.apps = tuple(counted)
        return taken

    def reports_among(self, indexes: Sequence[int]) -> list[int]:
        """The reports whose put stands at one of these places."""
        return [self._report_at[index] for index in indexes if index in self._report_at]

    def _look_up(self, crashes: Sequence[Crash]) -> None:
        """Everything that a known crash needs, in one request."""
        wanted: dict[Key, str] = {}
        for crash in crashes:
            wanted[_version_key(crash)] = "version_id"
            if crash.stack.fingerprint and crash.forced_bucket is None:
                place = keys.stack_in_app(crash.stack.fingerprint, crash.app.app_id)
                wanted[place] = "group_id"
                notes = crash.notes(crash.stack.fingerprint)
                wanted.update(dict.fromkeys(notes.stack_keys, ""))
        may_be_counted = self.keeping.wanted(crashes, len(crashes))
        found = get_all(self.table, [*wanted, *may_be_counted])
        self.keeping.looked_up(may_be_counted, found)
        for key, item in found.items():
            if key not in wanted:
                continue
            if not wanted[key]:
                self._noted.add(key)
                continue
            known = self._versions if wanted[key] == "version_id" else self._groups
            known[key] = cast(int, item[wanted[key]])

    def _version(self, crash: Crash) -> int:
        key = _version_key(crash)
        if key not in self._versions:
            version = Version(
                self.ids.next(),
                crash.app.app_id,
                crash.report.app.version or "",
                crash.report.app.short_version or "",
                clock.to_stored(crash.received.received_at),
            )
            self._versions[key] = version.version_id
            self.operations.append(Put(version.item(), if_absent=True))
            self.operations.append(Put(version.item_by_id(), if_absent=True))
        return self._versions[key]

    def _group(self, crash: Crash, version_id: int) -> tuple[str, int]:
        """The stack's fingerprint and the group of the app that it belongs to."""
        app_id = crash.app.app_id
        fingerprint = crash.stack.fingerprint
        if fingerprint and crash.forced_bucket is None:
            known = self._groups.get(keys.stack_in_app(fingerprint, app_id))
            if known is not None:
                return fingerprint, known
        founder = Founder(crash.database_id, app_id)
        assignment = self.bucketing.assign(crash.stack, founder, crash.forced_bucket)
        stack_place = keys.stack_in_app(assignment.fingerprint, app_id)
        if stack_place in self._groups:
            return assignment.fingerprint, self._groups[stack_place]
        pointer = self._pointer(stack_place, crash)
        if pointer is not None and "home" in pointer:  # a person took the stack out of its group
            return assignment.fingerprint, cast(int, pointer["group_id"])
        bucket_id = assignment.buckets[self.bucketing.default_threshold]
        place = keys.group_of_bucket(bucket_id, app_id)
        group_id = self._groups.get(place) or self._stored_group(place)
        if group_id is None:
            group = new_group(self.ids.next(), crash, version_id, bucket_id)
            group_id = group.group_id
            self.new_groups.setdefault(app_id, []).append(group_id)
            self.operations.append(Put(group.item_before_counted(), if_absent=True))
            self.operations.append(Put(group.by_class()))
            self.operations.append(Put(bucket_pointer(bucket_id, app_id, group_id), if_absent=True))
        self._groups[place] = group_id
        if crash.stack.frames and pointer is None:
            self._groups[stack_place] = group_id
            made = stack_pointer(assignment.fingerprint, app_id, group_id)
            self.operations.append(Put(made, if_absent=True))
            # As it had no report of the app, it may have been forgotten since it was read.
            stored = keys.stack(assignment.fingerprint)
            if stored not in self._checked:
                self._checked.add(stored)
                self.operations.append(Check(stored))
        return assignment.fingerprint, group_id

    def _note_lacking(self, crash: Crash, fingerprint: str) -> None:
        """Note the stack under each build whose symbols it lacks, for when they arrive."""
        notes = crash.notes(fingerprint)
        if self._noted.issuperset(notes.stack_keys):
            return
        # Builds are looked up here, and the notes of a stack that was stored by another name.
        self._noted.update(get_all(self.table, [*notes.stack_keys, *notes.build_keys]))
        for put in notes.puts(self._noted):
            self._noted.add(Key(cast(str, put.item["pk"]), cast(str, put.item["sk"])))
            self.operations.append(put)

    def _pointer(self, stack_place: Key, crash: Crash) -> Item | None:
        """What leads from the stack that bucketing put the crash under to the app's group.

        None for the crash's own stack, which was looked up: the crash has
        another one where it was forced into a bucket or its message left out.
        """
        own = crash.stack.fingerprint if crash.forced_bucket is None else None
        was_looked_up = own is not None and stack_place.pk == keys.stack(own).pk
        if was_looked_up or not crash.stack.frames:
            return None
        return self.table.get(stack_place)

    def _stored_group(self, place: Key) -> int | None:
        item = self.table.get(place)
        return cast(int, item["group_id"]) if item else None


def _version_key(crash: Crash) -> Key:
    build = crash.report.app
    return keys.version(crash.app.app_id, build.version or "", build.short_version or "")
