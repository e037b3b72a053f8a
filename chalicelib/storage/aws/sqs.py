"""The queue on SQS."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from chalicelib.storage.away import tells_when_away
from chalicelib.storage.aws.away import telling
from chalicelib.storage.ports import Message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

_BATCH = 10  # SQS's limit for a receive and for a batch of deletes
_LONGEST_POLL_S = 20  # SQS's limit


@tells_when_away(telling)
class SqsQueue:
    """`ports.Queue` on a standard queue; its redrive policy moves messages to the dead letters."""

    def __init__(self, client: SQSClient, url: str, *, dead_letters_url: str | None = None) -> None:
        self._client = client
        self._url = url
        self._dead_letters_url = dead_letters_url

    def send(self, body: str, *, delay_s: int = 0) -> None:
        self._client.send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=delay_s)

    def receive(
        self, max_messages: int = 10, *, visibility_s: int = 60, wait_s: float = 0.0
    ) -> Sequence[Message]:
        deadline = time.monotonic() + wait_s
        received: list[MessageTypeDef] = []
        while len(received) < max_messages:
            left_s = 0.0 if received else max(0.0, deadline - time.monotonic())
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(_BATCH, max_messages - len(received)),
                VisibilityTimeout=visibility_s,
                WaitTimeSeconds=min(_LONGEST_POLL_S, math.ceil(left_s)),
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
            batch = answer.get("Messages", [])
            received += batch
            if not batch and (received or time.monotonic() >= deadline):
                break
        return [
            Message(
                message["ReceiptHandle"],
                message["Body"],
                int(message["Attributes"]["ApproximateReceiveCount"]),
            )
            for message in received
        ]

    def ack(self, messages: Sequence[Message]) -> None:
        # A delete that fails is not repeated: the message comes again, as it may at any time.
        for first in range(0, len(messages), _BATCH):
            self._client.delete_message_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message.receipt}
                    for number, message in enumerate(messages[first : first + _BATCH])
                ],
            )

    def release(self, message: Message, *, delay_s: int = 0) -> None:
        with suppress(
            self._client.exceptions.MessageNotInflight,
            self._client.exceptions.ReceiptHandleIsInvalid,
        ):
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=message.receipt, VisibilityTimeout=delay_s
            )

    def depth(self) -> int:
        answer = self._client.get_queue_attributes(
            QueueUrl=self._url,
            AttributeNames=[
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesNotVisible",
            ],
        )
        return sum(int(count) for count in answer["Attributes"].values())

    @property
    def dead_letters(self) -> SqsQueue:
        if self._dead_letters_url is None:
            raise LookupError("a dead-letter queue has no dead letters of its own")
        return SqsQueue(self._client, self._dead_letters_url)
