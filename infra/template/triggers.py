"""What calls the functions that no client calls: queues and the clock."""

from __future__ import annotations

from typing import Any

from chalicelib import tasks
from chalicelib.alerts import delivery
from infra.template.cloudformation import Json, Resource
from infra.template.functions import BURY, DETECT, NOTIFY, PROCESS, SWEEP, Function
from infra.template.parameters import PROCESS_CONCURRENCY
from infra.template.queues import INTAKE, INTAKE_DEAD, NOTIFICATIONS, NOTIFICATIONS_DEAD

_FEWEST_AT_ONCE = 2  # what AWS takes


def _fed(function: Function, queue: Resource, *, batch: int, window_s: int, at_once: Any) -> Json:
    """A function that is handed a queue's messages, and says which of them failed.

    `window_s`: a batch that is not full waits for more as long.
    """
    properties: Json = {
        "EventSourceArn": queue.arn,
        "FunctionName": {"Ref": function.name},
        "BatchSize": batch,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": at_once},
    }
    if window_s:
        properties["MaximumBatchingWindowInSeconds"] = window_s
    return properties


def _mapping(name: str, properties: Json) -> Resource:
    return Resource(name, "AWS::Lambda::EventSourceMapping", properties)


MAPPINGS = (
    _mapping(
        "IntakeToProcess",
        _fed(PROCESS, INTAKE, batch=tasks.BATCH, window_s=1, at_once=PROCESS_CONCURRENCY.ref),
    ),
    _mapping(
        "IntakeDeadLettersToBury",
        _fed(BURY, INTAKE_DEAD, batch=10, window_s=0, at_once=_FEWEST_AT_ONCE),
    ),
    _mapping(
        "NotificationsToNotify",
        _fed(NOTIFY, NOTIFICATIONS, batch=delivery.BATCH, window_s=0, at_once=5),
    ),
    _mapping(
        "NotificationsDeadLettersToBury",
        _fed(BURY, NOTIFICATIONS_DEAD, batch=10, window_s=0, at_once=_FEWEST_AT_ONCE),
    ),
)


def _schedule(function: Function, expression: str) -> tuple[Resource, Resource]:
    rule = Resource(
        f"{function.name}Schedule",
        "AWS::Events::Rule",
        {
            "Description": function.purpose,
            "ScheduleExpression": expression,
            "State": "ENABLED",
            "Targets": [
                {
                    "Id": function.name,
                    "Arn": {"Fn::GetAtt": [function.name, "Arn"]},
                    # The next one does what this one did not.
                    "RetryPolicy": {"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60},
                }
            ],
        },
    )
    return rule, Resource(
        f"{function.name}SchedulePermission",
        "AWS::Lambda::Permission",
        {
            "FunctionName": {"Ref": function.name},
            "Action": "lambda:InvokeFunction",
            "Principal": "events.amazonaws.com",
            "SourceArn": rule.arn,
        },
    )


def _no_second_try(function: Function) -> Resource:
    """A run that failed is not tried again: the next one is soon, and does what is left."""
    return Resource(
        f"{function.name}Retries",
        "AWS::Lambda::EventInvokeConfig",
        {
            "FunctionName": {"Ref": function.name},
            "Qualifier": "$LATEST",
            "MaximumRetryAttempts": 0,
            "MaximumEventAgeInSeconds": 60,
        },
    )


SCHEDULES = (
    *_schedule(DETECT, "rate(1 minute)"),
    *_schedule(SWEEP, "rate(1 hour)"),
    _no_second_try(DETECT),
    _no_second_try(SWEEP),
)
TRIGGERS = (*MAPPINGS, *SCHEDULES)
