"""`/metrics` of a running server, and who sees what there."""

from __future__ import annotations

import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chalicelib import bootstrap
from chalicelib.bootstrap import Services
from chalicelib.metrics import Metric
from chalicelib.records import App
from chalicelib.telemetry.prometheus import PrometheusMetrics
from tests.crashes import ANDROID_EXAMPLE
from tests.faults.test_kill import command_of, descendants
from tests.server import RunningServer, wait_for
from tests.wsgi_client import get, multipart


def post(server: RunningServer) -> None:
    body, headers = multipart({}, {"log": ANDROID_EXAMPLE.encode()})
    url = f"{server.url}/api/2/apps/{server.demo['app_id']}/crashes/upload"
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as answer:
        assert answer.status == 201


def scraped(server: RunningServer) -> dict[str, float]:
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {s.name: s.value for family in families for s in family.samples if not s.labels}


def test_counters_rise_with_each_crash_and_fall_with_no_process(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", workers=2) as server:
        before = scraped(server)
        assert before["crashbucket_received_crashes_total"] == 0
        for _ in range(5):
            post(server)
        assert scraped(server)["crashbucket_received_crashes_total"] == 5

        def processed() -> bool:
            return scraped(server)["crashbucket_processed_crashes_total"] == 5

        assert wait_for(processed)
        assert server.process
        for pid in descendants(server.process.pid):
            if "infra.worker_process" in command_of(pid):
                os.kill(pid, signal.SIGKILL)
        post(server)
        assert wait_for(lambda: scraped(server)["crashbucket_processed_crashes_total"] == 6)
        told = scraped(server)
        assert told["crashbucket_received_crashes_total"] == 6
        assert told["crashbucket_new_groups_total"] == 1
        assert told["crashbucket_processing_seconds_count"] >= 2
        assert told["crashbucket_queue_messages"] == told["crashbucket_queue_age_seconds"] == 0
        assert told["crashbucket_dead_letters"] == 0


@pytest.fixture
def metrics(services: Services, tmp_path: Path) -> Iterator[PrometheusMetrics]:
    kept = PrometheusMetrics(tmp_path / "metrics")
    bootstrap.use(
        bootstrap.build(
            services.settings, services.table, services.blobs, services.queue, metrics=kept
        )
    )
    yield kept
    kept.close()


def test_who_may_read_an_app_sees_its_counts_and_others_the_totals(
    services: Services, app: App, metrics: PrometheusMetrics
) -> None:
    other = services.accounts.create_app("Other")
    for each in (app, other):
        metrics.count(Metric.RECEIVED, app_id=each.app_id)

    def seen(token: str | None) -> set[str]:
        text = get("/metrics", token).text
        assert "crashbucket_received_crashes_total 2.0" in text
        return {each.app_id for each in (app, other) if each.app_id in text}

    assert seen(None) == set()
    assert seen(services.accounts.create_token("read", app_id=app.app_id)) == {app.app_id}
    assert seen(services.accounts.create_token("read")) == {app.app_id, other.app_id}


@pytest.mark.usefixtures("metrics")
def test_a_wrong_token_is_told_so(services: Services, app: App) -> None:
    assert get("/metrics", "wrong").status == 401
    assert get("/metrics", services.accounts.create_token("upload")).status == 403


@pytest.mark.usefixtures("services")
def test_where_no_metrics_are_kept_it_says_where_they_are() -> None:
    answer = get("/metrics")
    assert answer.status == 404
    assert "CloudWatch" in answer.json["errors"]["metrics"][0]
