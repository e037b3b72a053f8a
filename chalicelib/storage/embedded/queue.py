"""The queue on SQLite."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence

from chalicelib.storage.away import tells_when_away
from chalicelib.storage.embedded.away import telling
from chalicelib.storage.embedded.database import Database
from chalicelib.storage.ports import Message

MAX_DELIVERIES = 5
_POLL_S = 0.01  # an idle worker's hundred looks a second cost it a thousandth of a core

# AUTOINCREMENT: an id used again would make an old receipt good for a new message.
SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, visible_at REAL NOT NULL,
    deliveries INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS waiting ON messages (queue, visible_at);
"""

_SEND = "INSERT INTO messages (queue, visible_at, body) VALUES (?, ?, ?)"
_ANY = "SELECT 1 FROM messages WHERE queue = ? AND visible_at <= ? LIMIT 1"
_WAITING = """SELECT id, body, deliveries FROM messages WHERE queue = ? AND visible_at <= ?
ORDER BY visible_at, id LIMIT ?"""
# Hidden and never delivered: sent for later.
_DEPTH = """SELECT count(*) FROM messages WHERE queue = ?
AND (visible_at <= ? OR deliveries > 0)"""
_OLDEST = "SELECT min(visible_at) FROM messages WHERE queue = ? AND deliveries = 0"
_DELIVER = "UPDATE messages SET visible_at = ?, deliveries = deliveries + 1 WHERE id = ?"
_BURY = "UPDATE messages SET queue = ?, visible_at = ?, deliveries = 0 WHERE id = ?"
_ACK = "DELETE FROM messages WHERE id = ? AND queue = ? AND deliveries = ?"
_RELEASE = "UPDATE messages SET visible_at = ? WHERE id = ? AND queue = ? AND deliveries = ?"


@tells_when_away(telling)
class SqliteQueue:
    """`ports.Queue` in one SQLite file.

    A send survives power loss. What a receiver does need not: a lost delivery
    or acknowledgement only means that the message is delivered again.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        *,
        max_deliveries: int | None = MAX_DELIVERIES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`database` was opened with this module's `SCHEMA`; without `max_deliveries`, no message
        is ever moved to the dead letters."""
        self._database = database
        self._name = name
        self._max_deliveries = max_deliveries
        self._clock = clock

    def send(self, body: str, *, delay_s: int = 0) -> None:
        with self._database.transaction() as connection:
            self.send_within(connection, body, delay_s=delay_s)

    def send_within(self, connection: sqlite3.Connection, body: str, *, delay_s: int = 0) -> None:
        """Send as a part of the caller's transaction on the same database."""
        connection.execute(_SEND, (self._name, self._clock() + delay_s, body))

    def receive(
        self, max_messages: int = 10, *, visibility_s: int = 60, wait_s: float = 0.0
    ) -> Sequence[Message]:
        deadline = time.monotonic() + wait_s
        while True:
            # A look takes no lock, so idle workers do not disturb those who write.
            if self._database.reader().execute(_ANY, (self._name, self._clock())).fetchone():
                messages = self._take(max_messages, visibility_s)
                if messages:
                    return messages
            pause = min(_POLL_S, deadline - time.monotonic())
            if pause <= 0:
                return ()
            time.sleep(pause)

    def ack(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        receipts = [self._receipt(message) for message in messages]
        with self._database.transaction(durable=False) as connection:
            connection.executemany(_ACK, receipts)

    def release(self, message: Message, *, delay_s: int = 0) -> None:
        receipt = self._receipt(message)
        with self._database.transaction(durable=False) as connection:
            connection.execute(_RELEASE, (self._clock() + delay_s, *receipt))

    def depth(self) -> int:
        row = self._database.reader().execute(_DEPTH, (self._name, self._clock()))
        return int(row.fetchone()[0])

    def oldest_s(self) -> float:
        """Seconds for which the message that has waited longest could have been received; 0: none
        waits for its first delivery."""
        row = self._database.reader().execute(_OLDEST, (self._name,)).fetchone()
        return max(0.0, self._clock() - row[0]) if row[0] is not None else 0.0

    @property
    def dead_letters(self) -> SqliteQueue:
        if self._max_deliveries is None:
            raise LookupError("a dead-letter queue has no dead letters of its own")
        return SqliteQueue(self._database, self._dead_name, max_deliveries=None, clock=self._clock)

    @property
    def _dead_name(self) -> str:
        return self._name + ".dead"

    def _take(self, count: int, visibility_s: int) -> list[Message]:
        now = self._clock()
        with self._database.transaction(durable=False) as connection:
            while True:
                rows = connection.execute(_WAITING, (self._name, now, count)).fetchall()
                spent = self._spent(rows)
                if not spent:
                    break
                connection.executemany(_BURY, [(self._dead_name, now, number) for number in spent])
            connection.executemany(_DELIVER, [(now + visibility_s, row[0]) for row in rows])
        return [
            Message(f"{number}:{deliveries + 1}", body, deliveries + 1)
            for number, body, deliveries in rows
        ]

    def _spent(self, rows: Sequence[tuple[int, str, int]]) -> list[int]:
        limit = self._max_deliveries
        return [] if limit is None else [row[0] for row in rows if row[2] >= limit]

    def _receipt(self, message: Message) -> tuple[str, str, str]:
        number, _, deliveries = message.receipt.partition(":")
        return number, self._name, deliveries
