"""Metrics as CloudWatch's embedded metric format: a line of the log, which costs no request.

Format: Amazon CloudWatch User Guide, "Embedded metric format specification",
as powertools writes it. A line takes about 250 bytes with one metric and 60
more for each further one; a function writes one for each invocation in which
something was counted, so one for each batch of reports.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (
    AmazonCloudWatchEMFProvider,
)

from chalicelib.metrics import Metric

NAMESPACE = "Crashbucket"
APP_DIMENSION = "app"
_UNITS = {Metric.PROCESSING_MS: "Milliseconds", Metric.QUEUE_AGE_S: "Seconds"}
_MAX_VALUES = (
    99  # of one metric in a line; at the format's limit of 100, powertools would write one
)


class EmfMetrics:
    """Keeps what is counted until `flush` writes it to standard output.

    The dimension `service` is `POWERTOOLS_SERVICE_NAME`, the stack's name. A
    metric of one app costs 0.30 dollars a month, so only `apps` have their own.
    """

    def __init__(self, apps: Collection[str] = ()) -> None:
        self._apps = frozenset(apps)
        self._taken: defaultdict[str | None, dict[Metric, list[float]]] = defaultdict(dict)

    def count(self, metric: Metric, value: int = 1, *, app_id: str | None = None) -> None:
        self._add(None, metric, value)
        if app_id in self._apps:
            self._add(app_id, metric, value)

    def observe(self, metric: Metric, value: float) -> None:
        values = self._taken[None].setdefault(metric, [])
        if len(values) < _MAX_VALUES:
            values.append(value)

    def gauge(self, metric: Metric, value: float) -> None:
        self._taken[None][metric] = [value]

    def flush(self) -> None:
        taken = dict(self._taken)
        self._taken.clear()
        for app_id, metrics in taken.items():
            provider = AmazonCloudWatchEMFProvider(
                namespace=NAMESPACE, metric_set={}, dimension_set={}, metadata_set={}
            )
            if app_id is not None:
                provider.add_dimension(APP_DIMENSION, app_id)
            for metric, values in metrics.items():
                for value in values:
                    provider.add_metric(metric.value, _UNITS.get(metric, "Count"), value)
            provider.flush_metrics()

    def _add(self, app_id: str | None, metric: Metric, value: int) -> None:
        values = self._taken[app_id].setdefault(metric, [0])
        values[0] += value
