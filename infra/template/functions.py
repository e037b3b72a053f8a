"""The functions: what each is for, what it may cost, what it may do.

All are one zip; Chalice's template has them by the name they are registered
under, and `settings_of` is what each gets on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chalicelib import keys
from infra.template import permissions
from infra.template.bucket import BUCKET
from infra.template.cloudformation import (
    NO_VALUE,
    STACK_NAME,
    Json,
    Resource,
    either,
    sub,
)
from infra.template.parameters import (
    ALERT_WEBHOOK,
    API_CONCURRENCY,
    API_MEMORY,
    AUTO_CREATE_APPS,
    HAS_API_CONCURRENCY,
    HAS_DOMAIN,
    HAS_PROCESS_CONCURRENCY,
    HAS_TRACING,
    LOG_RETENTION_DAYS,
    METRICS_APPS,
    PARTYCRASHER_READ,
    PRIVATE_WEBHOOKS,
    PROCESS_MEMORY,
    PROCESS_RESERVED,
    REFUSED_ABOVE,
    RETENTION_DAYS,
    STORED_PER_MINUTE,
)
from infra.template.queues import (
    INTAKE,
    INTAKE_DEAD,
    MAX_DELIVERIES,
    NOTIFICATIONS,
    NOTIFICATIONS_DEAD,
    PROCESS_TIMEOUT_S,
    VISIBILITY_S,
)
from infra.template.table import TABLE_NAME
from infra.template.topic import SECRET, TOPIC

STAGE = "v1"  # of the API, as .chalice/config.json has it
STAGE_URL = f"https://${{RestAPI}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}/{STAGE}"

_REPORT_BLOBS = (keys.RAW, keys.KEPT, keys.DOWNLOADS, keys.EXPORTS)


@dataclass(frozen=True, slots=True)
class Function:
    """One function; `name` is its logical name, in Chalice's template and in ours."""

    name: str
    purpose: str
    memory_mb: Any
    timeout_s: int
    statements: tuple[Json, ...]
    reserved: Any = None

    @property
    def output(self) -> str:
        """The output of the stack that says what the function is called."""
        return f"{'Api' if self is API else self.name}Function"

    @property
    def logs(self) -> Resource:
        label = "api" if self is API else self.name.lower()
        return Resource(
            f"{self.name}Logs",
            "AWS::Logs::LogGroup",
            {
                "LogGroupName": sub("/aws/lambda/${AWS::StackName}/" + label),
                "RetentionInDays": LOG_RETENTION_DAYS.ref,
            },
        )

    @property
    def role(self) -> Resource:
        return Resource(
            f"{self.name}Role",
            "AWS::IAM::Role",
            {
                "Description": sub("${AWS::StackName}: " + self.purpose),
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "lambda.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                },
                "Policies": [
                    {
                        "PolicyName": "needs",
                        "PolicyDocument": {
                            "Version": "2012-10-17",
                            "Statement": [*self.statements, *permissions.run(self.logs)],
                        },
                    }
                ],
            },
        )

    def properties(self) -> Json:
        """What the function has beside code, handler and runtime, which Chalice gives."""
        properties: Json = {
            "Description": self.purpose,
            "MemorySize": self.memory_mb,
            "Timeout": self.timeout_s,
            "Role": self.role.arn,
            "Tracing": either(HAS_TRACING, "Active", "PassThrough"),
            "LoggingConfig": {
                "LogGroup": self.logs.ref,
                "LogFormat": "JSON",
                # Not a start and a report of each call: 700 bytes of what metrics say too.
                "SystemLogLevel": "WARN",
            },
            "Environment": {"Variables": environment(is_api=self is API)},
        }
        if self.reserved is not None:
            properties["ReservedConcurrentExecutions"] = self.reserved
        return properties


def environment(*, is_api: bool) -> Json:
    """The settings (config.py) of a function, and what powertools calls the service.

    The API's own address cannot be told to its function, which it is made of:
    without a domain each request says where it came to.
    """
    return {
        "CRASHBUCKET_STORE": "aws",
        "CRASHBUCKET_TABLE": TABLE_NAME,
        "CRASHBUCKET_BUCKET": BUCKET.ref,
        "CRASHBUCKET_QUEUE_URL": INTAKE.ref,
        "CRASHBUCKET_DEAD_LETTER_QUEUE_URL": INTAKE_DEAD.ref,
        "CRASHBUCKET_NOTIFICATIONS_URL": NOTIFICATIONS.ref,
        "CRASHBUCKET_NOTIFICATIONS_DEAD_LETTER_URL": NOTIFICATIONS_DEAD.ref,
        "CRASHBUCKET_TOPIC_ARN": TOPIC.ref,
        "CRASHBUCKET_SECRET_NAME": SECRET.ref,
        "CRASHBUCKET_VISIBILITY_S": str(VISIBILITY_S),
        "CRASHBUCKET_MAX_DELIVERIES": str(MAX_DELIVERIES),
        "CRASHBUCKET_RETENTION_DAYS": RETENTION_DAYS.ref,
        "CRASHBUCKET_STORED_PER_MINUTE": STORED_PER_MINUTE.ref,
        "CRASHBUCKET_REFUSED_ABOVE_PER_MINUTE": REFUSED_ABOVE.ref,
        "CRASHBUCKET_ALERT_WEBHOOK": ALERT_WEBHOOK.ref,
        "CRASHBUCKET_ALLOW_PRIVATE_WEBHOOKS": PRIVATE_WEBHOOKS.ref,
        "CRASHBUCKET_AUTO_CREATE_APPS": AUTO_CREATE_APPS.ref,
        "CRASHBUCKET_METRICS_APPS": METRICS_APPS.ref,
        "CRASHBUCKET_PARTYCRASHER_READ": PARTYCRASHER_READ.ref,
        "CRASHBUCKET_BASE_URL": either(
            HAS_DOMAIN, sub("https://${DomainName}"), "" if is_api else sub(STAGE_URL)
        ),
        "POWERTOOLS_SERVICE_NAME": STACK_NAME,
        "POWERTOOLS_METRICS_NAMESPACE": "Crashbucket",
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }


API = Function(
    "APIHandler",
    "Answers the API",
    memory_mb=API_MEMORY.ref,
    timeout_s=29,  # API Gateway waits no longer
    reserved=either(HAS_API_CONCURRENCY, API_CONCURRENCY.ref, NO_VALUE),
    statements=(
        *permissions.use_table(),
        *permissions.use_blobs(
            # Links and forms that it signs carry its own rights.
            read=(*_REPORT_BLOBS, keys.LANDING_PREFIX, keys.SYMBOLS, keys.SYMBOL_UPLOADS),
            write=(
                *(keys.RAW, keys.DOWNLOADS, keys.LANDING_PREFIX),
                *(keys.SYMBOLS, keys.SYMBOL_UPLOADS),
            ),
            delete=(*_REPORT_BLOBS, keys.LANDING_PREFIX, keys.SYMBOLS, keys.SYMBOL_UPLOADS),
        ),
        *permissions.send_to(INTAKE, NOTIFICATIONS),
        *permissions.look_at(INTAKE),
        *permissions.sign_webhooks(),
    ),
)
PROCESS = Function(
    "Process",
    "Processes reports and does the tasks of the intake queue",
    memory_mb=PROCESS_MEMORY.ref,
    timeout_s=PROCESS_TIMEOUT_S,
    reserved=either(HAS_PROCESS_CONCURRENCY, PROCESS_RESERVED.ref, NO_VALUE),
    statements=(
        *permissions.use_table(),
        *permissions.use_blobs(
            read=(keys.RAW, keys.KEPT, keys.LANDING_PREFIX, keys.SYMBOLS),
            write=(keys.RAW, keys.KEPT, keys.EXPORTS),
            delete=(*_REPORT_BLOBS, keys.LANDING_PREFIX),
        ),
        *permissions.send_to(INTAKE),
        *permissions.be_fed_by(INTAKE),
    ),
)
BURY = Function(
    "Bury",
    "Makes dead letters, which can be listed and replayed, of what the queues gave up",
    memory_mb=512,
    timeout_s=PROCESS_TIMEOUT_S,
    statements=(
        *permissions.use_table(),
        *permissions.use_blobs(read=(keys.RAW, keys.LANDING_PREFIX)),
        *permissions.send_to(INTAKE, NOTIFICATIONS),
        *permissions.be_fed_by(INTAKE_DEAD, NOTIFICATIONS_DEAD),
    ),
)
NOTIFY = Function(
    "Notify",
    "Delivers notifications: webhooks, and the topic for people",
    memory_mb=512,
    timeout_s=PROCESS_TIMEOUT_S,
    statements=(
        *permissions.use_table(),
        *permissions.send_to(NOTIFICATIONS),
        *permissions.be_fed_by(NOTIFICATIONS),
        *permissions.tell_people(),
        *permissions.sign_webhooks(),
    ),
)
DETECT = Function(
    "Detect",
    "Every minute: folds counts, looks for spikes, measures the queues",
    memory_mb=1024,
    timeout_s=55,  # the next one starts a minute after it
    statements=(
        *permissions.use_table(),
        *permissions.send_to(INTAKE, NOTIFICATIONS),
        *permissions.look_at(INTAKE),
    ),
)
SWEEP = Function(
    "Sweep",
    "Every hour: takes away what is past its time",
    memory_mb=512,
    timeout_s=900,
    statements=(
        *permissions.use_table(),
        *permissions.use_blobs(
            read=(keys.RAW, keys.EXPORTS),
            # Of dead letters that are too old; the reports are taken away by tasks.
            delete=(keys.RAW, keys.KEPT, keys.DOWNLOADS, keys.LANDING_PREFIX, keys.EXPORTS),
        ),
        *permissions.send_to(INTAKE),
    ),
)

FUNCTIONS = (API, PROCESS, BURY, NOTIFY, DETECT, SWEEP)
