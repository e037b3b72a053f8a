"""What the service counts about itself: one list of names, whatever collects them.

A deployed function writes them as CloudWatch's embedded metric format, the
embedded server keeps them for Prometheus (`/metrics`).
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol


class Metric(Enum):
    """A metric: its name in CloudWatch and what it says."""

    RECEIVED = "ReceivedCrashes"
    REFUSED = "RefusedCrashes"  # above an app's quota: 429
    PROCESSED = "ProcessedCrashes"
    SAMPLED_OUT = "SampledOutCrashes"  # counted, and not kept
    FAILED = "FailedCrashes"  # became dead letters
    NEW_GROUPS = "NewGroups"
    REGRESSED_GROUPS = "RegressedGroups"
    TASKS_FAILED = "FailedTasks"
    PROCESSING_MS = "ProcessingTime"  # of one batch, in milliseconds
    QUEUE_AGE_S = "QueueAge"  # seconds since the receipt of the oldest of a batch
    QUEUE_DEPTH = "QueueDepth"
    ALERTS = "Alerts"
    DELIVERED = "DeliveredNotifications"
    UNDELIVERED = "UndeliveredNotifications"  # given up
    EXPIRED = "ExpiredCrashes"  # deleted by retention


class Metrics(Protocol):
    """Takes measurements; never fails, never blocks."""

    def count(self, metric: Metric, value: int = 1, *, app_id: str | None = None) -> None:
        """Add to a counter, of the whole service and, with `app_id`, of an app."""
        ...

    def observe(self, metric: Metric, value: float) -> None:
        """One value of a distribution, in the unit that the metric's name says."""
        ...

    def gauge(self, metric: Metric, value: float) -> None:
        """What something is at this moment."""
        ...

    def flush(self) -> None:
        """Hand on what was taken: at the end of an invocation, which may freeze the process."""
        ...


class NoMetrics:
    """For tests and commands: nothing is kept."""

    def count(self, metric: Metric, value: int = 1, *, app_id: str | None = None) -> None: ...

    def observe(self, metric: Metric, value: float) -> None: ...

    def gauge(self, metric: Metric, value: float) -> None: ...

    def flush(self) -> None: ...
