"""The functions of a deployed stack that no HTTP request calls: queues and schedules.

Lambda imports this module alone, not the app with all its doors. Which queue
and which schedule calls a function, and how many messages it gets, says
`infra/template/triggers.py`; it has the functions answer for single messages
(`ReportBatchItemFailures`), and `bury` read both dead-letter queues.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from chalice.app import BaseLambdaEvent, Blueprint, CloudWatchEvent, Rate, SQSEvent

from chalicelib.bootstrap import services
from chalicelib.storage.ports import Message
from chalicelib.tasks import BATCH
from chalicelib.telemetry.functions import invoked

_log = logging.getLogger(__name__)
routes = Blueprint(__name__)

_WINDOW_S = 1  # to gather a batch: one commit of many reports costs less than many
_PART_FOR_TASKS = 0.25  # of the time that a function has, after which no other task is begun
_NOTIFICATIONS = 8  # at a time: each in a thread of its own

Done = Callable[[Sequence[Message]], object]


@routes.on_sqs_message(
    queue="IntakeQueue", batch_size=BATCH, maximum_batching_window_in_seconds=_WINDOW_S
)
def process(event: SQSEvent) -> Any:
    """Process what came in: reports, dumps, tasks."""
    from chalicelib.deliveries import Deliveries  # noqa: PLC0415 - the API has no use for it

    tasks_until = time.monotonic() + _remaining_s(event) * _PART_FOR_TASKS

    def handle(messages: Sequence[Message], done: Done) -> None:
        def finished(them: Sequence[Message]) -> None:
            done(them)
            # Away at once: should the function come to its end in this batch, as before, then
            # those do not come back with what ends it.
            services().queue.ack([message for message in them if message.deliveries > 1])

        Deliveries(services()).process(messages, finished, tasks_until=tasks_until)

    return _answered("process", event, handle)


@routes.on_sqs_message(queue="NotificationsQueue", batch_size=_NOTIFICATIONS)
def notify(event: SQSEvent) -> Any:
    """Tell people of alerts."""

    def handle(messages: Sequence[Message], done: Done) -> None:
        services().notifier.process(messages, done)

    return _answered("notify", event, handle)


@routes.on_sqs_message(queue="IntakeDeadLetterQueue", batch_size=10)
def bury(event: SQSEvent) -> Any:
    """Keep what the queues gave up, so that people can see and replay it."""
    from chalicelib.deliveries import Deliveries  # noqa: PLC0415

    def handle(messages: Sequence[Message], done: Done) -> None:
        deliveries = Deliveries(services())
        for message in messages:
            try:
                deliveries.give_up(message.body)
            except Exception:  # comes again, until the dead-letter queue forgets it
                _log.exception("could not be given up: %.200s", message.body)
            else:
                done([message])

    return _answered("bury", event, handle)


@routes.schedule(Rate(1, Rate.MINUTES))
def detect(_: CloudWatchEvent) -> None:
    """What is done every minute."""
    from chalicelib import schedule  # noqa: PLC0415

    invoked("detect", lambda: schedule.every_minute(services()))


@routes.schedule(Rate(1, Rate.HOURS))
def sweep(_: CloudWatchEvent) -> None:
    """What is done every hour."""
    from chalicelib import schedule  # noqa: PLC0415

    invoked("sweep", lambda: schedule.every_hour(services()))


def _answered(name: str, event: SQSEvent, handle: Callable[..., None]) -> Any:
    from chalicelib.handlers.batches import answered  # noqa: PLC0415 - powertools

    return invoked(name, lambda: answered(event.to_dict(), handle))


def _remaining_s(event: BaseLambdaEvent) -> float:
    context: Any = event.context
    return float(context.get_remaining_time_in_millis() / 1000)
