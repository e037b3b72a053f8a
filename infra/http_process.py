"""One HTTP process of the embedded server: `python -m infra.http_process HOST PORT PARENT`."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from typing import Any

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

from infra.processes import end_with_parent

# Most of a request is waiting: for the disk, or for the rest of a body from a slow phone.
_THREADS = 32
# A request has the disk's answer and waits for the interpreter: Python's 5 ms are five requests.
_SWITCH_S = 0.0005
_FINISH_WITHIN_S = 5  # for what is under way when the server stops


def main(host: str, port: int, parent: int) -> None:
    end_with_parent(parent)
    # Ctrl-C reaches all processes, and granian's would stop each other half-way: the supervisor
    # decides, and asks with SIGTERM.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    Server(
        "infra.http_process",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,  # the supervisor starts several of this process instead, and replaces each
        blocking_threads=_THREADS,
        websockets=False,
        log_level=LogLevels.error,
        workers_kill_timeout=_FINISH_WITHIN_S,
    ).serve(target_loader=_application, wrap_loader=False)


def _application() -> Any:
    """The WSGI application, made in the process that answers."""
    starter = multiprocessing.parent_process()
    assert starter is not None
    assert starter.pid is not None
    end_with_parent(starter.pid)

    from app import app  # noqa: PLC0415 - granian's own main process needs none of it
    from chalicelib import bootstrap  # noqa: PLC0415
    from chalicelib.config import Settings  # noqa: PLC0415
    from chalicelib.storage.embedded.blobs import EmbeddedBlobs  # noqa: PLC0415
    from chalicelib.telemetry.logs import log_plainly  # noqa: PLC0415
    from infra.signed_links import SignedLinks  # noqa: PLC0415
    from infra.wsgi import WsgiApp  # noqa: PLC0415

    sys.setswitchinterval(_SWITCH_S)
    log_plainly()
    built = bootstrap.connect(Settings.from_environment(), measuring=True)
    bootstrap.use(built)
    links = SignedLinks(built.blobs) if isinstance(built.blobs, EmbeddedBlobs) else None
    return WsgiApp(app, built.settings.max_body_bytes, links)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
