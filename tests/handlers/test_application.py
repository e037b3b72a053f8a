"""The app as API Gateway calls it: REST API, Lambda proxy, every media type binary."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from chalice.deploy.swagger import TemplatedSwaggerGenerator
from chalice.deploy.validate import validate_route_content_types

from app import app as application
from chalicelib import keys
from chalicelib.bootstrap import Services
from chalicelib.records import App
from tests.crashes import android_log, drain
from tests.handlers.test_breakpad_symbols import SYMBOLS
from tests.minidump_forms import DUMP, Part, form
from tests.omaha_client import ask, posted


def event(
    method: str,
    route: str,
    variables: dict[str, str],
    body: bytes | None = None,
    query: dict[str, str] | None = None,
    **headers: str,
) -> dict[str, Any]:
    """What the Lambda function is called with (AWS, "Input format of a Lambda function for proxy
    integration")."""
    path = route.format(**variables)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "resource": route,
        "path": path,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {n: [v] for n, v in query.items()} if query else None,
        "pathParameters": variables or None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": route,
            "httpMethod": method,
            "path": f"/v1{path}",
            "stage": "v1",
            "identity": {"sourceIp": "203.0.113.7"},
        },
        "body": None if body is None else base64.b64encode(body).decode(),
        "isBase64Encoded": body is not None,
    }


def call(*told: Any, **headers: str) -> dict[str, Any]:
    """The answer, as it goes through JSON to API Gateway."""
    answer: dict[str, Any] = json.loads(json.dumps(application(event(*told, **headers), None)))
    return answer


def test_api_gateway_is_told_that_every_type_is_binary() -> None:
    validate_route_content_types(application.routes, application.api.binary_types)
    told = TemplatedSwaggerGenerator().generate_swagger(application)
    assert told["x-amazon-apigateway-binary-media-types"] == ["*/*"]


def test_a_form_with_a_dump_arrives_as_it_was_sent_and_the_answer_is_text(
    services: Services, app: App
) -> None:
    body, kind = form([Part("upload_file_minidump", DUMP, "a.dmp")])
    answer = call(
        "POST", "/breakpad/{app_id}/upload", {"app_id": app.app_id}, body, content_type=kind
    )
    assert (answer["statusCode"], answer.get("isBase64Encoded", False)) == (200, False)
    assert services.crashes.payload(int(answer["body"])).log == DUMP


def test_a_location_is_below_the_stage_that_the_client_sees(services: Services, app: App) -> None:
    body, kind = form([Part("log", android_log(), "a.log")])
    base, place = "/api/2/apps/{app_id}", {"app_id": app.app_id}
    upload = call("POST", f"{base}/crashes/upload", place, body, content_type=kind)
    begun = call("POST", f"{base}/uploads", place, b"{}")
    assert upload["statusCode"] == begun["statusCode"] == 201
    for answer in (upload, begun):
        assert answer["headers"]["Location"].startswith(f"/v1/api/2/apps/{app.app_id}/")


def test_a_body_without_a_type_arrives_too(services: Services, app: App) -> None:
    key = services.symbol_uploads.open(app.app_id)
    place = {"app_id": app.app_id, "upload": key}
    answer = call("PUT", "/breakpad/{app_id}/v1/uploads/{upload}", place, SYMBOLS + b"\xff\0")
    assert answer["statusCode"] == 200, answer
    (file,) = services.blobs.keys(keys.SYMBOL_UPLOADS)
    assert services.blobs.get(file) == SYMBOLS + b"\xff\0"


@pytest.mark.parametrize("accept", ["text/html,application/xhtml+xml,*/*;q=0.8", "*/*", ""])
def test_a_download_is_told_to_be_binary_whatever_the_client_accepts(
    services: Services, accept: str
) -> None:
    crash_id = posted()
    drain(services)
    told = ask(f"/api/crash_report/{crash_id}/", services.accounts.create_token("read")).json
    query = dict(parse_qsl(urlsplit(told["upload_file_minidump"]).query))
    answer = call(
        "GET",
        "/service/crash_report/{crash_id}/minidump",
        {"crash_id": str(crash_id)},
        None,
        query,
        accept=accept,
    )
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, True)
    assert base64.b64decode(answer["body"]) == DUMP
    headers = answer["headers"]
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Disposition"].startswith("attachment;")
