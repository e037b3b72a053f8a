"""Data folders for benchmarks: made fresh, filled quickly, without a server."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from benchmarks import corpus, output
from chalicelib import bootstrap, clock
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.payload import Payload
from chalicelib.records import App
from chalicelib.worker import Worker

_FILL_SEED = 100  # and one more for each filling process; measuring uses smaller seeds
_FILLERS = 2
_INTAKE_AT_ONCE = 500  # reports taken before the queue is drained, so that it stays short
_VISIBILITY_S = 600  # a filler may be stopped for long on a busy machine


@dataclass(frozen=True, slots=True)
class Tenant:
    """The app that a benchmark posts to, and a token that reads it."""

    app_id: str
    token: str


_IN_MEMORY = Path("/dev/shm")  # Linux's


@contextmanager
def fresh_folder(*, in_memory: bool = False) -> Iterator[Path]:
    """An empty folder below `build/bench`, gone afterwards; in memory, where a system has such
    folders, for what only counts."""
    output.FOLDER.mkdir(parents=True, exist_ok=True)
    below = _IN_MEMORY if in_memory and _IN_MEMORY.is_dir() else output.FOLDER
    path = Path(tempfile.mkdtemp(prefix="data-", dir=below))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def open_services(folder: Path) -> Services:
    return bootstrap.connect(Settings(data=str(folder), visibility_s=_VISIBILITY_S))


def make_tenant(folder: Path) -> Tenant:
    accounts = open_services(folder).accounts
    app = accounts.create_app("Shop", bundle_id=corpus.PACKAGE, platform="Android")
    return Tenant(app.app_id, accounts.create_token("read", app_id=app.app_id))


def payload_of(crash: corpus.Crash, app_id: str) -> Payload:
    """What the door makes of the crash's upload."""
    return Payload(
        app_id, "hockeyapp", clock.now(), corpus.log(crash), fields={"user": corpus.user(crash)}
    )


def worker_of(services: Services) -> Worker:
    return Worker(services)


def fill(folder: Path, app_id: str, reports: int) -> float:
    """Store that many reports through intake and processing; the seconds it took."""
    started = time.monotonic()
    context = get_context("spawn")  # a fork would share SQLite's connections
    share, rest = divmod(reports, _FILLERS)
    fillers = [
        context.Process(target=_fill, args=(folder, app_id, share + (number < rest), number))
        for number in range(_FILLERS)
    ]
    for filler in fillers:
        filler.start()
    for filler in fillers:
        filler.join()
        if filler.exitcode != 0:
            raise RuntimeError("filling the store failed")
    services = open_services(folder)
    worker_of(services).drain()
    services.counts.fold_all(app_id)
    return time.monotonic() - started


def _fill(folder: Path, app_id: str, reports: int, number: int) -> None:
    services = open_services(folder)
    worker = worker_of(services)
    for taken, crash in enumerate(corpus.Corpus(_FILL_SEED + number).crashes(reports), start=1):
        services.intake.receive(payload_of(crash, app_id))
        if taken % _INTAKE_AT_ONCE == 0:
            worker.drain()
    worker.drain()


def app_of(services: Services, tenant: Tenant) -> App:
    return services.accounts.app(tenant.app_id)
