"""Messages that are sent exactly when something is written: neither is lost without the other.

What is to be sent stands in the same atomic batch as what it tells of, and is
taken away once it was sent. What a process left behind that died in between,
the sweep sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from chalicelib import clock, keys
from chalicelib.ids import IdSource
from chalicelib.storage.ports import Delete, Key, Put, Queue, Table, query_all

_LEFT_BEHIND = timedelta(seconds=60)  # nobody who is alive takes as long from a write to a send


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that goes out as soon as its batch is written."""

    key: Key
    body: str
    at: str

    def put(self) -> Put:
        """What makes it part of the batch."""
        return Put({"pk": self.key.pk, "sk": self.key.sk, "body": self.body, "at": self.at})


class Outbox:
    """Puts messages into batches, and sends them."""

    def __init__(self, table: Table, queue: Queue, ids: IdSource) -> None:
        self._table = table
        self._queue = queue
        self._ids = ids

    def message(self, body: str) -> Waiting:
        # Two processes may make one id at the same moment: what is said tells them apart.
        key = keys.outbox(self._ids.next())
        return Waiting(Key(key.pk, f"{key.sk}#{body}"), body, clock.to_stored(clock.now()))

    def send(self, waiting: Waiting) -> None:
        """Once its batch is written. A message that is sent twice does no harm."""
        self._queue.send(waiting.body)
        self._table.write([Delete(waiting.key)])

    def sweep(self) -> int:
        """Send what was left behind; how many messages that were."""
        before = clock.to_stored(clock.now() - _LEFT_BEHIND)
        left = [
            Waiting(
                Key(cast(str, item["pk"]), cast(str, item["sk"])),
                cast(str, item["body"]),
                cast(str, item["at"]),
            )
            for item in query_all(self._table, keys.outbox(0).pk)
        ]
        behind = [waiting for waiting in left if waiting.at < before]
        for waiting in behind:
            self.send(waiting)
        return len(behind)
