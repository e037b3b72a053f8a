"""The functions that queues and schedules call on AWS, with the events that Lambda hands them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

from app import app as chalice_app
from chalicelib import keys
from chalicelib.bootstrap import Services
from chalicelib.handlers import events
from chalicelib.processing import Outcome
from chalicelib.records import App
from chalicelib.storage.events import object_created
from chalicelib.tasks import Settle, encode
from tests.crashes import android_log, receive


class Context:
    """What Lambda tells a function of its invocation."""

    function_name = "process"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:process"
    aws_request_id = "6f747dd1-3e2a-4c5e-8c2c-6c8b1a5e9d10"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def sqs(*bodies: str) -> dict[str, Any]:
    """The event of a batch; the message of the third body has the id `message-2`."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"handle-{number}",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1764000000000"},
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:intake",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def created(report_id: int) -> str:
    return object_created("bucket", keys.raw_blob(report_id), 1)


def test_a_batch_of_reports_is_stored_and_nothing_of_it_comes_again(
    services: Services, app: App
) -> None:
    ids = [receive(services, app, android_log()) for _ in range(3)]
    test_event = '{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "bucket"}'
    answer = events.process(sqs(test_event, *map(created, ids)), Context())
    assert answer == {"batchItemFailures": []}
    assert all(services.table.get(keys.report(report_id)) for report_id in ids)


def test_only_what_failed_comes_again(
    services: Services, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [receive(services, app, android_log()) for _ in range(3)]
    process = services.processor.process

    def failing(report_ids: Iterable[int]) -> Outcome:
        wanted = list(report_ids)
        if ids[1] in wanted:
            raise RuntimeError("the store is away")
        return process(wanted)

    monkeypatch.setattr(services.processor, "process", failing)
    answer = events.process(sqs(*map(created, ids), '{"task":"settle"}'), Context())
    assert answer == {
        "batchItemFailures": [{"itemIdentifier": "message-1"}, {"itemIdentifier": "message-3"}]
    }
    assert services.table.get(keys.report(ids[2])) is not None


def test_what_came_before_is_deleted_as_soon_as_it_is_done(
    services: Services, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would come back with its neighbour that ends the function each time."""
    ids = [receive(services, app, android_log()) for _ in range(3)]
    batch = sqs(*map(created, ids))
    for number, record in enumerate(batch["Records"]):
        record["attributes"]["ApproximateReceiveCount"] = str(number + 1)
    deleted: list[str] = []
    monkeypatch.setattr(
        services.queue, "ack", lambda them: deleted.extend(it.receipt for it in them)
    )
    assert events.process(batch, Context()) == {"batchItemFailures": []}
    assert deleted == ["handle-1", "handle-2"]


def test_a_batch_of_which_nothing_worked_is_a_failure_of_the_function(
    services: Services, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: Iterable[int]) -> Outcome:
        raise RuntimeError("the store is away")

    monkeypatch.setattr(services.processor, "process", failing)
    with pytest.raises(BatchProcessingError):
        events.process(sqs(created(receive(services, app, android_log()))), Context())


def test_what_the_queue_gave_up_is_a_dead_letter_and_a_task_is_tried_later(
    services: Services, app: App
) -> None:
    report_id = receive(services, app, android_log())
    services.queue.ack(services.queue.receive())
    answer = events.bury(sqs(created(report_id), encode(Settle(app.app_id))), Context())
    assert answer == {"batchItemFailures": []}
    assert [letter.report_id for letter in services.crashes.dead_letters()] == [report_id]
    assert services.queue.receive() == ()  # not yet


def test_every_function_is_packaged_under_its_name() -> None:
    names = {source.name: source.handler_string for source in chalice_app.event_sources}
    assert names == {
        name: f"chalicelib.handlers.events.{name}"
        for name in ("process", "bury", "notify", "detect", "sweep")
    }
