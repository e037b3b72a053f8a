"""The atomic batch that commits reports: report, assignment and counts together."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from chalicelib import clock, deltas, keys
from chalicelib.bucketing.assignment import Founder
from chalicelib.bucketing.engine import Bucketing
from chalicelib.bucketing.stack import Stack
from chalicelib.companions import Companions
from chalicelib.ids import IdSource, sortable
from chalicelib.keeping import Keeping
from chalicelib.model import Frame, Report
from chalicelib.payload import KEPT, MINIDUMP_DOORS, PARTYCRASHER, Payload
from chalicelib.quota import minute_of
from chalicelib.records import (
    Alias,
    App,
    Group,
    PostedJson,
    Sent,
    StoredReport,
    Version,
    bucket_pointer,
    stack_pointer,
)
from chalicelib.sampling import row_behind, sample_digest
from chalicelib.signature import omaha_signature, readable_signature
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
from chalicelib.waiting import MAX_LACKING, Notes, lacking_of

# Of a crash: version (2), group (5), report, contact, what was posted or sent, its sample.
_MAX_OPERATIONS = 11
_MAX_REASON_CHARS = 500  # keeps a report's item near 1 kB: one write unit
_MAX_POSTED_BYTES = 3000  # deflated: three write units
_MAX_INFLATED_POSTED_BYTES = 500_000  # what a search reads of one report
MAX_NAME_CHARS = 255  # HockeyApp's limit for user and contact, ours for every name


@dataclass(frozen=True, slots=True)
class Crash:
    """A payload that could be read, with the report read from it."""

    report_id: int
    received: Payload
    companions: Companions
    report: Report
    app: App
    stack: Stack

    @property
    def database_id(self) -> str:
        """The id its client gave it, else ours."""
        return self.received.fields.get("database_id") or str(self.report_id)

    @property
    def alias(self) -> Alias | None:
        """What keeps the id its client gave it from being taken twice."""
        given = self.received.fields.get("database_id")
        return Alias(given, self.report_id, self.app.app_id) if given else None

    def notes(self, fingerprint: str) -> Notes:
        """What its stack, stored under that fingerprint, waits for."""
        return Notes(self.app.app_id, fingerprint, lacking_of(self.report))

    @property
    def forced_bucket(self) -> str | None:
        return self.received.fields.get("force_bucket")

    @property
    def date(self) -> str:
        """The canonical time, as stored: the report's own where it carries one."""
        return clock.to_stored(self.report.date or self.received.received_at)

    @property
    def minute(self) -> str:
        """When it was received: the minute that its app's quota counts it in."""
        return minute_of(clock.to_stored(self.received.received_at))

    @property
    def is_always_kept(self) -> bool:
        """Its client holds its id and asks for it, or a person brought it in."""
        fields = self.received.fields
        return "database_id" in fields or KEPT in fields

    def sample_key(self, fingerprint: str) -> Key:
        """Where the report is noted that stands for others of the stack."""
        build = self.report.app
        number, name = build.version or "", build.short_version or ""
        digest = sample_digest(fingerprint, number, name, self.date)
        return keys.sample(self.app.app_id, digest)


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
            posted = _posted(crash)
            if posted is not None:
                self.operations.append(Put(posted.item()))
            if crash.received.door in MINIDUMP_DOORS:
                self.operations.append(Put(_sent(crash).item()))
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
            group = _new_group(self.ids.next(), crash, version_id, bucket_id)
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


def stored_report(crash: Crash, version_id: int, group_id: int, fingerprint: str) -> StoredReport:
    report, received = crash.report, crash.received
    return StoredReport(
        report_id=crash.report_id,
        app_id=crash.app.app_id,
        app_number=crash.app.number,
        version_id=version_id,
        group_id=group_id,
        fingerprint=fingerprint,
        date=crash.date,
        received_at=clock.to_stored(received.received_at),
        database_id=received.fields.get("database_id"),
        door=received.door,
        bundle_version=report.app.version or "",
        bundle_short_version=report.app.short_version or "",
        platform=report.platform,
        occurred_at=clock.to_stored(report.occurred_at) if report.occurred_at else None,
        exception_type=_type_of(report),
        reason=_cut(_reason_of(report), _MAX_REASON_CHARS),
        oem=_cut(report.device.oem),
        model=_cut(report.device.model),
        os_name=_cut(report.os.name),
        os_version=_cut(report.os.version),
        jail_break=report.device.jail_break,
        user=_cut(report.user),
        contact=_cut(report.contact),
        install_id=_cut(report.install_id),
        has_description=bool(received.description),
        attachments=len(received.attachments),
        unread=len(report.unread),
        **described(report),
    )


def _posted(crash: Crash) -> PostedJson | None:
    """The JSON of a PartyCrasher client as a search reads it, where it is small."""
    received = crash.received
    if received.door != PARTYCRASHER or len(received.log) > _MAX_INFLATED_POSTED_BYTES:
        return None
    deflated = zlib.compress(received.log, 6)
    return PostedJson(crash.report_id, deflated) if len(deflated) <= _MAX_POSTED_BYTES else None


def _sent(crash: Crash) -> Sent:
    """What came with a minidump, as lists of crashes show it."""
    came = crash.companions
    told = json.dumps(dict(came.annotations), ensure_ascii=False, separators=(",", ":"))
    deflated = zlib.compress(told.encode("utf-8", "replace"), 6)
    return Sent(
        crash.report_id,
        has_dump=came.has_dump,
        has_archive=came.has_archive,
        annotations=deflated if len(deflated) <= _MAX_POSTED_BYTES else None,
        appid=came.appid,
        userid=came.userid,
    )


def _new_group(group_id: int, crash: Crash, version_id: int, bucket_id: str) -> Group:
    moment = crash.date
    return Group(
        group_id=group_id,
        app_id=crash.app.app_id,
        app_number=crash.app.number,
        bucket_id=bucket_id,
        created_at=moment,
        last_at=moment,
        last_version_id=version_id,
        **titled(crash.report),
    )


def titled(report: Report) -> dict[str, Any]:
    """What a group is named by, as fields of a `Group`: what its symbols may change."""
    top = _top(report)
    return {
        "exception_type": _type_of(report),
        "reason": _cut(_reason_of(report), _MAX_REASON_CHARS),
        "class_name": _cut(top.class_name, _MAX_REASON_CHARS),
        "method": _cut(top.method or top.function, _MAX_REASON_CHARS),
        "file": _cut(top.file),
        "line": top.line,
        "signature": _cut(readable_signature(report)),
    }


def described(report: Report) -> dict[str, Any]:
    """What a stored report says of its stack, as fields of a `StoredReport`."""
    return {
        "signature": _cut(readable_signature(report)),
        "omaha_signature": _cut(omaha_signature(report)),
    }


def _top(report: Report) -> Frame:
    """The frame that names the group: the first, of a memory dump the first of the app's own."""
    frames = report.stack
    if any(frame.trust for frame in frames):
        frames = tuple(frame for frame in frames if frame.in_app) or frames
    return next(iter(frames), Frame())


def _type_of(report: Report) -> str | None:
    innermost = report.innermost
    return _cut(innermost.type if innermost and innermost.type else report.exception_type)


def _reason_of(report: Report) -> str | None:
    """The line that states the innermost exception, as its platform writes it."""
    innermost = report.innermost
    kind = innermost.type if innermost else report.exception_type
    reason = innermost.reason if innermost else report.reason
    if not (kind and reason) or reason.startswith(kind):  # a memory dump's says its type again
        return reason or kind
    if innermost and report.platform in {"ios", "macos"}:
        return f"*** Terminating app due to uncaught exception '{kind}', reason: '{reason}'"
    return f"{kind}: {reason}"


def _cut(text: str | None, limit: int = MAX_NAME_CHARS) -> str | None:
    return text[:limit] if text else None
