"""The service over counting ports, on a simulated clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from benchmarks import corpus
from benchmarks.minidumps import made
from chalicelib import bootstrap, keys
from chalicelib.bucketing.engine import Bucketing
from chalicelib.config import Settings
from chalicelib.formats.minidump.symbol_source import ModuleSymbols
from chalicelib.ids import IdSource
from chalicelib.intake import Intake
from chalicelib.model import ModuleId, Report
from chalicelib.payload import Payload
from chalicelib.processing import Processor
from chalicelib.reading import Reader
from chalicelib.records import App
from chalicelib.storage.counting import CountingBlobs, CountingQueue, CountingTable
from chalicelib.storage.embedded.store import open_store
from chalicelib.symbols import debug_file
from chalicelib.symbols.module_symbols import Caches, open_symbols
from chalicelib.symbols.symbolication import NoReportSymbols
from chalicelib.waiting import MAX_LACKING
from chalicelib.worker import Worker

_POSTING_THREADS = 10
_SEED = 5
_dump = lru_cache(maxsize=512)(made.dump)  # 20 MB: what primes a store is what is measured
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Counted:
    """Intake and workers over one data folder, counted. Its queue must be empty.

    The first worker folds after the same number of batches in every run. The
    crashes are Android logs, or `minidumps`, whose stacks lack the
    symbols of as many builds as are noted.
    """

    def __init__(
        self,
        folder: Path,
        app_id: str,
        *,
        workers: int = 1,
        minidumps: bool = False,
        stored_per_minute: int = 0,
    ) -> None:
        """`stored_per_minute`: the app's quota; 0: every report is kept."""
        self._stored_per_minute = stored_per_minute
        self._minidumps = minidumps
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
        chance = random.Random(_SEED)
        self._workers = [
            self._worker(chance.randrange if number else lambda _: 0) for number in range(workers)
        ]

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
        door, log = "hockeyapp", b""
        if self._minidumps:
            door, log = "breakpad", _dump(crash)
            fields["version"], fields["short_version"] = crash.version
        else:
            log = corpus.log(crash)
        self._intake.receive(Payload(self._app.app_id, door, received_at, log, b"", fields))

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

    def _worker(self, chance: Callable[[int], int]) -> Worker:
        services = bootstrap.build(Settings(), self.table, self.blobs, self.queue)
        processor = Processor(
            self.table,
            self.blobs,
            Bucketing(self.table),
            self._ids,
            (_LackingReader() if self._minidumps else Reader()).crash,
            lambda _: self._app,
            stored_per_minute=self._stored_per_minute,
        )
        return Worker(replace(services, processor=processor), chance=chance)


class _Symbols(NoReportSymbols):
    """What unwinds and names the frames of the made minidumps."""

    def __init__(self) -> None:
        (found,) = debug_file.read(made.symbols(), made.SYMBOL_FILE)
        self._module = open_symbols(Caches(found.symbols, found.unwind))

    def module(self, debug_file: str, _: str) -> ModuleSymbols | None:
        return self._module if debug_file.endswith("shop") else None


class _LackingReader(Reader):
    """Has the symbols at hand: a process that has them open reads neither store nor file."""

    def __init__(self) -> None:
        symbols = _Symbols()
        super().__init__(lambda _: symbols)

    def crash(self, received: Payload) -> Report:
        lacking = (ModuleId(f"lib{n}.so", f"{n:032X}0") for n in range(MAX_LACKING))
        return replace(super().crash(received), lacking=tuple(lacking))


def second(number: float) -> datetime:
    """A moment of the simulated clock."""
    return NOON + timedelta(seconds=number)
