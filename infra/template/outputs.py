"""What a stack tells of itself: the command line and the deployed tests go by these names."""

from __future__ import annotations

from typing import Any

from infra.template.api import DOMAIN
from infra.template.bucket import BUCKET
from infra.template.cloudformation import Json, either, sub
from infra.template.dashboard import DASHBOARD
from infra.template.functions import FUNCTIONS, STAGE_URL
from infra.template.parameters import HAS_DOMAIN
from infra.template.queues import INTAKE, INTAKE_DEAD, NOTIFICATIONS, NOTIFICATIONS_DEAD
from infra.template.table import TABLE_NAME
from infra.template.topic import SECRET, TOPIC


def outputs() -> Json:
    told: dict[str, tuple[str, Any]] = {
        "ApiUrl": (
            "Where the API is reached",
            either(HAS_DOMAIN, sub("https://${DomainName}"), sub(STAGE_URL)),
        ),
        "TableName": ("The table", TABLE_NAME),
        "BucketName": ("The bucket of all blobs", BUCKET.ref),
        "QueueUrl": ("The queue of crashes to process", INTAKE.ref),
        "DeadLetterQueueUrl": ("Its dead letters", INTAKE_DEAD.ref),
        "NotificationsQueueUrl": ("The queue of people to tell", NOTIFICATIONS.ref),
        "NotificationsDeadLetterQueueUrl": ("Its dead letters", NOTIFICATIONS_DEAD.ref),
        "TopicArn": ("Alerts and alarms for people", TOPIC.ref),
        "SecretName": ("What webhooks are signed with, in Secrets Manager", SECRET.ref),
        "DashboardName": ("The dashboard in CloudWatch", DASHBOARD.ref),
    }
    for function in FUNCTIONS:
        told[function.output] = (function.purpose, {"Ref": function.name})
    described: Json = {
        name: {"Description": description, "Value": value}
        for name, (description, value) in told.items()
    }
    described["DomainTarget"] = {
        "Description": "What the record of the domain points at, if you keep it elsewhere",
        "Condition": HAS_DOMAIN,
        "Value": DOMAIN.attribute("RegionalDomainName"),
    }
    return described
