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
from chalicelib.ids import IdSource, made_at
from chalicelib.storage.ports import Delete, Key, Put, Queue, Table, query_all

_LEFT_BEHIND = timedelta(seconds=60)  # nobody who is alive takes as long from a write to a send


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that goes out as soon as its batch is written."""

    key: Key
    body: str

    def put(self) -> Put:
        """What makes it part of the batch."""
        return Put({"pk": self.key.pk, "sk": self.key.sk, "body": self.body})


class Outbox:
    """Puts messages into batches, and sends them."""

    def __init__(self, table: Table, queue: Queue, ids: IdSource) -> None:
        self._table = table
        self._queue = queue
        self._ids = ids

    def message(self, body: str) -> Waiting:
        # Two processes may make one id at the same moment: the app and alert tell them apart.
        key = keys.outbox(self._ids.next())
        return Waiting(Key(key.pk, f"{key.sk}#{body}"), body)

    def send(self, waiting: Waiting) -> None:
        """Once its batch is written. A message that is sent twice does no harm."""
        self._queue.send(waiting.body)
        self._table.write([Delete(waiting.key)])

    def sweep(self) -> int:
        """Send what was left behind; how many messages that were."""
        sent = 0
        for item in list(query_all(self._table, keys.outbox(0).pk)):
            key = Key(cast(str, item["pk"]), cast(str, item["sk"]))
            if made_at(int(key.sk.partition("#")[0])) < clock.now() - _LEFT_BEHIND:
                self.send(Waiting(key, cast(str, item["body"])))
                sent += 1
        return sent
