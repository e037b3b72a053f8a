"""A body above the limit: each door says so in its own shape, and which way larger ones take."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.bootstrap import Services
from chalicelib.records import App
from tests.wsgi_client import multipart, request

_TWO_STEPS = "/uploads"
_COMMAND = "`crashbucket symbols upload`"


def _text(body: str) -> str:
    return body


def _at(*way: Any) -> Callable[[str], str]:
    """The text at a place of a JSON answer."""

    def found(body: str) -> str:
        told = json.loads(body)
        for step in way:
            told = told[step]
        assert isinstance(told, str)
        return told

    return found


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("method", "path", "told_in", "way_out"),
    [
        ("POST", "/service/crash_report/", _at("upload_file_minidump", 0), _TWO_STEPS),
        ("POST", "/breakpad/{app}/upload", _text, "/api/2/apps/{app}/uploads"),
        ("POST", "/api/{app}/minidump/", _at("detail"), "/api/2/apps/{app}/uploads"),
        ("POST", "/breakpad/{app}/symbols", _text, _COMMAND),
        ("PUT", "/breakpad/{app}/v1/uploads/KEY", _at("error", "message"), _COMMAND),
        ("POST", "/api/symbols/", _at("file", 0), _COMMAND),
        ("POST", "/api/2/apps/{app}/symbols", _at("errors", "body", 0), _COMMAND),
        ("POST", "/api/2/apps/{app}/app_versions/upload", _at("errors", "body", 0), _COMMAND),
        ("POST", "/api/2/apps/{app}/uploads", _at("errors", "body", 0), "20000000"),
        ("POST", "/api/2/apps/{app}/crashes", _at("errors", "body", 0), "20000000"),
        ("POST", "/api/2/apps/{app}/crashes/upload", _at("errors", "body", 0), "20000000"),
        ("POST", "/service/crash_details/1", _text, "20000000"),
    ],
)
def test_a_door_tells_of_too_large_a_body_in_its_own_shape(
    app: App,
    services: Services,
    method: str,
    path: str,
    told_in: Callable[[str], str],
    way_out: str,
    chunked: bool,
) -> None:
    body, headers = multipart({}, {"file": bytes(services.settings.max_body_bytes)})
    answer = request(method, path.format(app=app.app_id), body, headers, chunked=chunked)
    assert answer.status == 413, answer.text
    assert way_out.format(app=app.app_id) in told_in(answer.text)
