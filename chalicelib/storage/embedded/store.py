"""The embedded store as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chalicelib.storage.embedded import blobs as blobs_module
from chalicelib.storage.embedded import queue as queue_module
from chalicelib.storage.embedded import table as table_module
from chalicelib.storage.embedded.blobs import EmbeddedBlobs
from chalicelib.storage.embedded.database import Database
from chalicelib.storage.embedded.files import Files
from chalicelib.storage.embedded.queue import MAX_DELIVERIES, SqliteQueue
from chalicelib.storage.embedded.signing import Signer, kept_secret
from chalicelib.storage.embedded.table import SqliteTable
from chalicelib.storage.embedded.topic import LogTopic
from chalicelib.storage.schema import NOTIFIED_PREFIXES

QUEUE_NAME = "intake"
NOTIFICATIONS_NAME = "notifications"


@dataclass(frozen=True, slots=True)
class EmbeddedStore:
    """The ports over one data folder."""

    table: SqliteTable
    blobs: EmbeddedBlobs
    queue: SqliteQueue
    notifications: SqliteQueue
    topic: LogTopic
    databases: tuple[Database, ...]

    def close(self) -> None:
        """Close every connection of this process. What was written stays written without it."""
        for database in self.databases:
            database.close()


def open_store(
    folder: str | Path,
    *,
    base_url: str | Callable[[], str] = "",
    notified_prefixes: tuple[str, ...] = NOTIFIED_PREFIXES,
    max_deliveries: int = MAX_DELIVERIES,
    clock: Callable[[], float] = time.time,
) -> EmbeddedStore:
    """Open the store in `folder`, which is made if it is not there.

    Any number of threads and processes may have one folder open. `base_url`
    goes before the path of signed links; `clock` gives seconds since 1970.
    """
    path = Path(folder)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    items = Database(path / "table.db", table_module.SCHEMA)
    # One file for blobs and messages: a put and its message are one transaction, one fsync.
    intake = Database(path / "intake.db", blobs_module.SCHEMA + queue_module.SCHEMA)
    queue = SqliteQueue(intake, QUEUE_NAME, max_deliveries=max_deliveries, clock=clock)
    blobs = EmbeddedBlobs(
        intake,
        Files(path / "blobs"),
        Signer(kept_secret(path / "link-secret"), clock=clock),
        queue,
        notified_prefixes=notified_prefixes,
        base_url=base_url,
    )
    notifications = SqliteQueue(
        intake, NOTIFICATIONS_NAME, max_deliveries=max_deliveries, clock=clock
    )
    table = SqliteTable(items, clock=clock)
    return EmbeddedStore(table, blobs, queue, notifications, LogTopic(), (items, intake))
