"""Counts of several processes in one folder, as Prometheus reads them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chalicelib.metrics import Metric
from chalicelib.telemetry.prometheus import Gauge, PrometheusMetrics
from tests.server import ROOT

_COUNTING = """
import os, sys
from pathlib import Path
from chalicelib.metrics import Metric
from chalicelib.telemetry.prometheus import PrometheusMetrics
metrics = PrometheusMetrics(Path(sys.argv[1]))
metrics.count(Metric.RECEIVED, int(sys.argv[2]), app_id="a")
print("counted", flush=True)
if sys.argv[3:]:
    sys.stdin.read()
os._exit(9)  # as a killed process goes
"""


Open = Callable[..., PrometheusMetrics]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Makes the metrics of this process in the test's folder."""
    made: list[PrometheusMetrics] = []

    def make(gauges: Sequence[Gauge] = ()) -> PrometheusMetrics:
        made.append(PrometheusMetrics(tmp_path, gauges))
        return made[-1]

    yield make
    for metrics in made:
        metrics.close()


def counting(folder: Path, value: int, *, stays: bool = False) -> subprocess.Popen[str]:
    """A process that has counted, and is gone or (`stays`) waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", _COUNTING, str(folder), str(value), *(["stays"] if stays else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout
    assert process.stdout.readline() == "counted\n"
    if not stays:
        end(process)
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.communicate()


def samples(text: bytes) -> dict[str, float]:
    return {
        sample.name + "".join(f"/{value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def nobody(_: str) -> bool:
    return False


def test_what_all_processes_counted_is_added_up(tmp_path: Path, opened: Open) -> None:
    living = counting(tmp_path, 3, stays=True)
    counting(tmp_path, 4)
    metrics = opened()
    metrics.count(Metric.RECEIVED, 5, app_id="b")
    told = samples(metrics.text(nobody))
    assert told["crashbucket_received_crashes_total"] == 12
    assert told["crashbucket_failed_crashes_total"] == 0
    end(living)


def test_a_process_goes_on_with_the_files_of_a_dead_one(tmp_path: Path, opened: Open) -> None:
    for _ in range(3):
        counting(tmp_path, 2)
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["0.lock", "counter_0.db", "histogram_0.db"]
    told = samples(opened().text(nobody))
    assert told["crashbucket_received_crashes_total"] == 6


def test_living_processes_share_no_file(tmp_path: Path, opened: Open) -> None:
    living = [counting(tmp_path, 1, stays=True) for _ in range(2)]
    assert {file.name for file in tmp_path.glob("counter*")} == {"counter_0.db", "counter_1.db"}
    for process in living:
        end(process)


def test_counts_of_an_app_are_shown_only_where_it_is(tmp_path: Path, opened: Open) -> None:
    metrics = opened()
    metrics.count(Metric.PROCESSED, 2, app_id="mine")
    metrics.count(Metric.PROCESSED, 3, app_id="theirs")
    told = samples(metrics.text(lambda app_id: app_id == "mine"))
    assert told["crashbucket_processed_crashes_total"] == 5
    assert told["crashbucket_app_processed_crashes_total/mine"] == 2
    assert b"theirs" not in metrics.text(lambda app_id: app_id == "mine")
    assert b"mine" not in metrics.text(nobody)


def test_many_apps_share_one_name(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.telemetry.prometheus._MAX_APPS", 2)
    metrics = opened()
    for app_id in "abcda":
        metrics.count(Metric.RECEIVED, app_id=app_id)
    told = samples(metrics.text(lambda _: True))
    of_apps = {
        name.partition("/")[2]: value
        for name, value in told.items()
        if name.startswith("crashbucket_app_received_crashes_total/")
    }
    assert of_apps == {"a": 2, "b": 1, "others": 2}


def test_times_are_in_seconds(tmp_path: Path, opened: Open) -> None:
    metrics = opened()
    metrics.observe(Metric.PROCESSING_MS, 40)
    metrics.observe(Metric.PROCESSING_MS, 400)
    told = samples(metrics.text(nobody))
    assert told["crashbucket_processing_seconds_sum"] == pytest.approx(0.44)
    assert told["crashbucket_processing_seconds_count"] == 2
    assert told["crashbucket_processing_seconds_bucket/0.05"] == 1


def test_a_gauge_is_asked_when_somebody_looks(tmp_path: Path, opened: Open) -> None:
    depth = iter([3.0, 4.0])
    metrics = opened([Gauge("waiting", "What waits.", lambda: next(depth))])
    assert samples(metrics.text(nobody))["crashbucket_waiting"] == 3
    assert samples(metrics.text(nobody))["crashbucket_waiting"] == 4


_DAMAGE = {"empty": b"", "ones": b"\xff" * 100, "half": b"\x40\0\0\0" + b"\0" * 60}


@pytest.mark.parametrize("damage", _DAMAGE.values(), ids=_DAMAGE)
def test_a_damaged_file_costs_its_own_counts_only(
    tmp_path: Path, opened: Open, damage: bytes
) -> None:
    counting(tmp_path, 7)
    living = counting(tmp_path, 0, stays=True)
    other = counting(tmp_path, 2, stays=True)
    (tmp_path / "counter_0.db").write_bytes(damage)
    end(living)
    metrics = opened()  # takes the slot of the damaged file
    metrics.count(Metric.RECEIVED)
    assert samples(metrics.text(nobody))["crashbucket_received_crashes_total"] == 3
    end(other)


def test_every_metric_has_its_name(tmp_path: Path, opened: Open) -> None:
    metrics = opened()
    times = {Metric.PROCESSING_MS, Metric.QUEUE_AGE_S}
    for metric in Metric:
        if metric in times:
            metrics.observe(metric, 1)
        elif metric is Metric.QUEUE_DEPTH:
            metrics.gauge(metric, 1)
        else:
            metrics.count(metric, app_id="a")
    told = samples(metrics.text(nobody))
    assert sum(name.endswith("_total") for name in told) == len(Metric) - 3
