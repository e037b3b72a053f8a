"""Alarms on the service itself, all to the topic; `alarms` also serves the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.metrics import Metric
from infra.template.cloudformation import STACK_NAME, Json, Resource, sub
from infra.template.functions import API, FUNCTIONS, Function
from infra.template.queues import INTAKE, INTAKE_DEAD, NOTIFICATIONS, NOTIFICATIONS_DEAD
from infra.template.table import TABLE_NAME
from infra.template.topic import TOPIC

NAMESPACE = "Crashbucket"  # of the metrics that the functions write
_OLDEST_S = 900  # a crash is processed within seconds; after this something is stuck
_FEW_ERRORS = 5


def dimensions(values: Mapping[str, Any]) -> list[Json]:
    return [{"Name": name, "Value": value} for name, value in values.items()]


def own(metric: Metric) -> Json:
    """A metric of ours, of the whole stack."""
    return {
        "Namespace": NAMESPACE,
        "MetricName": metric.value,
        "Dimensions": dimensions({"service": STACK_NAME}),
    }


def _of(namespace: str, metric: str, values: Mapping[str, Any]) -> Json:
    return {"Namespace": namespace, "MetricName": metric, "Dimensions": dimensions(values)}


def _of_queue(metric: str, queue: Resource) -> Json:
    return _of("AWS/SQS", metric, {"QueueName": queue.attribute("QueueName")})


def _of_function(metric: str, function: Function) -> Json:
    return _of("AWS/Lambda", metric, {"FunctionName": {"Ref": function.name}})


def _of_api(metric: str) -> Json:
    return _of("AWS/ApiGateway", metric, {"ApiName": STACK_NAME, "Stage": "v1"})


def _of_table(metric: str) -> Json:
    return _of("AWS/DynamoDB", metric, {"TableName": TABLE_NAME})


def _of_operation(metric: str, operation: str) -> Json:
    return _of("AWS/DynamoDB", metric, {"TableName": TABLE_NAME, "Operation": operation})


def _alarm(
    name: str,
    says: str,
    watched: Json,
    *,
    above: float,
    statistic: str = "Sum",
    period_s: int = 300,
    periods: int = 1,
) -> Resource:
    by = "ExtendedStatistic" if statistic.startswith("p") else "Statistic"
    return Resource(
        name,
        "AWS::CloudWatch::Alarm",
        {
            "AlarmDescription": sub(f"Crashbucket ${{AWS::StackName}}: {says}"),
            **watched,
            by: statistic,
            "Period": period_s,
            "EvaluationPeriods": periods,
            "DatapointsToAlarm": periods,
            "Threshold": above,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [TOPIC.ref],
            "OKActions": [TOPIC.ref],
        },
    )


def _of_each_function() -> list[Resource]:
    return [
        alarm
        for function in FUNCTIONS
        for alarm in (
            _alarm(
                f"{function.name}Errors",
                f"{function.output} ended with errors; its log says which",
                _of_function("Errors", function),
                above=_FEW_ERRORS if function is API else 0,
                # One run that failed is made good by the next.
                periods=1 if function is API else 2,
            ),
            _alarm(
                f"{function.name}Throttles",
                f"{function.output} was not started for lack of concurrency",
                _of_function("Throttles", function),
                above=0 if function is API else 50,  # a queue's messages come again
            ),
        )
    ]


ALARMS = (
    _alarm(
        "DeadLetters",
        "reports became dead letters: `crashbucket deadletters list` says why",
        own(Metric.FAILED),
        above=0,
    ),
    _alarm(
        "IntakeDeadLettersWaiting",
        "dead letters are not taken out of their queue",
        _of_queue("ApproximateNumberOfMessagesVisible", INTAKE_DEAD),
        above=0,
        statistic="Maximum",
        periods=2,
    ),
    _alarm(
        "QueueAge",
        "a crash has waited for long: is the processing failing, or too slow?",
        _of_queue("ApproximateAgeOfOldestMessage", INTAKE),
        above=_OLDEST_S,
        statistic="Maximum",
    ),
    _alarm(
        "NotificationsAge",
        "a notification has waited for long",
        _of_queue("ApproximateAgeOfOldestMessage", NOTIFICATIONS),
        above=3600,
        statistic="Maximum",
    ),
    _alarm(
        "NotificationsDeadLettersWaiting",
        "notifications that were given up are not taken out of their queue",
        _of_queue("ApproximateNumberOfMessagesVisible", NOTIFICATIONS_DEAD),
        above=0,
        statistic="Maximum",
        periods=2,
    ),
    _alarm(
        "UndeliveredNotifications",
        "a webhook or the topic did not take a notification, often enough to give up",
        own(Metric.UNDELIVERED),
        above=0,
    ),
    _alarm(
        "FailedTasks",
        "work beside the processing of crashes failed; it is tried again",
        own(Metric.TASKS_FAILED),
        above=_FEW_ERRORS,
        periods=3,
    ),
    _alarm("Api5xx", "the API answered with errors of its own", _of_api("5XXError"), above=5),
    _alarm(
        "ApiSlow",
        "one in twenty answers of the API takes above three seconds",
        _of_api("Latency"),
        above=3000,
        statistic="p95",
        periods=3,
    ),
    _alarm(
        "TableWriteThrottles",
        "DynamoDB took some writes only later: a hot key, or a limit of the account",
        _of_table("WriteThrottleEvents"),
        above=100,
    ),
    _alarm(
        "TableReadThrottles",
        "DynamoDB took some reads only later: a hot key, or a limit of the account",
        _of_table("ReadThrottleEvents"),
        above=100,
    ),
    # By operation, as DynamoDB counts them: what every commit and every list begins with.
    _alarm(
        "TableWriteErrors",
        "DynamoDB fails to write: see AWS's health dashboard",
        _of_operation("SystemErrors", "TransactWriteItems"),
        above=_FEW_ERRORS,
    ),
    _alarm(
        "TableReadErrors",
        "DynamoDB fails to read: see AWS's health dashboard",
        _of_operation("SystemErrors", "Query"),
        above=_FEW_ERRORS,
    ),
    _alarm(
        "CrashAlerts",
        "an app crashes more than it used to, or in a new way: its alerts say more",
        own(Metric.ALERTS),
        above=0,
    ),
    *_of_each_function(),
)
