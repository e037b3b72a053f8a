"""The store on AWS as a whole, and the making of one for tests.

A deployed stack's table, bucket and queues come from its CloudFormation
template; `create_store` makes the same shapes through the APIs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from chalicelib.storage.aws.dynamodb import DynamoTable
from chalicelib.storage.aws.s3 import S3Blobs
from chalicelib.storage.aws.sns import SnsTopic
from chalicelib.storage.aws.sqs import SqsQueue
from chalicelib.storage.ports import EXPIRES_AT
from chalicelib.storage.schema import INDEXES, NOTIFIED_PREFIXES

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

_DEFAULT_REGION = "us-east-1"  # the one whose buckets are made without naming it


@dataclass(frozen=True, slots=True)
class AwsClients:
    """The three boto3 clients of the store."""

    dynamodb: DynamoDBClient
    s3: S3Client
    sqs: SQSClient


@dataclass(frozen=True, slots=True)
class AwsStore:
    """The ports over one stack's resources; without what it does not have."""

    table: DynamoTable
    blobs: S3Blobs
    queue: SqsQueue
    notifications: SqsQueue | None
    topic: SnsTopic | None


def create_clients(region: str | None = None) -> AwsClients:
    """Clients that retry what is safe to retry; S3's signs links with Signature Version 4."""
    retries = Config(retries={"mode": "standard"})
    signing = retries.merge(Config(signature_version="s3v4"))
    return AwsClients(
        boto3.client("dynamodb", region_name=region, config=retries),
        boto3.client("s3", region_name=region, config=signing),
        boto3.client("sqs", region_name=region, config=retries),
    )


def create_sns_client() -> SNSClient:
    return boto3.client("sns", config=Config(retries={"mode": "standard"}))


def open_store(
    *,
    table: str,
    bucket: str,
    queue_url: str,
    dead_letters_url: str | None = None,
    notifications_url: str | None = None,
    notifications_dead_letters_url: str | None = None,
    topic_arn: str | None = None,
    clients: AwsClients | None = None,
    clock: Callable[[], float] = time.time,
) -> AwsStore:
    """The store over resources that are there already."""
    used = clients or create_clients()
    notifications = None
    if notifications_url:
        notifications = SqsQueue(
            used.sqs, notifications_url, dead_letters_url=notifications_dead_letters_url
        )
    return AwsStore(
        DynamoTable(used.dynamodb, table, clock=clock),
        S3Blobs(used.s3, bucket),
        SqsQueue(used.sqs, queue_url, dead_letters_url=dead_letters_url),
        notifications,
        SnsTopic(create_sns_client, topic_arn) if topic_arn else None,
    )


def create_store(
    name: str,
    *,
    clients: AwsClients | None = None,
    notified_prefixes: tuple[str, ...] = NOTIFIED_PREFIXES,
    max_deliveries: int = 5,
    clock: Callable[[], float] = time.time,
) -> AwsStore:
    """Make the table, the bucket, the queues and their dead letters, all called `name`."""
    used = clients or create_clients()
    create_table(used.dynamodb, name)
    queue_url, dead_letters_url = create_queue(used.sqs, name, max_deliveries)
    notifications = create_queue(used.sqs, f"{name}-notifications", max_deliveries)
    create_bucket(used, name, _queue_arn(used.sqs, queue_url), queue_url, notified_prefixes)
    return open_store(
        table=name,
        bucket=name,
        queue_url=queue_url,
        dead_letters_url=dead_letters_url,
        notifications_url=notifications[0],
        notifications_dead_letters_url=notifications[1],
        clients=used,
        clock=clock,
    )


def create_table(client: DynamoDBClient, name: str) -> None:
    """A table on demand, with every index of the schema and time to live, ready for use."""
    attributes = ["pk", "sk"]
    for index in INDEXES:
        attributes += [index.pk_attribute, index.sk_attribute]
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": "S"} for attribute in attributes
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index.name,
                "KeySchema": [
                    {"AttributeName": index.pk_attribute, "KeyType": "HASH"},
                    {"AttributeName": index.sk_attribute, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index in INDEXES
        ],
    )
    client.get_waiter("table_exists").wait(TableName=name)
    client.update_time_to_live(
        TableName=name,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRES_AT},
    )


def create_bucket(
    clients: AwsClients,
    name: str,
    queue_arn: str,
    queue_url: str,
    notified_prefixes: tuple[str, ...],
) -> None:
    """A bucket that sends a message to the queue for each object made under the prefixes."""
    region = clients.s3.meta.region_name
    if region == _DEFAULT_REGION:
        clients.s3.create_bucket(Bucket=name)
    else:
        clients.s3.create_bucket(
            Bucket=name,
            CreateBucketConfiguration={"LocationConstraint": region},  # type: ignore[typeddict-item]
        )
    policy = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{name}"}},
        },
    }
    clients.sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": json.dumps(policy)})
    clients.s3.put_bucket_notification_configuration(
        Bucket=name,
        NotificationConfiguration={
            "QueueConfigurations": [
                {
                    "QueueArn": queue_arn,
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
                }
                for prefix in notified_prefixes
            ]
        },
    )


def create_queue(client: SQSClient, name: str, max_deliveries: int) -> tuple[str, str]:
    """A queue with its dead-letter queue; the URLs of both."""
    dead_letters_url = client.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    redrive = {
        "deadLetterTargetArn": _queue_arn(client, dead_letters_url),
        "maxReceiveCount": max_deliveries,
    }
    created = client.create_queue(QueueName=name, Attributes={"RedrivePolicy": json.dumps(redrive)})
    return created["QueueUrl"], dead_letters_url


def _queue_arn(client: SQSClient, url: str) -> str:
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return answer["Attributes"]["QueueArn"]
