"""What waits at this moment, in an embedded store."""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib import keys
from chalicelib.storage.embedded.queue import SqliteQueue
from chalicelib.storage.ports import Table
from chalicelib.telemetry.prometheus import Gauge

_MOST_PER_SHARD = 1000  # dead letters that are counted: to know that there are many is enough


def of_store(table: Table, queue: SqliteQueue, notifications: SqliteQueue) -> Sequence[Gauge]:
    def dead_letters() -> int:
        shards = keys.deadletters()
        return sum(len(table.query(shard, limit=_MOST_PER_SHARD).items) for shard in shards)

    return (
        Gauge("queue_messages", "Messages that wait or are in work.", queue.depth),
        Gauge("queue_age_seconds", "Seconds for which the oldest of them waits.", queue.oldest_s),
        Gauge("notifications_messages", "Notifications that wait.", notifications.depth),
        Gauge("dead_letters", "Crashes that were given up.", dead_letters),
    )
