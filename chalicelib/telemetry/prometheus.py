"""Metrics of the embedded server for Prometheus, kept by all of its processes together.

Each process counts in memory-mapped files of its own, in the folder
`metrics`; whoever answers `/metrics` adds them up. A count takes about a
microsecond and survives the process. Files are named after a *slot*, which a
process has locked as long as it lives: one that is started in the place of a
dead one goes on with its files, so there are never more of them than processes
at once, and no counter falls.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from chalicelib.metrics import Metric

FOLDER = "metrics"
_MAX_SLOTS = 1000
_MAX_APPS = 1000  # with counters of their own; a scrape reads all of them
_MAX_CHILDREN = 10_000
_OTHERS = "others"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_OF_APPS = "crashbucket_app_"

_COUNTED: Mapping[Metric, str] = {
    Metric.RECEIVED: "Crashes that a door took.",
    Metric.REFUSED: "Crashes that were refused, above their app's quota.",
    Metric.PROCESSED: "Crashes that were stored and counted.",
    Metric.SAMPLED_OUT: "Crashes that were counted and not kept.",
    Metric.FAILED: "Crashes that became dead letters.",
    Metric.NEW_GROUPS: "Groups that were opened.",
    Metric.REGRESSED_GROUPS: "Resolved groups that crashed again.",
    Metric.TASKS_FAILED: "Tasks that failed and are tried again.",
    Metric.ALERTS: "Alerts that were opened.",
    Metric.DELIVERED: "Notifications that were delivered.",
    Metric.UNDELIVERED: "Notifications that were given up.",
    Metric.EXPIRED: "Crashes that were deleted when their time was over.",
}


class _Observed(NamedTuple):
    name: str
    text: str
    unit_s: float
    buckets: Sequence[float]  # in seconds


_OBSERVED: Mapping[Metric, _Observed] = {
    Metric.PROCESSING_MS: _Observed(
        "processing_seconds",
        "Seconds that the processing of a batch took.",
        0.001,
        (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    ),
    Metric.QUEUE_AGE_S: _Observed(
        "queue_wait_seconds",
        "Seconds from the receipt of a batch's oldest crash to the end of its processing.",
        1,
        (0.05, 0.1, 0.25, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600),
    ),
}


@dataclass(frozen=True, slots=True)
class Gauge:
    """What something is at the moment of a scrape."""

    name: str
    text: str
    now: Callable[[], float]


class PrometheusMetrics:
    """Counts into the files of this process's slot in `folder`, which is made at need."""

    def __init__(self, folder: Path, gauges: Sequence[Gauge] = ()) -> None:
        self._folder = folder
        self._gauges = gauges
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        slot, self._lock = _free_slot(folder)
        _remove_damaged(folder, slot)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        import prometheus_client as library  # noqa: PLC0415 - reads the environment
        from prometheus_client import values  # noqa: PLC0415

        values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]
        self._close_files = values.ValueClass.close_all_files
        registry = library.CollectorRegistry()  # unused: the files are what is collected
        self._totals = {
            metric: library.Counter(f"crashbucket_{_snake(metric)}", text, registry=registry)
            for metric, text in _COUNTED.items()
        }
        self._of_apps = {
            metric: library.Counter(f"{_OF_APPS}{_snake(metric)}", text, ["app"], registry=registry)
            for metric, text in _COUNTED.items()
        }
        self._observed = {
            metric: (
                library.Histogram(
                    f"crashbucket_{seen.name}", seen.text, buckets=seen.buckets, registry=registry
                ),
                seen.unit_s,
            )
            for metric, seen in _OBSERVED.items()
        }
        self._apps: set[str] = set()
        self._children: dict[tuple[Metric, str], Any] = {}  # quicker than the library's lookup

    def count(self, metric: Metric, value: int = 1, *, app_id: str | None = None) -> None:
        self._totals[metric].inc(value)
        if app_id is not None:
            of_app = self._children.get((metric, app_id))
            if of_app is None:
                of_app = self._of_apps[metric].labels(self._label(app_id))
                if len(self._children) < _MAX_CHILDREN:
                    self._children[metric, app_id] = of_app
            of_app.inc(value)

    def observe(self, metric: Metric, value: float) -> None:
        histogram, unit_s = self._observed[metric]
        histogram.observe(value * unit_s)

    def gauge(self, metric: Metric, value: float) -> None:
        """Nothing: what something is now is asked when somebody wants to know."""

    def flush(self) -> None:
        """Nothing: it is in the files."""

    def close(self) -> None:
        """Give the slot to others; what was counted stays."""
        self._close_files()
        os.close(self._lock)

    def text(self, shows: Callable[[str], bool]) -> bytes:
        """All processes' counts and the gauges, in Prometheus' text format (version 0.0.4).

        Counts of single apps only of those that it `shows`.
        """
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415

        registry = CollectorRegistry()
        registry.register(_Families(list(self._families(shows))))
        return generate_latest(registry)

    def _families(self, shows: Callable[[str], bool]) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

        files = [str(file) for file in sorted(self._folder.glob("*.db")) if _is_sound(file)]
        for family in MultiProcessCollector.merge(files):  # type: ignore[no-untyped-call]
            if family.name.startswith(_OF_APPS):
                family.samples = [it for it in family.samples if shows(it.labels["app"])]
            if family.samples:
                yield family
        for gauge in self._gauges:
            yield GaugeMetricFamily(f"crashbucket_{gauge.name}", gauge.text, gauge.now())

    def _label(self, app_id: str) -> str:
        if app_id in self._apps or len(self._apps) < _MAX_APPS:
            self._apps.add(app_id)
            return app_id
        return _OTHERS


class _Families:
    """What a registry takes for a collector."""

    def __init__(self, families: Sequence[Any]) -> None:
        self._families = families

    def describe(self) -> Sequence[Any]:
        return ()

    def collect(self) -> Sequence[Any]:
        return self._families


def _snake(metric: Metric) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", metric.value).lower()


def _free_slot(folder: Path) -> tuple[str, int]:
    """A slot that no living process has, and the lock that keeps it."""
    for number in range(_MAX_SLOTS):
        lock = os.open(folder / f"{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return str(number), lock
    raise RuntimeError(f"all of {_MAX_SLOTS} slots in {folder} are taken")


def _remove_damaged(folder: Path, slot: str) -> None:
    """A machine that lost its power may have written half of a file."""
    for file in folder.glob(f"*_{slot}.db"):
        if not _is_sound(file):
            with suppress(FileNotFoundError):
                file.unlink()


def _is_sound(file: Path) -> bool:
    """Whether all of a file can be read; one that is just being made cannot."""
    from prometheus_client.mmap_dict import MmapedDict  # noqa: PLC0415

    try:
        with file.open("rb") as opened:
            (used,) = struct.unpack("i", opened.read(4))
        if used < 0:
            return False
        values = MmapedDict.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
        for key, *_ in values:
            json.loads(key)
    except (OSError, ValueError, RuntimeError, struct.error):
        return False
    return True
