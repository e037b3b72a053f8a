"""What surrounds an invocation on Lambda: JSON logs with the request's id, metrics, traces."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from app import app as chalice_app
from chalicelib import bootstrap, correlation
from chalicelib.bootstrap import Services
from chalicelib.handlers import events
from chalicelib.records import App
from chalicelib.telemetry import functions, on_lambda
from chalicelib.telemetry.emf import EmfMetrics
from tests.crashes import ANDROID_EXAMPLE
from tests.handlers.test_events import Context, created, sqs
from tests.wsgi_client import multipart


@pytest.fixture
def as_function(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process as Lambda's, for a while."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "process")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "crashbucket-prod")
    functions._prepare.cache_clear()
    on_lambda.cache_clear()
    yield
    monkeypatch.undo()
    on_lambda.cache_clear()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def measured(services: Services) -> Iterator[Services]:
    built = bootstrap.build(
        services.settings, services.table, services.blobs, services.queue, metrics=EmfMetrics()
    )
    bootstrap.use(built)
    yield built
    bootstrap.use(services)


def post(app: App, request_id: str, log: str = ANDROID_EXAMPLE) -> dict[str, Any]:
    """What API Gateway hands on of an upload, answered."""
    body, headers = multipart({}, {"log": log.encode()})
    path = f"/api/2/apps/{app.app_id}/crashes/upload"
    return chalice_app(
        {
            "resource": "/api/2/apps/{app_id}/crashes/upload",
            "path": path,
            "httpMethod": "POST",
            "headers": {**headers, "accept": "application/json"},
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": None,
            "multiValueQueryStringParameters": None,
            "pathParameters": {"app_id": app.app_id},
            "stageVariables": None,
            "requestContext": {
                "resourcePath": "/api/2/apps/{app_id}/crashes/upload",
                "httpMethod": "POST",
                "requestId": request_id,
                "identity": {"sourceIp": "192.0.2.1"},
            },
            "body": body,
            "isBase64Encoded": False,
        },
        None,
    )


def test_a_crash_is_followed_from_the_request_to_the_lines_of_its_processing(
    measured: Services,
    app: App,
    as_function: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = post(app, "c6af9ac6-7b61-11e6-9a41-93e8deadbeef")
    assert answer["statusCode"] == 201, answer
    assert answer["headers"]["X-Request-Id"] == "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    received = json.loads(capsys.readouterr().out)
    assert received["ReceivedCrashes"] == [1]

    def broken(_: object) -> None:
        raise RuntimeError("a bug in the parser")

    monkeypatch.setattr(measured.processor, "_parse", broken)
    events.process(sqs(created(json.loads(answer["body"])["id"])), Context())
    line, counted = map(json.loads, capsys.readouterr().out.splitlines())
    assert line["correlation_id"] == "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    assert (line["level"], line["service"]) == ("ERROR", "crashbucket-prod")
    assert "a bug in the parser" in line["exception"]
    assert counted["FailedCrashes"] == [1]


def test_an_ordinary_batch_writes_its_metrics_and_nothing_else(
    measured: Services, app: App, as_function: None, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [json.loads(post(app, f"request-{number}")["body"])["id"] for number in range(3)]
    capsys.readouterr()
    events.process(sqs(*map(created, ids)), Context())
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["ProcessedCrashes"], line["NewGroups"]) == ([3], [1])
    assert len(line["ProcessingTime"]) == len(line["QueueAge"]) == 1


def test_a_failed_event_is_logged_under_its_own_id(
    measured: Services,
    app: App,
    as_function: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where it came with others, and it is the store that failed."""
    ids = [json.loads(post(app, f"request-{number}")["body"])["id"] for number in range(2)]
    capsys.readouterr()
    write = measured.table.write

    def failing(operations: Any) -> None:
        if any(ids[1] in getattr(it, "item", {}).values() for it in operations):
            raise OSError("the table is away")
        write(operations)

    monkeypatch.setattr(measured.table, "write", failing)
    answer = events.process(sqs(*map(created, ids)), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (failure,) = [line for line in logged if "level" in line]
    assert failure["correlation_id"] == "request-1"


def test_without_a_sampled_trace_the_tracing_library_is_not_imported(
    measured: Services, as_function: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0")
    monkeypatch.setattr("chalicelib.telemetry.tracing._tracer", None)
    assert functions.invoked("x", correlation.current, "mine") == "mine"


def test_outside_of_lambda_an_invocation_is_a_mere_call(services: Services) -> None:
    root = logging.getLogger()
    before = list(root.handlers)
    assert functions.invoked("x", lambda: 7, "mine") == 7
    assert root.handlers == before
