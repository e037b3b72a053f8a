"""The embedded server: HTTP processes in front, workers that drain the queue behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

from granian.constants import Interfaces
from granian.server import Server

from chalicelib import bootstrap
from chalicelib.config import Settings
from chalicelib.worker import Worker
from infra.processes import end_with_parent

_SPAWN = multiprocessing.get_context("spawn")  # a fork would share SQLite's open files
_HTTP_THREADS = 4  # requests answered at once: each waits for the disk most of its time
_STOP_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class ServeOptions:
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    http_processes: int = 1


def serve(options: ServeOptions, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish what is under way and return."""
    os.environ["CRASHBUCKET_DATA"] = settings.data
    bootstrap.connect(settings)  # makes the data folder and its tables before anyone needs them
    crew = Crew(options.workers)
    crew.start()
    server = Server(
        "infra.wsgi_app:application",
        address=options.host,
        port=options.port,
        interface=Interfaces.WSGI,
        workers=options.http_processes,
        blocking_threads=_HTTP_THREADS,
        websockets=False,
        respawn_failed_workers=True,
        respawn_interval=0.2,
        log_level="warning",  # type: ignore[arg-type]
        workers_kill_timeout=int(_STOP_WITHIN_S),
    )
    try:
        server.serve()
    finally:
        crew.stop()


class Crew:
    """The worker processes; one that dies is replaced."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._stopping = threading.Event()
        self._processes: list[BaseProcess] = []
        self._keeper = threading.Thread(target=self._keep, name="crew", daemon=True)

    def start(self) -> None:
        self._processes = [_started() for _ in range(self._size)]
        self._keeper.start()

    def stop(self) -> None:
        """Ask every worker to finish its batch, and wait for it; kill what does not end."""
        self._stopping.set()
        self._keeper.join()
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(_STOP_WITHIN_S)
            if process.is_alive():
                process.kill()

    def _keep(self) -> None:
        while not self._stopping.wait(0.2):
            for place, process in enumerate(self._processes):
                if not process.is_alive():
                    self._processes[place] = _started()


def _started() -> BaseProcess:
    process = _SPAWN.Process(target=_work, name="crashbucket-worker", daemon=False)
    process.start()
    return process


def _work() -> None:
    """A worker process, from start to SIGTERM."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    end_with_parent()
    services = bootstrap.services()
    Worker(
        services.queue,
        services.processor,
        services.table,
        visibility_s=services.settings.visibility_s,
    ).run(stopping.is_set)
