"""Every setting, with its default and what it is for.

Settings come from the environment (`CRASHBUCKET_...`); `docs/configuration.md`
has a line for each, which a test checks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, Self, get_args

from chalicelib.bucketing.assignment import DEFAULT_THRESHOLD, THRESHOLDS, TOP_SCORE
from chalicelib.errors import CrashbucketError
from chalicelib.payload import MAX_LOG_BLOB_BYTES

StoreKind = Literal["embedded", "aws"]
# A new stack with its place in a bucket of each is one atomic batch (terms.MAX_TERMS).
_MAX_THRESHOLDS = 13
Reading = Literal["open", "token"]


class InvalidSetting(CrashbucketError):
    """An environment variable has a value that the setting cannot take."""


def _doc(text: str) -> dict[str, str]:
    return {"doc": text}


@dataclass(frozen=True, slots=True)
class Settings:
    """One field a setting; its variable is `CRASHBUCKET_` and the field's name in capitals."""

    store: StoreKind = field(
        default="embedded",
        metadata=_doc("`embedded` (files in `data`) or `aws` (DynamoDB, S3, SQS)"),
    )
    data: str = field(default="data", metadata=_doc("folder of the embedded store"))
    base_url: str = field(
        default="",
        metadata=_doc("URL that clients reach the service under; empty: as each request says"),
    )
    table: str = field(default="crashbucket", metadata=_doc("name of the DynamoDB table"))
    bucket: str = field(default="crashbucket", metadata=_doc("name of the S3 bucket"))
    queue_url: str = field(default="", metadata=_doc("URL of the SQS queue that S3 notifies"))
    dead_letter_queue_url: str = field(default="", metadata=_doc("URL of its dead-letter queue"))
    notifications_url: str = field(
        default="", metadata=_doc("URL of the SQS queue of notifications; empty: nobody is told")
    )
    notifications_dead_letter_url: str = field(
        default="", metadata=_doc("URL of its dead-letter queue")
    )
    topic_arn: str = field(
        default="", metadata=_doc("ARN of the SNS topic that people are told of alerts by")
    )
    alert_webhook: str = field(
        default="", metadata=_doc("URL that is told of the alerts of every app, as a webhook")
    )
    allow_private_webhooks: int = field(
        default=0,
        metadata=_doc("1: webhooks may lead to private addresses and to this machine"),
    )
    max_body_bytes: int = field(
        default=20_000_000, metadata=_doc("largest request body, in bytes, before and after gunzip")
    )
    max_dump_bytes: int = field(
        default=100_000_000,
        metadata=_doc("largest minidump that may be uploaded in two steps, in bytes"),
    )
    upload_link_s: int = field(
        default=900, metadata=_doc("seconds in which an upload in two steps has to begin")
    )
    secret_name: str = field(
        default="",
        metadata=_doc(
            "name of the secret (Secrets Manager) that webhooks are signed with; embedded: the "
            "file `secret` in `data`"
        ),
    )
    metrics_apps: str = field(
        default="",
        metadata=_doc(
            "ids of apps, with commas between, that have CloudWatch metrics of their own: each "
            "costs about 0.30 dollars a month"
        ),
    )
    max_deliveries: int = field(
        default=5, metadata=_doc("deliveries of one event before it becomes a dead letter")
    )
    visibility_s: int = field(
        default=60, metadata=_doc("seconds a worker has for a batch before it is delivered again")
    )

    symbol_cache_bytes: int = field(
        default=256_000_000,
        metadata=_doc("symbols that a process keeps open, in bytes of temporary files"),
    )

    sign_in_s: int = field(
        default=2_592_000,
        metadata=_doc("seconds for which the token of a user who signed in is good"),
    )
    export_s: int = field(
        default=86_400,
        metadata=_doc("seconds for which the file of an exported occurrence can be fetched"),
    )

    retention_days: int = field(
        default=0,
        metadata=_doc(
            "days for which reports are kept, where an app's policy says nothing; 0: ever"
        ),
    )
    stored_per_minute: int = field(
        default=6_000,
        metadata=_doc(
            "reports of an app that are stored in a minute, where its policy says nothing; of "
            "those above a sample is, and all are counted; 0: every report is stored"
        ),
    )
    refused_above_per_minute: int = field(
        default=0,
        metadata=_doc(
            "reports of an app in a minute above which more are refused (429), where its policy "
            "says nothing; 0: none is"
        ),
    )

    thresholds: str = field(
        default=",".join(THRESHOLDS),
        metadata=_doc("scores from 0 to 12 at which reports share a bucket, one bucket for each"),
    )
    default_threshold: str = field(
        default=DEFAULT_THRESHOLD,
        metadata=_doc("the threshold that groups go by: one of `thresholds`"),
    )
    partycrasher_read: Reading = field(
        default="open",
        metadata=_doc(
            "who may read PartyCrasher's projects: `open` (anyone) or `token`; "
            "a deployed stack sets `token`"
        ),
    )
    auto_create_apps: int = field(
        default=1,
        metadata=_doc(
            "1: a crash that names an unknown `appid` makes an app; 0: it is refused (omaha-server)"
        ),
    )
    max_auto_created_apps: int = field(
        default=200,
        metadata=_doc(
            "apps that unknown `appid`s may make; crashes of further ones go to the app of "
            "clients that name none"
        ),
    )
    allow_delete_all: int = field(
        default=0,
        metadata=_doc("1: an admin may delete all reports of PartyCrasher's projects at once"),
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        values: dict[str, object] = {}
        source = os.environ if environment is None else environment
        for setting in fields(cls):
            variable = f"CRASHBUCKET_{setting.name.upper()}"
            text = source.get(variable)
            if text is None:
                continue
            values[setting.name] = _parsed(variable, text, type(setting.default))
        settings = cls(**values)  # type: ignore[arg-type]
        if settings.store not in get_args(StoreKind):
            raise InvalidSetting(f"CRASHBUCKET_STORE is {settings.store!r}: use embedded or aws")
        if settings.partycrasher_read not in get_args(Reading):
            told = f"CRASHBUCKET_PARTYCRASHER_READ is {settings.partycrasher_read!r}"
            raise InvalidSetting(f"{told}: use open or token")
        if settings.max_dump_bytes > MAX_LOG_BLOB_BYTES:
            told = f"CRASHBUCKET_MAX_DUMP_BYTES must not be above {MAX_LOG_BLOB_BYTES}"
            raise InvalidSetting(f"{told}: a worker holds a dump in memory")
        if settings.default_threshold not in settings.all_thresholds:
            raise InvalidSetting("CRASHBUCKET_DEFAULT_THRESHOLD must be one of the thresholds")
        return settings

    @property
    def all_thresholds(self) -> tuple[str, ...]:
        """The thresholds, lowest first, each written with its decimal point."""
        try:
            numbers = sorted({float(part) for part in self.thresholds.split(",")})
        except ValueError:
            numbers = [-1.0]
        if not all(0 < number <= TOP_SCORE for number in numbers):
            told = f"use numbers above 0 and up to {TOP_SCORE:g}, with commas between"
            raise InvalidSetting(f"CRASHBUCKET_THRESHOLDS is {self.thresholds!r}: {told}")
        if len(numbers) > _MAX_THRESHOLDS:
            raise InvalidSetting(f"CRASHBUCKET_THRESHOLDS may hold {_MAX_THRESHOLDS} numbers")
        return tuple(map(str, numbers))


def _parsed(variable: str, text: str, kind: type) -> object:
    if kind is not int:
        return text
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise InvalidSetting(f"{variable} is {text!r}: it must be a whole number from 0 on")
    return number
