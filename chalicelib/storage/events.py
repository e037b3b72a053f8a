"""S3's event notifications: the body of an intake message.

Format: Amazon S3 User Guide, "Event message structure".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote_plus, unquote_plus

from chalicelib.errors import FormatError

_CREATED = "ObjectCreated:"
_TEST_EVENT = "s3:TestEvent"  # S3 sends one when a notification is set up


@dataclass(frozen=True, slots=True)
class Created:
    """An object that was made, and when, where the event says it."""

    key: str
    at: datetime | None = None


def object_created(bucket: str, key: str, size: int, at: datetime | None = None) -> str:
    """The message that S3 sends after an object was put (`at`: now, if not given)."""
    moment = (at or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)
    record = {
        "eventSource": "aws:s3",
        "eventTime": moment.isoformat(timespec="milliseconds") + "Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": {"name": bucket},
            "object": {"key": quote_plus(key, safe="/"), "size": size},
        },
    }
    return json.dumps({"Records": [record]}, separators=(",", ":"))


def created_objects(body: str) -> list[Created]:
    """The objects that were created; none for S3's test event.

    Raises `FormatError` for anything that is not an S3 event.
    """
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FormatError("the message is not JSON") from error
    if not isinstance(event, dict):
        raise FormatError("the message is not an object")
    if event.get("Event") == _TEST_EVENT:
        return []
    records = event.get("Records")
    if not isinstance(records, list):
        raise FormatError("the message has no records", "Records")
    created = []
    for number, record in enumerate(records):
        where = f"Records[{number}]"
        try:
            name, quoted = record["eventName"], record["s3"]["object"]["key"]
        except (KeyError, TypeError, IndexError) as error:
            raise FormatError("a record that is not S3's", where) from error
        if not isinstance(name, str) or not isinstance(quoted, str):
            raise FormatError("a record that is not S3's", where)
        if name.startswith(_CREATED):
            created.append(Created(unquote_plus(quoted), _moment(record.get("eventTime"))))
    return created


def _moment(text: object) -> datetime | None:
    """A time with its zone; None for anything else, as nothing depends on it but the date."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
