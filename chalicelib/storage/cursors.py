"""Opaque cursors that are good for the query that made them, and for no other."""

from __future__ import annotations

import base64
import hashlib
import json

from chalicelib.storage.ports import Index, InvalidCursor, SortRange


def query_digest(pk: str, index: Index | None, sort: SortRange, descending: bool) -> str:
    """Stands for everything in a query that a cursor depends on."""
    text = json.dumps([pk, index and index.name, sort.low, sort.high, descending])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def encode_cursor(digest: str, position: tuple[str, ...]) -> str:
    """`position` is the sort key of the last item given; in an index, followed by its pk and sk."""
    return base64.urlsafe_b64encode(json.dumps([digest, *position]).encode()).decode()


def decode_cursor(cursor: str, digest: str, sort: SortRange, parts: int) -> tuple[str, ...]:
    """The position in the cursor; `InvalidCursor` unless this query made it.

    A position that was forged with the right digest stays within the query's
    own partition and range, so it shows nothing that the query would not.
    """
    try:
        made_by, *position = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidCursor("the cursor cannot be read") from error
    if (
        made_by != digest
        or len(position) != parts
        or not all(isinstance(part, str) and part for part in position)
        or (sort.low is not None and position[0] < sort.low)
        or (sort.high is not None and position[0] > sort.high)
    ):
        raise InvalidCursor("the cursor was made by another query")
    return tuple(position)
