"""The key design: where each item lives, written once.

One table, three indexes (`storage/schema.py`). Two rules keep it fast at any
size: a partition that one app's crash storm writes to is spread over shards,
and everything that a known crash needs is found by exact keys.

| item | pk | sk | indexed |
|---|---|---|---|
| app | `app#APP` | `app` | |
| app, since when its old reports are taken away | `app#APP` | `expiring` | |
| app, what its owner decided about it | `app#APP` | `policy` | |
| app, how far its rebucketing is | `app#APP` | `rebucketing` | |
| group that reports were taken from | `app#APP` | `left#ID` | |
| stack that lost reports to others | `app#APP` | `oldstack#FINGERPRINT` | |
| app, when groups of it are settled next | `app#APP` | `settling` | |
| app, in the list of apps | `apps` | `APP` | |
| app, by bundle identifier | `bundle#BUNDLE` | `APP` | |
| app, by its number | `appnumber#NUMBER` | `app` | |
| PartyCrasher project, an app by its name | `projects` | name | |
| app, by the id omaha-server's clients call it | `omaha_ids` | id | |
| apps that omaha-server's clients had made, how many | `omaha_ids` | `made` | |
| token, that of a user who signed in too | `token#FIRST8` | hash | |
| user | `users` | email | |
| secret that links are signed with | `secrets` | `links` | |
| version of an app | `versions#APP` | number and name | |
| version, by its id | `version#ID` | `version` | |
| report | `report#ID` | `report` | by app, by group, by user; newest last |
| report, the JSON that was posted | `report#ID` | `posted` | |
| report, what was sent with its minidump | `report#ID` | `sent` | |
| report, what its user wrote about it | `report#ID` | `feedback` | |
| report, how far its export as a file is | `report#ID` | `export` | |
| report, by the id its client gave it | `alias#DATABASE_ID` | `report` | |
| report, by the contact it came with | `contact#APP#SHARD#CONTACT` | date and `ID` | |
| sample of reports that are counted and not kept | `sample#APP#DIGEST` | `sample` | |
| deleted report, or one only counted, until nothing can bring it back | `report#ID` | `report` | |
| group | `group#ID` | `group` | by app its first crash, by group its total, by user its last |
| group, by its class | `classes#APP` | class and `ID` | |
| group in one version | `group#ID` | `version#VERSION` | the same orders of the version |
| group, what people noted about it | `group#ID` | `annotation` | |
| group that a person merged into another | `decisions#APP` | `merge#ID` | |
| stack that a person took out of its group | `decisions#APP` | `split#ID` | |
| groups that crashed again after they were resolved | `regressed#APP` | time and mark | |
| group of a bucket in an app | `bucket#BUCKET` | `group#APP` | |
| stack, with its bucket per threshold | `stack#FINGERPRINT` | `stack` | |
| stack, as one app has grouped it | `stack#FINGERPRINT` | `app#APP` | by group |
| messages that a stack has been seen with | `stack#PLAIN` | `messages` | |
| stack, as first seen with this content and no frames | `content#DIGEST` | `stack` | |
| stack, in the buckets it belongs to | `members#BUCKET` | `FINGERPRINT` | |
| reports of a stack in an app | `stack#FINGERPRINT` | `reports#APP` | |
| term, with the stacks that have it | `term#DIGEST` | `term` | |
| place in a module, with the function's name | `places#APP#SHARD` | `DIGEST` | |
| crashes of an app, version, group by day | its pk | `days#YYYY-MM` | |
| crashes of an app or a version in all | its pk | `totals` | |
| crashes and sessions of an app or a version by hour | its pk | `hours#YYYY-MM-DD` | |
| crashes of an app that were counted lately | `recent#APP#SHARD` | time and mark | |
| app that had crashes or sessions lately | `active` | `APP` | |
| sessions that were taken, by the digest of their batch's id | `sessions#APP#SHARD` | `DIGEST` | |
| what is remembered of a spike, and of new groups | `watch#APP` | what it is of | |
| counts not yet folded into the above | `delta#APP#SHARD` | batch | |
| stack of an app that lacks the symbols of a build | `waiting#APP#DEBUG_ID` | `FINGERPRINT` | |
| build whose symbols stacks of an app lack | `missing#APP` | `DEBUG_ID` | |
| dump that is uploaded in two steps | `uploads#APP#SHARD` | `UPLOAD` | |
| dump that landed in the store | `landed#APP#SHARD` | `CLAIM` | |
| symbol file, by its build (SCOPE: an app, or `shared`) | `symbols#SCOPE#DEBUG_ID` | SHA-256 | |
| symbol file, in the list of its scope | `symbolfiles#SCOPE` | `ID` | |
| symbol files of a scope, how many | `symbolfiles#SCOPE` | `totals` | |
| symbol file, where it is by its id | `symbolfile#ID` | `file` | |
| mapping of obfuscated names, by version or its own id | `mappings#APP` | number and name | |
| place for a symbol file that is being sent | `symbolupload#DIGEST` | `upload` | |
| reports of a minute, as far as workers told of them | `quota#APP#SHARD` | `YYYY-MM-DDTHH:MM` | |
| dead letter | `deadletters#SHARD` | `ID` | |
| alert | `alerts#APP` | `ID` | |
| alert, by its key: the same one opens once | `alertkeys#APP` | key | |
| alert that is not over | `openalerts#APP` | `ID` | |
| message about an alert that may not be sent yet | `outbox` | `ID` | |
| webhook (SCOPE: an app, or `all`) | `webhooks#SCOPE` | `ID` | |
| notification of one alert for one receiver | `deliveries#APP` | `ALERT#RECEIVER` | |
| notification that was given up | `undelivered#APP` | `ALERT#RECEIVER` | |
| job that runs once a period, when it last did | `leases` | name | |
"""

from __future__ import annotations

from chalicelib.ids import sortable
from chalicelib.storage.ports import Key

REPORT_SHARDS = 8  # 5,000 reports/s of one app or group: 625 writes/s on each index key
DELTA_SHARDS = 16  # a delta is written and taken away: 625 writes/s if each report had its own
ORDER_SHARDS = 16  # a group's new place takes two writes: 625 writes/s if each report had its own
DEADLETTER_SHARDS = 8
RECENT_SHARDS = 2  # 5,000 reports/s are some 20 folds a second, each logs a few kB at most
QUOTA_SHARDS = 8
_MAX_CLASS_BYTES = 900  # a sort key has 1,024

SAMPLE = "sample"
LANDING_PREFIX = "dumps/"
SYMBOL_UPLOADS = "symbol-uploads/"
EXPORTS = "exports/"
DOWNLOADS = "downloads/"
RAW = "raw/"
KEPT = "kept/"
SYMBOLS = "symbols/"


def app(app_id: str) -> Key:
    return Key(f"app#{app_id}", "app")


def apps_entry(app_id: str) -> Key:
    return Key("apps", app_id)


def bundle_entry(bundle_id: str, app_id: str) -> Key:
    return Key(f"bundle#{bundle_id}", app_id)


def app_number(number: int) -> Key:
    return Key(f"appnumber#{number}", "app")


def project(name: str) -> Key:
    return Key("projects", name)


def omaha_id(identifier: str) -> Key:
    """The app that omaha-server's clients call so; GUIDs are written in either case.

    An empty one stands for the clients that name no app, and no sort key may be empty.
    """
    return Key("omaha_ids", f"id:{identifier.casefold()}")


def omaha_apps_made() -> Key:
    return Key("omaha_ids", "made")


def token(lookup: str, digest: str) -> Key:
    return Key(f"token#{lookup}", digest)


def user(email: str) -> Key:
    return Key("users", email)


def link_secret() -> Key:
    return Key("secrets", "links")


def version(app_id: str, number: str, name: str) -> Key:
    return Key(f"versions#{app_id}", f"{number}\x1f{name}")


def version_by_id(version_id: int) -> Key:
    return Key(f"version#{version_id}", "version")


def report(report_id: int) -> Key:
    return Key(f"report#{report_id}", "report")


def database_id(identifier: str) -> Key:
    """Where the report of this id is found, whatever project it is in."""
    return Key(f"alias#{identifier}", "report")


def posted(report_id: int) -> Key:
    """The JSON that a PartyCrasher client posted: by itself, as no index is to hold it too."""
    return Key(f"report#{report_id}", "posted")


def sent(report_id: int) -> Key:
    return Key(f"report#{report_id}", "sent")


def sample(app_id: str, digest: str) -> Key:
    """A report that stands for others of its stack, version and minute, with how many."""
    return Key(f"sample#{app_id}#{digest}", SAMPLE)


def feedback(report_id: int) -> Key:
    return Key(f"report#{report_id}", "feedback")


def export(report_id: int) -> Key:
    """How far the writing of a report into a file for its reader is."""
    return Key(f"report#{report_id}", "export")


def contact(app_id: str, text: str, report_id: int, date: str) -> Key:
    """A report by its contact: sharded, as one contact may stand in all of an app's reports."""
    shard = report_id % REPORT_SHARDS
    return Key(reports_of_contact(app_id, text)[shard], f"{date}#{sortable(report_id)}")


def reports_of_contact(app_id: str, text: str) -> tuple[str, ...]:
    """The partitions that together hold an app's reports of a contact."""
    return tuple(f"contact#{app_id}#{shard}#{text}" for shard in range(REPORT_SHARDS))


def stacks_of_group(group_id: int) -> str:
    """The stacks that an app has grouped there, of the by-group index."""
    return f"stacks#{group_id}"


def group(group_id: int) -> Key:
    return Key(f"group#{group_id}", "group")


def group_version(group_id: int, version_id: int) -> Key:
    return Key(f"group#{group_id}", f"version#{version_id}")


def annotation(group_id: int) -> Key:
    return Key(f"group#{group_id}", "annotation")


def regressed(app_id: str, at: str, mark: str) -> Key:
    """A record of groups that were opened again, oldest first."""
    return Key(f"regressed#{app_id}", f"{at}#{mark}")


def merge(app_id: str, group_id: int) -> Key:
    """What a person decided about a group: it is a part of another one."""
    return Key(f"decisions#{app_id}", f"merge#{group_id}")


def split(app_id: str, group_id: int) -> Key:
    """What a person decided about a stack: it has this group for itself."""
    return Key(f"decisions#{app_id}", f"split#{group_id}")


def group_of_bucket(bucket_id: str, app_id: str) -> Key:
    return Key(f"bucket#{bucket_id}", f"group#{app_id}")


def stack(fingerprint: str) -> Key:
    return Key(f"stack#{fingerprint}", "stack")


def stack_in_app(fingerprint: str, app_id: str) -> Key:
    return Key(f"stack#{fingerprint}", f"app#{app_id}")


def expiring(app_id: str) -> Key:
    """That a worker takes old reports of an app away."""
    return Key(f"app#{app_id}", "expiring")


def policy(app_id: str) -> Key:
    """Quota, retention and alerts of an app, as far as they were decided."""
    return Key(f"app#{app_id}", "policy")


def rebucketing(app_id: str) -> Key:
    """How far putting the reports of an app anew has come."""
    return Key(f"app#{app_id}", "rebucketing")


def settling(app_id: str) -> Key:
    """When the groups of an app that lost reports are settled next."""
    return Key(f"app#{app_id}", "settling")


def left_stack(app_id: str, fingerprint: str) -> Key:
    """Noted with the move of a report: the stack that it had is to be forgotten, if it was all."""
    return Key(f"app#{app_id}", f"oldstack#{fingerprint}")


def left_by_regrouping(app_id: str, group_id: int) -> Key:
    """Noted with the move of a report: its group is to be settled at the end."""
    return Key(f"app#{app_id}", f"left#{group_id}")


def stack_messages(plain_fingerprint: str) -> Key:
    """How many messages a stack has been seen with."""
    return Key(f"stack#{plain_fingerprint}", "messages")


def content(digest: str) -> Key:
    return Key(f"content#{digest}", "stack")


def member(bucket_id: str, fingerprint: str) -> Key:
    return Key(f"members#{bucket_id}", fingerprint)


def reports_of_stack(fingerprint: str, app_id: str) -> Key:
    """How many reports of an app have a stack, and from when to when."""
    return Key(f"stack#{fingerprint}", f"reports#{app_id}")


def term(digest: str) -> Key:
    return Key(f"term#{digest}", "term")


def place(app_id: str, digest: str) -> Key:
    """What an app's reports call a place in a module; sharded by the digest's first hex digit."""
    return Key(f"places#{app_id}#{digest[0]}", digest)


def places_of_app(app_id: str) -> tuple[str, ...]:
    return tuple(f"places#{app_id}#{digit}" for digit in "0123456789abcdef")


def app_partition(app_id: str) -> str:
    return f"app#{app_id}"


def version_partition(version_id: int) -> str:
    return f"version#{version_id}"


def group_partition(group_id: int) -> str:
    return f"group#{group_id}"


def days(partition: str, month: str) -> Key:
    """Crashes by day of one month (`2026-11`) of an app, a version or a group."""
    return Key(partition, f"days#{month}")


def totals(partition: str) -> Key:
    return Key(partition, "totals")


def hours(partition: str, day: str) -> Key:
    """Crashes and sessions by hour of one day (`2026-11-21`) of an app or a version."""
    return Key(partition, f"hours#{day}")


def recent(app_id: str, shard: int, at: str, mark: str) -> Key:
    """What one fold counted of new crashes, in the order of folding."""
    return Key(recent_of_app(app_id)[shard % RECENT_SHARDS], f"{at}#{mark}")


def recent_of_app(app_id: str) -> tuple[str, ...]:
    return tuple(f"recent#{app_id}#{shard}" for shard in range(RECENT_SHARDS))


def active(app_id: str) -> Key:
    """Says that an app has, or is about to have, crashes that are new."""
    return Key("active", app_id)


def watch(app_id: str, name: str) -> Key:
    """What the detector of spikes remembers from minute to minute."""
    return Key(f"watch#{app_id}", name)


def session_batch(app_id: str, digest: str) -> Key:
    """Sharded by the first hex digit of the digest."""
    return Key(f"sessions#{app_id}#{digest[0]}", digest)


def session_batches_of_app(app_id: str) -> tuple[str, ...]:
    return tuple(f"sessions#{app_id}#{digit}" for digit in "0123456789abcdef")


def delta(app_id: str, shard: int, batch: str) -> Key:
    return Key(f"delta#{app_id}#{shard}", batch)


def lease(name: str) -> Key:
    """The period in which a job was begun last, by whoever was first."""
    return Key("leases", name)


def waiting(app_id: str, debug_id: str, fingerprint: str) -> Key:
    """A stack of an app whose crashes gain when the build's symbols arrive."""
    return Key(f"waiting#{app_id}#{debug_id}", fingerprint)


def missing(app_id: str, debug_id: str) -> Key:
    """A build that stacks of an app wait for."""
    return Key(f"missing#{app_id}", debug_id)


def quota(app_id: str, shard: int, minute: str) -> Key:
    return Key(f"quota#{app_id}#{shard}", minute)


def deadletter(report_id: int) -> Key:
    return Key(f"deadletters#{report_id % DEADLETTER_SHARDS}", sortable(report_id))


def alert(app_id: str, alert_id: int) -> Key:
    return Key(f"alerts#{app_id}", sortable(alert_id))


def alert_by_key(app_id: str, key: str) -> Key:
    return Key(f"alertkeys#{app_id}", key)


def open_alert(app_id: str, alert_id: int) -> Key:
    return Key(f"openalerts#{app_id}", sortable(alert_id))


def outbox(message_id: int) -> Key:
    """A message that is sent as soon as what it tells of is written: about alerts, so few."""
    return Key("outbox", sortable(message_id))


def webhook(scope: str, webhook_id: int) -> Key:
    """One of an app, or of all (`scope` is `all`)."""
    return Key(f"webhooks#{scope}", sortable(webhook_id))


def delivery(app_id: str, alert_id: int, receiver: str) -> Key:
    return Key(f"deliveries#{app_id}", f"{sortable(alert_id)}#{receiver}")


def undelivered(app_id: str, alert_id: int, receiver: str) -> Key:
    return Key(f"undelivered#{app_id}", f"{sortable(alert_id)}#{receiver}")


def alerts_of_app(app_id: str) -> tuple[str, ...]:
    """The partitions of all that is kept of an app's alerts."""
    kinds = ("alerts", "alertkeys", "openalerts", "deliveries", "undelivered")
    return tuple(f"{kind}#{app_id}" for kind in kinds)


def upload(app_id: str, upload_id: str) -> Key:
    """Sharded by the first hex digit of the id."""
    return Key(f"uploads#{app_id}#{upload_id[:1]}", upload_id)


def landing(app_id: str, claim: str) -> Key:
    """Sharded by the first hex digit of the claim."""
    return Key(f"landed#{app_id}#{claim[0]}", claim)


def landings_of_app(app_id: str) -> tuple[str, ...]:
    """The partitions of an app's uploads and of what landed for it."""
    kinds = ("uploads", "landed")
    return tuple(f"{kind}#{app_id}#{digit}" for kind in kinds for digit in "0123456789abcdef")


def symbol_upload(digest: str) -> Key:
    """By the hash of the key that opens it."""
    return Key(f"symbolupload#{digest}", "upload")


def symbols_of_build(scope: str, debug_id: str, sha256: str) -> Key:
    """A symbol file among those of its build; there are a few, such as a program's and its PDB."""
    return Key(f"symbols#{scope}#{debug_id}", sha256)


def symbol_files(scope: str, file_id: int) -> Key:
    return Key(f"symbolfiles#{scope}", sortable(file_id))


def symbol_totals(scope: str) -> Key:
    return Key(f"symbolfiles#{scope}", "totals")  # behind every id: those are digits


def symbol_file(file_id: int) -> Key:
    return Key(f"symbolfile#{file_id}", "file")


def mapping_of_version(app_id: str, number: str, name: str) -> Key:
    """Which mapping a version's names were obfuscated with; either may be empty: any."""
    return Key(f"mappings#{app_id}", f"version#{number}\x1f{name}")


def mapping_by_id(app_id: str, mapping_id: str) -> Key:
    return Key(f"mappings#{app_id}", f"id#{mapping_id}")


def reports_of_app(app_id: str) -> tuple[str, ...]:
    """The partitions of the by-app index that together hold an app's reports."""
    return tuple(f"reports#{app_id}#{shard}" for shard in range(REPORT_SHARDS))


def reports_of_group(group_id: int) -> tuple[str, ...]:
    """The partitions of the by-group index that together hold a group's reports."""
    return tuple(f"reports#{group_id}#{shard}" for shard in range(REPORT_SHARDS))


def reports_of_user(app_id: str, user: str) -> tuple[str, ...]:
    """The partitions of the by-user index that together hold a user's reports: some apps' SDKs
    name the same user in all."""
    return tuple(f"user#{app_id}#{user}#{shard}" for shard in range(REPORT_SHARDS))


def groups_by_first(owner: str | int) -> tuple[str, ...]:
    """The groups of an app (its id) or a version by their first crash, of the by-app index."""
    return _order("groups", owner)


def groups_by_total(owner: str | int) -> tuple[str, ...]:
    """Those of them that have crashes by how many, of the by-group index."""
    return _order("totals", owner)


def groups_by_last(owner: str | int) -> tuple[str, ...]:
    """The same groups by their last crash, of the by-user index."""
    return _order("latest", owner)


def groups_without_crashes(owner: str | int) -> str:
    """The others, of the by-group index: few, as only lost crashes make a group one."""
    return f"emptied#{owner}"


def _order(name: str, owner: str | int) -> tuple[str, ...]:
    return tuple(f"{name}#{owner}#{shard}" for shard in range(ORDER_SHARDS))


def group_by_class(app_id: str, class_name: str, group_id: int) -> Key:
    """An app's groups by their class, as far as a sort key has room for it."""
    start = class_name.encode("utf-8", "replace")[:_MAX_CLASS_BYTES].decode("utf-8", "ignore")
    return Key(f"classes#{app_id}", f"{start}\x1f{sortable(group_id)}")


def deltas_of_app(app_id: str) -> tuple[str, ...]:
    return tuple(f"delta#{app_id}#{shard}" for shard in range(DELTA_SHARDS))


def deadletters() -> tuple[str, ...]:
    return tuple(f"deadletters#{shard}" for shard in range(DEADLETTER_SHARDS))


def raw_blob(report_id: int) -> str:
    """Where a report's payload lies.

    The last two hex digits come first because ids are ordered by time and S3
    spreads its load by the beginning of a key.
    """
    return f"{RAW}{report_id & 0xFF:02x}/{report_id}"


def download_blob(report_id: int, kind: str) -> str:
    """Where a large part of a payload is put for those who download it: `minidump`, `archive`."""
    return f"{DOWNLOADS}{report_id & 0xFF:02x}/{report_id}/{kind}"


def attachment_blob(report_id: int, number: int) -> str:
    """Where a large attachment is put for those who download it, by its place in the payload."""
    return download_blob(report_id, f"attachment{number}")


def export_blob(app_id: str, report_id: int) -> str:
    """Where the file lies that a report was exported to."""
    return f"{exports_prefix(app_id)}{report_id}.json"


def exports_prefix(app_id: str) -> str:
    return f"{EXPORTS}{app_id}/"


def report_id_of_export(blob_key: str) -> int:
    """The report whose `export_blob` that is."""
    return int(blob_key.rpartition("/")[2].removesuffix(".json"))


def download_blobs(report_id: int) -> tuple[str, ...]:
    return tuple(download_blob(report_id, kind) for kind in ("minidump", "archive"))


def dump_blob(report_id: int) -> str:
    """Where the dump of a report lies that came straight to the store."""
    return f"{KEPT}{report_id & 0xFF:02x}/{report_id}.dmp"


def symbol_upload_blob(digest: str) -> str:
    """Where a symbol file waits until its sender has completed the upload."""
    return f"{SYMBOL_UPLOADS}{digest}"


def symbol_upload_of_blob(blob_key: str) -> Key:
    return symbol_upload(blob_key.removeprefix(SYMBOL_UPLOADS))


def landing_blob(app_id: str, name: str) -> str:
    """Where a dump lands: a place that others than we put blobs in."""
    return f"{landing_prefix(app_id)}{name}"


def landing_prefix(app_id: str) -> str:
    return f"{LANDING_PREFIX}{app_id}/"


def report_id_of_raw_blob(blob_key: str) -> int:
    """The id in a `raw_blob` key; ValueError for any other key."""
    prefix, _, tail = blob_key.partition("/")
    identifier = int(tail.partition("/")[2])
    if prefix != "raw" or raw_blob(identifier) != blob_key:
        raise ValueError(f"{blob_key!r} is not the key of a raw payload")
    return identifier


def symbol_blob(file_id: int, part: str) -> str:
    """Where a symbol file lies (`original`), and the caches made of it (`symbols`, `unwind`)."""
    return f"{SYMBOLS}{file_id & 0xFF:02x}/{file_id}/{part}"
