"""Work that is done every minute and every hour, once, however many processes there are.

On AWS a schedule calls the functions `detect` and `sweep`; embedded, a process
of the server does (`infra/schedule_process.py`). Both may do so twice, or from
several processes: each job takes a *lease* on the period first, by a
conditional write, and only who gets it runs the job. A job that fails, or that
a killed process did not finish, is left for the next period.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib import clock, keys
from chalicelib.bootstrap import Services
from chalicelib.metrics import Metric
from chalicelib.retention import Retention
from chalicelib.storage.ports import ConditionFailed, Conflict, Table, Update

_log = logging.getLogger(__name__)

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
_WRONG_CLOCK = 60  # periods ahead: whoever took that lease had another time than we


@dataclass(frozen=True, slots=True)
class Job:
    """A job by its name, which its lease has; it must stand to be stopped at any moment."""

    name: str
    run: Callable[[Services], object]


def _sweep_exports(services: Services) -> None:
    services.exports.sweep()


def _detect(services: Services) -> None:
    services.detector.tick()


def _sweep_symbol_uploads(services: Services) -> None:
    services.symbol_uploads.sweep()


def _look_for_what_is_old(services: Services) -> None:
    Retention(services).look()


def _send_what_was_left(services: Services) -> None:
    services.outbox.sweep()


def _measure(services: Services) -> None:
    services.metrics.gauge(Metric.QUEUE_DEPTH, services.queue.depth())


EVERY_MINUTE: Sequence[Job] = (
    Job("detect", _detect),
    Job("send_notifications", _send_what_was_left),
    Job("measure", _measure),
)
EVERY_HOUR: Sequence[Job] = (
    Job("sweep_exports", _sweep_exports),
    Job("sweep_symbol_uploads", _sweep_symbol_uploads),
    Job("retention", _look_for_what_is_old),
)


def every_minute(services: Services, now: datetime | None = None) -> None:
    """What the function `detect` does, and the embedded server by itself."""
    _run(services, EVERY_MINUTE, MINUTE, now or clock.now())


def every_hour(services: Services, now: datetime | None = None) -> None:
    """What the function `sweep` does, and the embedded server by itself."""
    _run(services, EVERY_HOUR, HOUR, now or clock.now())


def _run(services: Services, jobs: Sequence[Job], period: timedelta, now: datetime) -> None:
    number = int(now.timestamp() // period.total_seconds())
    for job in jobs:
        try:
            if leased(services.table, job.name, number):
                job.run(services)
        except Exception:  # the others do not depend on it
            _log.exception("the job %s failed", job.name)


def leased(table: Table, name: str, number: int) -> bool:
    """Whether this process is the one to do the job in the period of that number."""
    key = keys.lease(name)
    last = (table.get(key) or {}).get("period")
    if isinstance(last, int) and number <= last < number + _WRONG_CLOCK:
        return False
    with suppress(ConditionFailed, Conflict):
        table.write([Update(key, set={"period": number}, require={"period": last})])
        return True
    return False
