"""Requests to PartyCrasher's API, and reports to send it."""

from __future__ import annotations

import json
from typing import Any

from tests.wsgi_client import Answer, request

HOST = "https://domain.tld"
_HEADERS = {"Content-Type": "application/json", "Host": "domain.tld", "X-Forwarded-Proto": "https"}


def ask(method: str, path: str, body: Any = b"", **headers: str) -> Answer:
    """`body` as JSON unless it is bytes; underscores in header names stand for dashes."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return request(method, path, raw, _HEADERS | named)


def post(path: str, body: Any, **headers: str) -> Answer:
    return ask("POST", path, body, **headers)


def get(path: str, **headers: str) -> Answer:
    return ask("GET", path, **headers)


def report(database_id: str, *functions: str | None, **properties: Any) -> dict[str, Any]:
    """A report of the project `alan_parsons` with these functions, innermost first."""
    frames = [
        {"address": f"{4895406 + depth}", "depth": f"{depth}", "function": function}
        for depth, function in enumerate(functions)
    ]
    return {
        "database_id": database_id,
        "project": "alan_parsons",
        "date": "2016-02-29T10:00:00",
        "stacktrace": frames,
        **properties,
    }


def posted(database_id: str, *functions: str | None, **properties: Any) -> dict[str, Any]:
    """The answer to a report that was taken."""
    answer = post("/reports", report(database_id, *functions, **properties))
    assert answer.status == 201, answer.text
    body: dict[str, Any] = answer.json
    return body


def own_part(answered: dict[str, Any]) -> dict[str, Any]:
    """What is left of a report without the generated properties."""
    own = {k: v for k, v in answered.items() if k not in {"buckets", "href", "project_href"}}
    own["stacktrace"] = [
        {name: value for name, value in frame.items() if name != "logdf"}
        for frame in own["stacktrace"]
    ]
    return own
