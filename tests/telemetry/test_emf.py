"""What a function writes for CloudWatch, in its embedded metric format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.metrics import Metric
from chalicelib.telemetry.emf import EmfMetrics

FEW_BYTES = 240  # of the line that each accepted crash costs at the door


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "crashbucket-prod")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_flush_writes_one_line_with_all_that_was_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics = EmfMetrics()
    metrics.count(Metric.PROCESSED, 25, app_id="a")
    metrics.count(Metric.PROCESSED, 5, app_id="b")
    metrics.observe(Metric.PROCESSING_MS, 12.5)
    metrics.observe(Metric.PROCESSING_MS, 14.5)
    metrics.gauge(Metric.QUEUE_DEPTH, 9)
    metrics.gauge(Metric.QUEUE_DEPTH, 7)
    metrics.flush()
    (line,) = lines(capsys)
    (told,) = line["_aws"]["CloudWatchMetrics"]
    assert (told["Namespace"], told["Dimensions"]) == ("Crashbucket", [["service"]])
    assert {metric["Name"]: metric["Unit"] for metric in told["Metrics"]} == {
        "ProcessedCrashes": "Count",
        "ProcessingTime": "Milliseconds",
        "QueueDepth": "Count",
    }
    assert line["service"] == "crashbucket-prod"
    assert line["ProcessedCrashes"] == [30]
    assert line["ProcessingTime"] == [12.5, 14.5]
    assert line["QueueDepth"] == [7]


def test_what_was_flushed_is_not_written_again(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = EmfMetrics()
    metrics.count(Metric.RECEIVED)
    metrics.flush()
    metrics.flush()
    assert len(lines(capsys)) == 1


def test_only_the_named_apps_have_metrics_of_their_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics = EmfMetrics(["a"])
    metrics.count(Metric.RECEIVED, app_id="a")
    metrics.count(Metric.RECEIVED, app_id="b")
    metrics.flush()
    whole, of_app = lines(capsys)
    assert whole["ReceivedCrashes"] == [2]
    (told,) = of_app["_aws"]["CloudWatchMetrics"]
    assert sorted(told["Dimensions"][0]) == ["app", "service"]
    assert (of_app["app"], of_app["ReceivedCrashes"]) == ("a", [1])


def test_the_line_of_an_accepted_crash_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = EmfMetrics()
    metrics.count(Metric.RECEIVED, app_id="a")
    metrics.flush()
    assert len(capsys.readouterr().out) < FEW_BYTES


def test_no_metric_takes_more_values_than_the_format_allows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics = EmfMetrics()
    for _ in range(150):
        metrics.observe(Metric.PROCESSING_MS, 1.0)
    metrics.flush()
    assert [len(line["ProcessingTime"]) for line in lines(capsys)] == [99]
