"""Receive a crash: make it durable, then answer. Nothing is read or judged here."""

from __future__ import annotations

from chalicelib import keys, payload
from chalicelib.ids import IdSource
from chalicelib.intake_limit import IntakeLimit
from chalicelib.metrics import Metric, Metrics, NoMetrics
from chalicelib.payload import Payload
from chalicelib.storage.ports import BlobExists, Blobs


class Intake:
    """The one way in for every door.

    The put is also the event: the store queues every blob that appears under
    `raw/` by itself, so there is no moment at which a payload is stored but
    not queued, and a client that has its answer can forget the crash.
    """

    def __init__(
        self,
        blobs: Blobs,
        ids: IdSource,
        metrics: Metrics | None = None,
        limit: IntakeLimit | None = None,
    ) -> None:
        """Without a limit every crash is taken."""
        self._blobs = blobs
        self._ids = ids
        self._metrics = metrics or NoMetrics()
        self._limit = limit

    def require_open(self, app_id: str) -> None:
        """Raises `TooManyCrashes` while no crash of the app is taken: for doors that take several
        in one request, all of them or none."""
        if self._limit is not None:
            self._limit.check(app_id)

    def receive(self, received: Payload, *, admitted: bool = False) -> int:
        """Durable when it returns; the id under which the report will be found.

        Raises `TooManyCrashes`, unless it was `admitted` before.
        """
        if not admitted:
            self.require_open(received.app_id)
        data = payload.encode(received)
        while True:
            report_id = self._ids.next()
            try:
                self._blobs.put(keys.raw_blob(report_id), data, if_absent=True)
            except BlobExists:  # another process made the same id in the same millisecond
                continue
            self._metrics.count(Metric.RECEIVED, app_id=received.app_id)
            if self._limit is not None:
                self._limit.count(received.app_id)
            return report_id
