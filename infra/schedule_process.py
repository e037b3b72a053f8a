"""What the embedded server does every minute and every hour, and tells people of: `python -m
infra.schedule_process PARENT`. A process of its own, as none of it may hold up a crash."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable

from chalicelib import bootstrap, schedule
from chalicelib.config import Settings
from chalicelib.telemetry.logs import log_plainly
from infra.processes import StopSignal, end_with_parent

_LOOK_EVERY_S = 0.2
_FINISH_WITHIN_S = 8  # what is cut off is done in the next period
_FIRST_AFTER_S = 5.0  # those who start with this process are to be up first


def main(parent: int) -> None:
    """Call both schedules until SIGTERM, which also comes when the supervisor is gone."""
    log_plainly()
    stop = StopSignal(signal.SIGTERM, within_s=_FINISH_WITHIN_S)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the supervisor decides
    end_with_parent(parent, signal.SIGTERM)
    services = bootstrap.connect(Settings.from_environment(), measuring=True)
    # In threads: one waits for other people's servers, the other may delete for many minutes.
    _beside("notify", lambda: services.notifier.run(stop.asked))
    _beside("hourly", lambda: _repeat(lambda: schedule.every_hour(services), stop))
    _repeat(lambda: schedule.every_minute(services), stop)


def _beside(name: str, run: Callable[[], None]) -> None:
    threading.Thread(target=run, name=name, daemon=True).start()


def _repeat(run: Callable[[], None], stop: StopSignal) -> None:
    """Every minute: what is done in an hour, the first of those does (see `schedule.leased`)."""
    due_at = time.time() + _FIRST_AFTER_S
    while not stop.asked():
        if time.time() >= due_at:
            due_at = _next_minute(time.time())
            run()
        time.sleep(_LOOK_EVERY_S)


def _next_minute(now: float) -> float:
    minute = schedule.MINUTE.total_seconds()
    return (now // minute + 1) * minute


if __name__ == "__main__":
    main(int(sys.argv[-1]))
