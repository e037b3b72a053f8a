"""S3's event notifications: the body of an intake message.

Format: Amazon S3 User Guide, "Event message structure".
"""

from __future__ import annotations

import json
from urllib.parse import quote_plus, unquote_plus

from chalicelib.errors import FormatError

_CREATED = "ObjectCreated:"
_TEST_EVENT = "s3:TestEvent"  # S3 sends one when a notification is set up


def object_created(bucket: str, key: str, size: int) -> str:
    """The message that S3 sends after an object was put."""
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": {"name": bucket},
            "object": {"key": quote_plus(key, safe="/"), "size": size},
        },
    }
    return json.dumps({"Records": [record]}, separators=(",", ":"))


def created_keys(body: str) -> list[str]:
    """The keys of the objects that were created; none for S3's test event.

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
    keys = []
    for number, record in enumerate(records):
        where = f"Records[{number}]"
        try:
            name, quoted = record["eventName"], record["s3"]["object"]["key"]
        except (KeyError, TypeError, IndexError) as error:
            raise FormatError("a record that is not S3's", where) from error
        if not isinstance(name, str) or not isinstance(quoted, str):
            raise FormatError("a record that is not S3's", where)
        if name.startswith(_CREATED):
            keys.append(unquote_plus(quoted))
    return keys
