"""What every topic does, on both adapters."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from chalicelib.storage.aws.sns import MAX_SUBJECT_CHARS, SnsTopic, shown_subject
from chalicelib.storage.aws.store import AwsClients, create_queue
from chalicelib.storage.embedded.topic import LogTopic
from chalicelib.storage.ports import Topic


@dataclass
class Heard:
    """A topic, and what its subscribers have got."""

    topic: Topic
    messages: Callable[[], list[str]]


@pytest.fixture
def embedded(caplog: pytest.LogCaptureFixture) -> Heard:
    caplog.set_level(logging.INFO)
    return Heard(LogTopic(), lambda: [record.getMessage() for record in caplog.records])


@pytest.fixture
def received(
    aws_clients: AwsClients,
) -> Iterator[tuple[SnsTopic, Callable[[], list[dict[str, Any]]]]]:
    """A topic of SNS, and what a queue that has subscribed to it got."""
    sns = boto3.client("sns", region_name="us-east-1")
    arn = sns.create_topic(Name="people")["TopicArn"]
    url, _ = create_queue(aws_clients.sqs, "people", 5)
    sns.subscribe(
        TopicArn=arn, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:people"
    )

    def messages() -> list[dict[str, Any]]:
        got = aws_clients.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in got.get("Messages", [])]

    yield SnsTopic(lambda: sns, arn), messages
    sns.close()


@pytest.fixture
def aws(received: tuple[SnsTopic, Callable[[], list[dict[str, Any]]]]) -> Heard:
    topic, messages = received
    return Heard(topic, lambda: [f"{got['Subject']}: {got['Message']}" for got in messages()])


@pytest.fixture(params=["embedded", "aws"])
def heard(request: pytest.FixtureRequest) -> Heard:
    chosen: Heard = request.getfixturevalue(request.param)
    return chosen


def test_a_message_is_heard_once(heard: Heard) -> None:
    heard.topic.publish("[Demo] spike", "412 crashes in 10 minutes", {"kind": "spike"})
    assert heard.messages() == ["[Demo] spike: 412 crashes in 10 minutes"]


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("[漢字] Ärger\r\nX: \x00\x7f", "é 漢 \ud800"),
        ("x" * 500, "漢" * 300_000),
        ("", ""),
        (" \n", " "),
    ],
    ids=["any script", "long", "empty", "blank"],
)
def test_whatever_an_app_is_called_and_however_long_it_gets_is_heard(
    heard: Heard, subject: str, text: str
) -> None:
    heard.topic.publish(subject, text, {"kind": "spike", "app_id": ""})
    assert len(heard.messages()) == 1


def test_attributes_are_what_subscribers_can_filter_by(
    received: tuple[SnsTopic, Callable[[], list[dict[str, Any]]]],
) -> None:
    topic, messages = received
    topic.publish("s", "t", {"kind": "spike", "app_id": "1"})
    (got,) = messages()
    values = {name: value["Value"] for name, value in got["MessageAttributes"].items()}
    assert values == {"kind": "spike", "app_id": "1"}


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("[Café] spike\nin 漢", "[Cafe] spike in ?"),
        ("a\x00b", "ab"),
        ("y" * 200, "y" * MAX_SUBJECT_CHARS),
        ("", "-"),
    ],
)
def test_a_subject_is_within_what_sns_takes(subject: str, shown: str) -> None:
    assert shown_subject(subject) == shown
