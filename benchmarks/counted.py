"""The service over counting ports, on a simulated clock."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks import corpus
from chalicelib import bootstrap, keys
from chalicelib.bucketing.engine import Bucketing
from chalicelib.config import Settings
from chalicelib.ids import IdSource
from chalicelib.intake import Intake
from chalicelib.payload import Payload
from chalicelib.processing import Processor
from chalicelib.reading import Reader
from chalicelib.records import App
from chalicelib.storage.counting import CountingBlobs, CountingQueue, CountingTable
from chalicelib.storage.embedded.store import open_store
from chalicelib.worker import Worker

_POSTING_THREADS = 10
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Counted:
    """Intake and workers over one data folder, counted. Its queue must be empty."""

    def __init__(self, folder: Path, app_id: str, *, workers: int = 1) -> None:
        self._store = open_store(folder)
        item = self._store.table.get(keys.app(app_id))
        assert item is not None
        # A process keeps the app for seconds: how often it reads it depends on this machine.
        self._app = App.from_item(item)
        self.table = CountingTable(self._store.table)
        self.blobs = CountingBlobs(self._store.blobs)
        self.queue = CountingQueue(self._store.queue)
        self._ids = IdSource()
        self._intake = Intake(self.blobs, self._ids)
        self._workers = [self._worker() for _ in range(workers)]

    def take(self, crashes: Iterable[corpus.Crash], received_at: datetime) -> None:
        """What the door does with posts of these crashes, once it has parsed them; one by one."""
        for crash in crashes:
            self._receive(crash, received_at)

    def take_together(self, crashes: Iterable[corpus.Crash], received_at: datetime) -> None:
        """The same for posts that arrive at the same moment: quicker, in no certain order."""
        with ThreadPoolExecutor(_POSTING_THREADS) as pool:
            for done in [pool.submit(self._receive, crash, received_at) for crash in crashes]:
                done.result()

    def _receive(self, crash: corpus.Crash, received_at: datetime) -> None:
        fields = {"user": corpus.user(crash)}
        self._intake.receive(
            Payload(self._app.app_id, "hockeyapp", received_at, corpus.log(crash), b"", fields)
        )

    def step(self, worker: int = 0) -> int:
        """One batch by one of the workers; it folds at its own times."""
        return self._workers[worker].step()

    def drain(self) -> None:
        """Until the queue is empty; the first worker folds what it wrote."""
        while self.step():
            pass

    def reset(self) -> None:
        for port in (self.table, self.blobs, self.queue):
            port.reset()

    def close(self) -> None:
        self._store.close()

    def _worker(self) -> Worker:
        services = bootstrap.build(Settings(), self.table, self.blobs, self.queue)
        processor = Processor(
            self.table,
            self.blobs,
            Bucketing(self.table),
            self._ids,
            Reader().crash,
            lambda _: self._app,
        )
        return Worker(replace(services, processor=processor))


def second(number: float) -> datetime:
    """A moment of the simulated clock."""
    return NOON + timedelta(seconds=number)
