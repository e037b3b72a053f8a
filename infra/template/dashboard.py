"""The dashboard: is it working, how fast, what does it cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from chalicelib.metrics import Metric
from infra.template.alarms import ALARMS, NAMESPACE
from infra.template.cloudformation import Json, Resource, sub
from infra.template.functions import FUNCTIONS, STAGE
from infra.template.table import TABLE_NAME

_WIDTH, _HEIGHT = 8, 6  # three in a row of CloudWatch's 24
_REGION = "${AWS::Region}"

# Where the body's `${...}` come from; the body is JSON text, which `Fn::Sub` fills.
_LINES = Sequence[Sequence[Any]]


def _own(*metrics: Metric, stat: str = "Sum") -> list[list[Any]]:
    return [
        [NAMESPACE, metric.value, "service", "${AWS::StackName}", {"stat": stat}]
        for metric in metrics
    ]


def _functions(metric: str, stat: str = "Sum") -> list[list[Any]]:
    return [
        [
            *("AWS/Lambda", metric, "FunctionName", f"${{{function.name}}}"),
            {"stat": stat, "label": function.output.removesuffix("Function")},
        ]
        for function in FUNCTIONS
    ]


def _queues(metric: str) -> list[list[Any]]:
    names = ("Intake", "IntakeDeadLetters", "Notifications", "NotificationsDeadLetters")
    return [
        [
            *("AWS/SQS", metric, "QueueName", f"${{{name}.QueueName}}"),
            {"stat": "Maximum", "label": name},
        ]
        for name in names
    ]


def _api(metric: str, stat: str = "Sum") -> list[Any]:
    return [
        "AWS/ApiGateway",
        metric,
        "ApiName",
        "${AWS::StackName}",
        "Stage",
        STAGE,
        {"stat": stat},
    ]


def _table(metric: str) -> list[Any]:
    return ["AWS/DynamoDB", metric, "TableName", "${UsedTable}", {"stat": "Sum"}]


_WIDGETS: tuple[tuple[str, _LINES], ...] = (
    ("Crashes", _own(Metric.RECEIVED, Metric.PROCESSED, Metric.REFUSED, Metric.SAMPLED_OUT)),
    ("Given up", _own(Metric.FAILED, Metric.TASKS_FAILED, Metric.UNDELIVERED)),
    (
        "New and regressed groups, alerts",
        _own(Metric.NEW_GROUPS, Metric.REGRESSED_GROUPS, Metric.ALERTS),
    ),
    (
        "Milliseconds of a batch",
        [*_own(Metric.PROCESSING_MS, stat="p50"), *_own(Metric.PROCESSING_MS, stat="p99")],
    ),
    (
        "Seconds from receipt to processing",
        [*_own(Metric.QUEUE_AGE_S, stat="p50"), *_own(Metric.QUEUE_AGE_S, stat="p99")],
    ),
    ("Messages waiting", _queues("ApproximateNumberOfMessagesVisible")),
    ("Requests", [_api("Count"), _api("4XXError"), _api("5XXError")]),
    ("Milliseconds of a request", [_api("Latency", "p50"), _api("Latency", "p99")]),
    ("Oldest message, seconds", _queues("ApproximateAgeOfOldestMessage")),
    ("Errors of functions", _functions("Errors")),
    ("Concurrent executions", _functions("ConcurrentExecutions", "Maximum")),
    (
        "Throttled",
        [*_functions("Throttles"), _table("WriteThrottleEvents"), _table("ReadThrottleEvents")],
    ),
    ("Cost: milliseconds of functions", _functions("Duration")),
    ("Cost: invocations", _functions("Invocations")),
    (
        "Cost: table units",
        [_table("ConsumedWriteCapacityUnits"), _table("ConsumedReadCapacityUnits")],
    ),
)


def _body() -> str:
    widgets: list[Json] = [
        {
            "type": "alarm",
            **{"x": 0, "y": 0, "width": 24, "height": 4},
            "properties": {
                "title": "Alarms",
                "alarms": [f"${{{alarm.name}.Arn}}" for alarm in ALARMS],
            },
        }
    ]
    for number, (title, lines) in enumerate(_WIDGETS):
        row, column = divmod(number, 24 // _WIDTH)
        widgets.append(
            {
                "type": "metric",
                **{
                    "x": column * _WIDTH,
                    "y": 4 + row * _HEIGHT,
                    "width": _WIDTH,
                    "height": _HEIGHT,
                },
                "properties": {
                    "title": title,
                    "region": _REGION,
                    "period": 300,
                    "view": "timeSeries",
                    "stacked": False,
                    "metrics": lines,
                },
            }
        )
    return json.dumps({"widgets": widgets})


# Named, as CloudWatch has no other way to call a dashboard than by its name.
DASHBOARD = Resource(
    "Dashboard",
    "AWS::CloudWatch::Dashboard",
    {
        "DashboardName": sub("${AWS::StackName}-${AWS::Region}"),
        "DashboardBody": sub(_body(), {"UsedTable": TABLE_NAME}),
    },
)
