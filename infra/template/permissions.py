"""What each function may do: statements of IAM policies over the stack's own resources."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from infra.template.bucket import BUCKET
from infra.template.cloudformation import Json, Resource, sub
from infra.template.table import TABLE_ARN, index_arns
from infra.template.topic import SECRET, TOPIC

# `ConditionCheckItem` is a part of a transaction that only looks; the other parts of one go by
# the names of the same requests outside. No Scan, and nothing that changes the table itself.
_TABLE_ACTIONS = (
    *("GetItem", "BatchGetItem", "Query"),
    *("PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"),
)


def allow(actions: Iterable[str], resource: Any, **more: Any) -> Json:
    return {"Effect": "Allow", "Action": sorted(actions), "Resource": resource, **more}


def use_table() -> list[Json]:
    """Items of the table by key, and queries of its indexes (which take no other request)."""
    return [
        allow((f"dynamodb:{action}" for action in _TABLE_ACTIONS), TABLE_ARN),
        allow(["dynamodb:Query"], index_arns()),
    ]


def use_blobs(
    *, read: Iterable[str] = (), write: Iterable[str] = (), delete: Iterable[str] = ()
) -> list[Json]:
    """Objects below the prefixes.

    S3 says that an object is not there only to who may list the bucket, and
    403 to others. A condition on the prefix of a listing would not let that
    be said: such a request has none.
    """
    below = {
        "s3:GetObject": read,
        "s3:PutObject": write,
        "s3:DeleteObject": delete,
    }
    return [
        *(
            allow([action], [sub("${Bucket.Arn}/" + prefix + "*") for prefix in sorted(prefixes)])
            for action, prefixes in below.items()
            if prefixes
        ),
        allow(["s3:ListBucket"], BUCKET.arn),
    ]


def send_to(*queues: Resource) -> list[Json]:
    return [allow(["sqs:SendMessage"], [queue.arn for queue in queues])]


def look_at(*queues: Resource) -> list[Json]:
    """How many messages there are."""
    return [allow(["sqs:GetQueueAttributes"], [queue.arn for queue in queues])]


def be_fed_by(*queues: Resource) -> list[Json]:
    """What Lambda asks for of a function that it hands a queue's messages to."""
    actions = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
    return [allow(actions, [queue.arn for queue in queues])]


def tell_people() -> list[Json]:
    return [allow(["sns:Publish"], TOPIC.ref)]


def sign_webhooks() -> list[Json]:
    # `Id` is the ARN, as `Ref` is on AWS; an emulator's `Ref` is the name.
    return [allow(["secretsmanager:GetSecretValue"], SECRET.attribute("Id"))]


def run(log_group: Resource) -> list[Json]:
    """Logs and traces. X-Ray has no resources to name: AWS takes only `*` for these actions."""
    return [
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], log_group.arn),
        allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "*"),
    ]
