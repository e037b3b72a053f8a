"""The embedded server: HTTP processes in front, workers that drain the queue behind, and a process
for what is done every minute and hour."""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from chalicelib import bootstrap
from chalicelib.config import Settings
from chalicelib.errors import CrashbucketError
from infra.processes import Child, keep_all

_ROOT = Path(__file__).resolve().parent.parent
_STOP_WITHIN_S = 9.0  # with what the start of the stop takes: 10
_PORT_FREE_WITHIN_S = 2.0  # a killed server's children need a moment to notice


class CannotListen(CrashbucketError):
    """The address is not this machine's, or another program has the port."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    http_processes: int = 1


def serve(options: ServeOptions, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish what is under way and return."""
    os.environ["CRASHBUCKET_DATA"] = str(Path(settings.data).resolve())
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])
    )
    bootstrap.connect(settings)  # makes the data folder before several processes would
    http = [sys.executable, "-m", "infra.http_process", options.host, str(options.port)]
    worker = [sys.executable, "-m", "infra.worker_process"]
    schedule = [sys.executable, "-m", "infra.schedule_process"]
    keep_all(
        [
            *(Child(http) for _ in range(options.http_processes)),
            *(Child(worker, after_death=["--careful"]) for _ in range(options.workers)),
            Child(schedule),
        ],
        stop_within_s=_STOP_WITHIN_S,
    )


def checked_address(options: ServeOptions) -> str:
    """The IP address of the host, once nobody else listens there; else raises `CannotListen`.

    The HTTP processes share the port among each other, so that they themselves
    would share it with a stranger without a word.
    """
    until = time.monotonic() + _PORT_FREE_WITHIN_S
    while True:
        try:
            return _bound_once(options)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                where = f"{options.host}:{options.port}"
                told = f"cannot listen on {where}: {error.strerror or error}"
                raise CannotListen(told) from error
        time.sleep(0.1)


def _bound_once(options: ServeOptions) -> str:
    family, kind, protocol, _, address = socket.getaddrinfo(
        options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
    return str(address[0])
