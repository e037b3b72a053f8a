"""The functions of a deployed stack that no HTTP request calls: queues and schedules.

Lambda imports this module alone, not the app with all its doors. The name of a
queue in a decorator is the logical id of a queue in the template, which puts
that one's ARN in its place and has the functions answer for single messages
(`ReportBatchItemFailures`): `bury` reads both dead-letter queues.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from chalice.app import Blueprint, CloudWatchEvent, Rate, SQSEvent

from chalicelib import schedule
from chalicelib.alerts.messages import is_notification
from chalicelib.bootstrap import services
from chalicelib.deliveries import BATCH, Deliveries
from chalicelib.storage.ports import Message

routes = Blueprint(__name__)

_WINDOW_S = 1  # to gather a batch: one commit of many reports costs less than many
_PART_FOR_TASKS = 0.25  # of the time that a function has, after which no other task is begun


@routes.on_sqs_message(
    queue="IntakeQueue", batch_size=BATCH, maximum_batching_window_in_seconds=_WINDOW_S
)
def process(event: SQSEvent) -> dict[str, Any]:
    """Process what came in: reports, dumps, tasks."""
    waiting = {message.receipt: message for message in _messages(event)}

    def done(messages: Any) -> None:
        for message in messages:
            del waiting[message.receipt]

    tasks_until = time.monotonic() + _remaining_s(event) * _PART_FOR_TASKS
    Deliveries(services()).process(list(waiting.values()), done, tasks_until=tasks_until)
    return _failed(waiting)


@routes.on_sqs_message(queue="IntakeDeadLetterQueue", batch_size=10)
def bury(event: SQSEvent) -> dict[str, Any]:
    """Keep what the queues gave up, so that people can see and replay it."""
    deliveries = Deliveries(services())
    for message in _messages(event):
        if is_notification(message.body):
            services().notifier.give_up(message.body)
        else:
            deliveries.give_up(message.body)
    return _failed({})


@routes.on_sqs_message(queue="NotificationsQueue", batch_size=10)
def notify(event: SQSEvent) -> dict[str, Any]:
    """Send what people are to be told."""
    waiting = {message.receipt: message for message in _messages(event)}

    def done(messages: Sequence[Message]) -> None:
        for message in messages:
            del waiting[message.receipt]

    services().notifier.process(list(waiting.values()), done)
    return _failed(waiting)


@routes.schedule(Rate(1, Rate.MINUTES))
def detect(_: CloudWatchEvent) -> None:
    schedule.every_minute(services())


@routes.schedule(Rate(1, Rate.HOURS))
def sweep(_: CloudWatchEvent) -> None:
    schedule.every_hour(services())


def _remaining_s(event: SQSEvent) -> float:
    context: Any = event.context
    return float(context.get_remaining_time_in_millis() / 1000)


def _messages(event: SQSEvent) -> list[Message]:
    """The receipt of each is its message id, by which a partial answer names it."""
    return [
        Message(
            record["messageId"],
            record["body"],
            int(record["attributes"]["ApproximateReceiveCount"]),
        )
        for record in event.to_dict()["Records"]
    ]


def _failed(waiting: dict[str, Message]) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": receipt} for receipt in waiting]}
