"""The queues: of crashes to process and of people to tell, each with its dead letters."""

from __future__ import annotations

from infra.template.cloudformation import ACCOUNT, Json, Resource

PROCESS_TIMEOUT_S = 60
VISIBILITY_S = 6 * PROCESS_TIMEOUT_S  # what AWS asks for, for a queue that a function reads
MAX_DELIVERIES = 5
_KEPT_S = 14 * 24 * 3600  # SQS's limit: a fault that lasts over a long weekend loses nothing


def _queue(name: str, dead_letters: Resource | None = None) -> Resource:
    properties: Json = {
        "VisibilityTimeout": VISIBILITY_S,
        "MessageRetentionPeriod": _KEPT_S,
        "SqsManagedSseEnabled": True,
    }
    if dead_letters is not None:
        properties["RedrivePolicy"] = {
            "deadLetterTargetArn": dead_letters.arn,
            "maxReceiveCount": MAX_DELIVERIES,
        }
    return Resource(name, "AWS::SQS::Queue", properties)


INTAKE_DEAD = _queue("IntakeDeadLetters")
INTAKE = _queue("Intake", INTAKE_DEAD)
NOTIFICATIONS_DEAD = _queue("NotificationsDeadLetters")
NOTIFICATIONS = _queue("Notifications", NOTIFICATIONS_DEAD)

_ONLY_ENCRYPTED: Json = {
    "Sid": "OnlyEncryptedConnections",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sqs:*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def _policy(queue: Resource, *statements: Json) -> Resource:
    return Resource(
        f"{queue.name}Policy",
        "AWS::SQS::QueuePolicy",
        {
            "Queues": [queue.ref],
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {**statement, "Resource": queue.arn}
                    for statement in (_ONLY_ENCRYPTED, *statements)
                ],
            },
        },
    )


INTAKE_POLICY = _policy(
    INTAKE,
    {
        "Sid": "BucketsOfThisAccount",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        # By account: the bucket is made after this policy and CloudFormation names it, so the
        # policy cannot name it; the function reads no other bucket, whatever a message says.
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    },
)

QUEUES = (
    INTAKE_DEAD,
    INTAKE,
    INTAKE_POLICY,
    _policy(INTAKE_DEAD),
    NOTIFICATIONS_DEAD,
    NOTIFICATIONS,
    _policy(NOTIFICATIONS),
    _policy(NOTIFICATIONS_DEAD),
)
