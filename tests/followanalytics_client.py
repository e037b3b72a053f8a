"""What FollowAnalytics' API clients send."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode, urlsplit

from chalicelib import clock
from chalicelib.bootstrap import Services
from chalicelib.payload import Payload
from chalicelib.records import App
from chalicelib.worker import Worker
from tests.crashes import android_log
from tests.wsgi_client import Answer, request

HOST = "crashes.example.com"


def ask(path: str, token: str | None = None, **query: str) -> Answer:
    headers = {"Host": HOST, "Accept": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Token {token}"
    return request("GET", f"{path}?{urlencode(query)}" if query else path, headers=headers)


def sign_in(email: str, password: str) -> str:
    """The token, found as the platform's scripts find it: by the text around it."""
    body = json.dumps({"email": email, "password": password}).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    answer = request("POST", "/api/login", body, headers)
    assert answer.status == 200, answer.text
    found = re.search(r'"auth_token":"([^"]*)"', answer.text)
    assert found
    return found[1]


def follow(link: str) -> Answer:
    """What a link gives, without credentials."""
    parts = urlsplit(link)
    assert parts.netloc in {HOST, "localhost"}
    return request("GET", f"{parts.path}?{parts.query}")


def crash(services: Services, app: App, cause: str = "a", **fields: str) -> int:
    """The id of a crash that waits to be processed."""
    received = Payload(app.app_id, "hockeyapp", clock.now(), android_log(cause), fields=fields)
    return services.intake.receive(received)


def group_of(services: Services, report_id: int) -> int:
    return services.crashes.report(report_id).group_id


def work(services: Services) -> None:
    """Everything that waits for a worker."""
    Worker(services).drain()


def occurrences(group_id: int, token: str, **query: str) -> list[dict[str, Any]]:
    answer = ask(f"/api/crashes/{group_id}/occurrences", token, **query)
    assert answer.status == 200, answer.text
    listed: list[dict[str, Any]] = answer.json["result"]
    return listed


def export(group_id: int, occurrence: dict[str, str], token: str) -> Answer:
    return ask(f"/api/crashes/{group_id}/export_occurrences", token, **occurrence)
