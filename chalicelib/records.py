"""What is stored, as typed values, and how each is written as an item.

`from_item` trusts the item: nothing but this module writes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self, cast

from chalicelib import group_places, keys
from chalicelib.ids import sortable
from chalicelib.storage.ports import Item, Key, Value

OPEN, RESOLVED, IGNORED = 0, 1, 2  # HockeyApp's status of a crash group


class _Record:
    """A frozen dataclass whose fields are the attributes of its item; None is left out."""

    __slots__ = ()

    def attributes(self) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for name in _names(type(self)):
            value = getattr(self, name)
            if value is not None:
                values[name] = value
        return values

    @classmethod
    def from_item(cls, item: Item) -> Self:
        known = {name: item[name] for name in _names(cls) if name in item}
        return cls(**cast(dict[str, Any], known))


_field_names: dict[type, tuple[str, ...]] = {}


def _names(cls: type) -> tuple[str, ...]:
    names = _field_names.get(cls)
    if names is None:
        names = tuple(field.name for field in fields(cls))
        _field_names[cls] = names
    return names


def _placed(key: Key, attributes: dict[str, Value], **index: str) -> dict[str, Value]:
    return {"pk": key.pk, "sk": key.sk, **index, **attributes}


@dataclass(frozen=True, slots=True)
class App(_Record):
    """The unit of ownership. `app_id` is 32 hex digits, `number` its integer id.

    `made_by` names the door that made the app for a report; None: a person did.
    `omaha_id` is what omaha-server's clients call it in `appid`, often a GUID.
    `hourly`: all of its crashes were counted by the hour; it is not so old that some were not.
    What was decided about its quota (policies.py) stands here too, as who takes
    or processes a crash reads its app anyway; so does until when none is taken.
    What was decided about its retention stands in the list of apps.
    """

    app_id: str
    number: int
    name: str
    created_at: str
    bundle_id: str | None = None
    platform: str = "Custom"
    made_by: str | None = None
    omaha_id: str | None = None
    hourly: bool | None = None
    stored_per_minute: int | None = None
    refused_above_per_minute: int | None = None
    refused_until: str | None = None
    retention_days: int | None = None

    def item(self) -> Item:
        return _placed(keys.app(self.app_id), self.attributes())

    def directory_item(self) -> Item:
        """The same app in the one partition that lists all of them."""
        return _placed(keys.apps_entry(self.app_id), self.attributes())

    def number_item(self) -> Item:
        """What leads from the number to the app."""
        return _placed(keys.app_number(self.number), {"app_id": self.app_id})


@dataclass(frozen=True, slots=True)
class Token(_Record):
    """What a token may do; the token itself is nowhere, only its SHA-256."""

    digest: str
    scope: str
    created_at: str
    app_id: str | None = None
    name: str | None = None

    def item(self, lookup: str) -> Item:
        return _placed(keys.token(lookup, self.digest), self.attributes())


@dataclass(frozen=True, slots=True)
class User(_Record):
    """Who may sign in, with the salted hash of the password and the costs it was made with.

    `app_ids` are the apps that the user may see; None: every app.
    """

    email: str
    scope: str
    created_at: str
    salt: bytes
    digest: bytes
    cost: int
    block_size: int
    parallel: int
    app_ids: Sequence[str] | None = None

    @property
    def mark(self) -> bytes:
        """Tells this password of this user from any other, and nothing else about it."""
        return hashlib.sha256(self.salt + self.digest).digest()

    def item(self) -> Item:
        return _placed(keys.user(self.email), self.attributes())


@dataclass(frozen=True, slots=True)
class SignIn(_Record):
    """A token that a user got for the password, good until `expires_at` (seconds since 1970).

    It opens what the user may see, as long as there is this user with this
    password (`mark`). Of the token itself only the SHA-256 is kept.
    """

    digest: str
    email: str
    mark: bytes
    created_at: str
    expires_at: int

    def item(self, lookup: str) -> Item:
        return _placed(keys.token(lookup, self.digest), self.attributes())


@dataclass(frozen=True, slots=True)
class Version(_Record):
    """A version of an app: `number` is the build or version code, `name` the marketing version."""

    version_id: int
    app_id: str
    number: str
    name: str
    created_at: str

    def item(self) -> Item:
        return _placed(keys.version(self.app_id, self.number, self.name), self.attributes())

    def item_by_id(self) -> Item:
        return _placed(keys.version_by_id(self.version_id), self.attributes())


@dataclass(frozen=True, slots=True)
class StoredReport(_Record):
    """What lists, groups and search need of one report; the rest is read from its payload.

    Times are as `clock.to_stored` writes them; `date` is the canonical one. A
    report that may stand for others names its `sample` (see sampling.py).
    """

    report_id: int
    app_id: str
    app_number: int
    version_id: int
    group_id: int
    fingerprint: str
    date: str
    received_at: str
    door: str
    bundle_version: str
    bundle_short_version: str
    platform: str
    database_id: str | None = None
    occurred_at: str | None = None
    exception_type: str | None = None
    reason: str | None = None
    oem: str | None = None
    model: str | None = None
    os_name: str | None = None
    os_version: str | None = None
    jail_break: bool | None = None
    user: str | None = None
    contact: str | None = None
    install_id: str | None = None
    has_description: bool = False
    attachments: int = 0
    unread: int = 0
    signature: str | None = None
    omaha_signature: str | None = None
    sample: str | None = None

    @property
    def place(self) -> str:
        """Where it stands in every list of reports: text in the order of their dates."""
        return f"{self.date}#{sortable(self.report_id)}"

    @classmethod
    def at(cls, item: Item | None) -> StoredReport | None:
        """The report in what stands at a report's key: None where it was deleted."""
        return None if item is None or "deleted_at" in item else cls.from_item(item)

    def contact_item(self) -> Item | None:
        """What finds the report by its contact, where its user does not."""
        if not self.contact or self.contact == self.user:
            return None
        key = keys.contact(self.app_id, self.contact, self.report_id, self.date)
        return _placed(key, {"report_id": self.report_id})

    def item(self) -> Item:
        shard = self.report_id % keys.REPORT_SHARDS
        place = self.place
        index = {
            "app_pk": keys.reports_of_app(self.app_id)[shard],
            "app_sk": place,
            "group_pk": keys.reports_of_group(self.group_id)[shard],
            "group_sk": place,
        }
        if self.user:
            index["user_pk"] = keys.reports_of_user(self.app_id, self.user)[shard]
            index["user_sk"] = place
        return _placed(keys.report(self.report_id), self.attributes(), **index)


@dataclass(frozen=True, slots=True)
class Deleted(_Record):
    """What stands in the place of a deleted report, so that an event which comes late does not
    make it again. While its blobs are not deleted, it has no `expires_at`;
    `log_key` and `claim` are those of a dump that came straight to the store.
    A report that is counted and not kept was never there: its blobs go when
    it has been counted, through the report `counted_by`.
    """

    report_id: int
    app_id: str
    deleted_at: str
    door: str
    attachments: int = 0
    log_key: str | None = None
    claim: str | None = None
    expires_at: int | None = None
    counted_by: int | None = None

    @classmethod
    def at(cls, item: Item | None) -> Deleted | None:
        return cls.from_item(item) if item is not None and "deleted_at" in item else None

    def item(self) -> Item:
        return _placed(keys.report(self.report_id), self.attributes())


@dataclass(frozen=True, slots=True)
class Sample(_Record):
    """A report that stands for others of its stack, version and minute: those that were counted
    and not kept, `weight` of them as far as they are folded. It is where the report is."""

    digest: str
    app_id: str
    report_id: int
    group_id: int
    version_id: int
    fingerprint: str
    date: str
    weight: int = 0

    def key(self) -> Key:
        return keys.sample(self.app_id, self.digest)

    def item(self) -> Item:
        return _placed(self.key(), self.attributes())


@dataclass(frozen=True, slots=True)
class Alias(_Record):
    """The id a client gave to a report; the first report to come with an id has it for good."""

    database_id: str
    report_id: int
    app_id: str

    def key(self) -> Key:
        return keys.database_id(self.database_id)

    def item(self) -> Item:
        return _placed(self.key(), self.attributes())


@dataclass(frozen=True, slots=True)
class PostedJson(_Record):
    """The JSON that a PartyCrasher client posted, deflated, so that a search reads no payload.

    Left out where it is too large: then the payload is read.
    """

    report_id: int
    deflated: bytes

    def item(self) -> Item:
        return _placed(keys.posted(self.report_id), self.attributes())


@dataclass(frozen=True, slots=True)
class Sent(_Record):
    """What a client sent with a minidump, so that a list of crashes reads no payload.

    `annotations` is a JSON object, deflated; None where it is too large: then
    the payload has it. `appid` and `userid` are what an omaha client called its
    app and its user.
    """

    report_id: int
    has_dump: bool
    has_archive: bool
    annotations: bytes | None = None
    appid: str | None = None
    userid: str | None = None

    def item(self) -> Item:
        return _placed(keys.sent(self.report_id), self.attributes())


@dataclass(frozen=True, slots=True)
class Feedback(_Record):
    """What a user wrote about a crash of theirs, once."""

    report_id: int
    summary: str
    description: str
    created_at: str

    def item(self) -> Item:
        return _placed(keys.feedback(self.report_id), self.attributes())


WAITING, DONE, FAILED = "waiting", "done", "failed"  # the states of an export


@dataclass(frozen=True, slots=True)
class Export(_Record):
    """A report's export as a file: asked for (last) at `asked_at`, forgotten at `expires_at`.

    `reason` says why it failed.
    """

    report_id: int
    app_id: str
    state: str
    asked_at: str
    expires_at: int
    reason: str | None = None

    def key(self) -> Key:
        return keys.export(self.report_id)

    def blob(self) -> str:
        return keys.export_blob(self.app_id, self.report_id)

    def item(self) -> Item:
        return _placed(self.key(), self.attributes())


@dataclass(frozen=True, slots=True)
class Group(_Record):
    """An app's reports in one bucket, across versions, named after its first report.

        `total` and `last_at` are the folded part of the counts: `Counts.pending`
        has what came since (see counts.py). A resolved group knows when, and the
    one is open, and knows that (see regressions.py).

        `merged_into` is the group that a person put it into: its reports and its id
        lead there; `unlisted` once it is empty and in no list. `kept` counts what
        people decided that relies on the group: it stays though it has no crash.
        `sampled` of the `total` are counted and not kept.
    """

    group_id: int
    app_id: str
    app_number: int
    bucket_id: str
    created_at: str
    last_at: str
    last_version_id: int
    total: int = 0
    status: int = OPEN
    exception_type: str | None = None
    reason: str | None = None
    class_name: str | None = None
    method: str | None = None
    file: str | None = None
    line: int | None = None
    updated_at: str | None = None
    ticket_url: str | None = None
    signature: str | None = None
    resolved_at: str | None = None
    resolved_in_version_id: int | None = None
    regressed_at: str | None = None
    regressed_in_version_id: int | None = None
    merged_into: int | None = None
    unlisted: bool | None = None
    kept: int | None = None
    sampled: int | None = None

    def item(self) -> Item:
        return _placed(keys.group(self.group_id), {**self.attributes(), **self.orders()})

    def item_before_counted(self) -> Item:
        """The item to commit with the group's first crash; the fold of that places it fully."""
        first = group_places.place_by_first(self.app_id, self.group_id, self.created_at)
        return _placed(keys.group(self.group_id), {**self.attributes(), **first})

    def orders(self) -> dict[str, Value]:
        """Its places in the app's lists of groups."""
        return group_places.places(
            self.app_id, self.group_id, self.created_at, self.total, self.last_at
        )

    def by_class(self) -> Item:
        """Its place in the list by class, which changes with its name only.

        It tells of a group that its symbols have not named yet.
        """
        key = keys.group_by_class(self.app_id, self.class_name or "", self.group_id)
        told: dict[str, Value] = {"group_id": self.group_id}
        return _placed(key, told if self.is_symbolicated else {**told, "nameless": True})

    @property
    def is_symbolicated(self) -> bool:
        """Whether the frame that names it has a function's name."""
        return self.method is not None


# The dates of a group that has had no crash yet, or has none any more: the first one sets both.
NO_FIRST, NO_LAST = "9999-12-31T00:00:00.000000Z", "0001-01-01T00:00:00.000000Z"


def stack_pointer(fingerprint: str, app_id: str, group_id: int) -> Item:
    """Leads from a stack to the group that an app has it in; the group finds it by index."""
    return _placed(
        keys.stack_in_app(fingerprint, app_id),
        {"group_id": group_id},
        group_pk=keys.stacks_of_group(group_id),
        group_sk=fingerprint,
    )


def bucket_pointer(bucket_id: str, app_id: str, group_id: int, home: int | None = None) -> Item:
    """Leads from a bucket to the group of an app that holds its reports.

    `home` is the bucket's own group, where a person merged that into another.
    """
    led: dict[str, Value] = {"group_id": group_id}
    if home is not None:
        led["home"] = home
    return _placed(keys.group_of_bucket(bucket_id, app_id), led)


@dataclass(frozen=True, slots=True)
class Merge(_Record):
    """A person put a group into another, `into`; there until it is undone."""

    app_id: str
    group_id: int
    into: int
    at: str

    def key(self) -> Key:
        return keys.merge(self.app_id, self.group_id)

    def item(self) -> Item:
        return _placed(self.key(), self.attributes())


@dataclass(frozen=True, slots=True)
class Split(_Record):
    """A person took a stack out of the group `source`: it has the group `group_id` for itself.

    `home` is the group of the stack's bucket. Once it is `undone` the group
    is merged into that, and waits there to be taken out again.
    """

    app_id: str
    group_id: int
    stack: str
    source: int
    home: int
    at: str
    undone: bool = False

    def key(self) -> Key:
        return keys.split(self.app_id, self.group_id)

    def item(self) -> Item:
        return _placed(self.key(), self.attributes())


@dataclass(frozen=True, slots=True)
class GroupVersion(_Record):
    """The part of a group that crashed in one version; made and changed by folding only."""

    group_id: int
    version_id: int
    total: int
    first_at: str
    last_at: str
    sampled: int | None = None

    def item(self) -> Item:
        key = keys.group_version(self.group_id, self.version_id)
        return _placed(key, {**self.attributes(), **self.orders()})

    def orders(self) -> dict[str, Value]:
        """Its places in the version's lists of groups."""
        return group_places.places(
            self.version_id, self.group_id, self.first_at, self.total, self.last_at
        )


@dataclass(frozen=True, slots=True)
class Annotation(_Record):
    """What people noted about a group: one text."""

    annotation_id: int
    group_id: int
    text: str
    created_at: str
    updated_at: str

    def item(self) -> Item:
        return _placed(keys.annotation(self.group_id), self.attributes())


@dataclass(frozen=True, slots=True)
class Regressed(_Record):
    """Resolved groups that were found to crash again: for who is to be told, once.

    `groups` are pairs of a group and the version it crashed in; `mark` tells
    records of one moment apart. Forgotten at `expires_at`.
    """

    app_id: str
    at: str
    mark: str
    groups: Sequence[Sequence[int]]
    expires_at: int

    def item(self) -> Item:
        return _placed(keys.regressed(self.app_id, self.at, self.mark), self.attributes())


@dataclass(frozen=True, slots=True)
class DeadLetter(_Record):
    """A payload that could not be made into a report, and why.

    `landed_key` is the blob of a dump that could not even be made into a payload.
    """

    report_id: int
    reason: str
    failed_at: str
    app_id: str | None = None
    door: str | None = None
    landed_key: str | None = None

    def item(self) -> Item:
        return _placed(keys.deadletter(self.report_id), self.attributes())


@dataclass(frozen=True, slots=True)
class Upload(_Record):
    """A dump that a client was given a signed form for, with what it said about it.

    Forgotten some time after nothing can come of it any more (`expires_at`).
    """

    upload_id: str
    app_id: str
    link_until: str
    expires_at: int
    annotations: Mapping[str, str]

    def item(self) -> Item:
        return _placed(keys.upload(self.app_id, self.upload_id), self.attributes())


@dataclass(frozen=True, slots=True)
class Landing(_Record):
    """The crash that a landed dump becomes, claimed before anything is made of it; forgotten with
    it, or some time after it was counted only."""

    claim: str
    app_id: str
    report_id: int
    expires_at: int | None = None

    def item(self) -> Item:
        return _placed(keys.landing(self.app_id, self.claim), self.attributes())


SHARED = "shared"  # the scope of symbol files that are for every app; an app's id is 32 hex digits


@dataclass(frozen=True, slots=True)
class SymbolFile(_Record):
    """A debug file of a build, kept for one app or (scope `shared`) for all.

    `debug_id` is in Breakpad's form, `features` are words (`symbols debug
    unwind mapping`), sizes in bytes; a cache of 0 bytes does not exist. A
    mapping names the version (number and name) that it was uploaded for.
    """

    file_id: int
    scope: str
    debug_id: str
    debug_file: str
    arch: str
    kind: str
    features: str
    filename: str
    size_bytes: int
    sha256: str
    created_at: str
    modified_at: str
    symbols_bytes: int = 0
    unwind_bytes: int = 0
    code_id: str | None = None
    version_number: str | None = None
    version_name: str | None = None

    @property
    def app_id(self) -> str | None:
        return None if self.scope == SHARED else self.scope

    def has(self, feature: str) -> bool:
        return feature in self.features.split()

    def blob(self, part: str = "original") -> str:
        return keys.symbol_blob(self.file_id, part)

    def key(self) -> Key:
        return keys.symbols_of_build(self.scope, self.debug_id, self.sha256)

    def item(self) -> Item:
        return _placed(self.key(), self.attributes())

    def list_item(self) -> Item:
        return _placed(keys.symbol_files(self.scope, self.file_id), self.attributes())

    def item_by_id(self) -> Item:
        key = self.key()
        return _placed(keys.symbol_file(self.file_id), {"build_pk": key.pk, "build_sk": key.sk})


@dataclass(frozen=True, slots=True)
class SymbolUpload(_Record):
    """A place for a symbol file that is being sent, open until `expires_at`."""

    digest: str
    app_id: str
    expires_at: int

    def key(self) -> Key:
        return keys.symbol_upload(self.digest)

    def blob(self) -> str:
        return keys.symbol_upload_blob(self.digest)

    def item(self) -> Item:
        return _placed(self.key(), self.attributes())
