"""The topic on SNS."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

MAX_SUBJECT_CHARS = 99  # SNS takes fewer than 100, of ASCII, without line breaks and controls
MAX_TEXT_BYTES = 30_000  # SNS takes 256 kB; a person reads less, and it is paid by 64 kB
_NO_TEXT = "-"  # SNS takes no empty one


class SnsTopic:
    """`ports.Topic` on a standard topic. `make_client` is called for the first message: only who
    publishes pays for it."""

    def __init__(self, make_client: Callable[[], SNSClient], arn: str) -> None:
        self._make_client = make_client
        self._arn = arn

    def publish(self, subject: str, text: str, attributes: Mapping[str, str]) -> None:
        self._client.publish(
            TopicArn=self._arn,
            Subject=shown_subject(subject),
            Message=text.encode("utf-8", "replace")[:MAX_TEXT_BYTES].decode("utf-8", "ignore")
            or _NO_TEXT,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
                if value
            },
        )

    @cached_property
    def _client(self) -> SNSClient:
        return self._make_client()


def shown_subject(subject: str) -> str:
    """The subject in the characters that SNS takes: those of other scripts become `?`, accents
    go."""
    plain = unicodedata.normalize("NFKD", " ".join(subject.split()))
    bare = "".join(c for c in plain if not unicodedata.combining(c))
    shown = bare.encode("ascii", "replace").decode()
    printable = "".join(c for c in shown if c.isprintable()).strip()
    return printable[:MAX_SUBJECT_CHARS] or _NO_TEXT
