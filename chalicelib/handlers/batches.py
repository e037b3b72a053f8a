"""A batch of SQS messages on Lambda, answered for message by message.

On powertools' batch processor, which calls a handler for each message; here one
call takes all, because one commit of 25 reports costs a tenth of 25 commits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from chalicelib.errors import CrashbucketError
from chalicelib.storage.ports import Message

Handler = Callable[[Sequence[Message], Callable[[Sequence[Message]], object]], object]


class NotDone(CrashbucketError):
    """A message comes again; the log says why."""


class Together(BatchProcessor):
    """Hands the whole batch to the handler, which tells what is done.

    Raises `BatchProcessingError` where nothing is: then the function counts as
    failed, which its alarm and Lambda's own backing off go by.
    """

    def __init__(self) -> None:
        super().__init__(EventType.SQS)

    def process(self) -> list[tuple[Any, ...]]:
        records = [SQSRecord(record) for record in self.records]
        messages = {record.message_id: _message(record) for record in records}
        done: set[str] = set()
        self.handler(
            list(messages.values()), lambda them: done.update(message.receipt for message in them)
        )
        return [
            self.success_handler(record, None)
            if record.receipt_handle in done
            else self.failure_handler(record, (NotDone, NotDone(record.message_id), None))
            for record in records
        ]


def answered(event: Mapping[str, Any], handle: Handler) -> PartialItemFailureResponse:
    """What Lambda is to be told of a batch."""
    processor = Together()
    with processor(records=event["Records"], handler=handle):
        processor.process()
    return processor.response()


def _message(record: SQSRecord) -> Message:
    received = int(record.attributes.approximate_receive_count)
    return Message(record.receipt_handle, record.body, received)
