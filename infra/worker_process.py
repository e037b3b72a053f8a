"""A worker process of the embedded server: `python -m infra.worker_process [--careful] PARENT`."""

from __future__ import annotations

import signal
import sys

from chalicelib import bootstrap
from chalicelib.config import Settings
from chalicelib.storage.embedded.blobs import EmbeddedBlobs
from chalicelib.telemetry.logs import log_plainly
from chalicelib.worker import Worker
from infra.processes import StopSignal, end_with_parent

_FINISH_WITHIN_S = 8  # no batch takes as long, and a task that is cut off is done again


def main(parent: int, *, careful: bool) -> None:
    """Work until SIGTERM, which also comes when the supervisor is gone."""
    log_plainly()
    stop = StopSignal(signal.SIGTERM, within_s=_FINISH_WITHIN_S)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the supervisor decides
    end_with_parent(parent, signal.SIGTERM)  # the batch under way is worth finishing
    services = bootstrap.connect(Settings.from_environment(), measuring=True)
    if isinstance(services.blobs, EmbeddedBlobs):
        services.blobs.remove_orphans()
    worker = Worker(services, careful=careful)
    worker.fold_what_was_left()
    worker.run(stop.asked)


if __name__ == "__main__":
    main(int(sys.argv[-1]), careful="--careful" in sys.argv)
