"""What the service says of itself, and what it answers where nothing is."""

from __future__ import annotations

from tests.blackbox.client import Client
from tests.blackbox.target import PREFLIGHT, Target


def test_the_service_is_healthy(anyone: Client) -> None:
    answer = anyone.get("/healthz")
    assert (answer.status, answer.json["status"]) == (200, "ok")


def test_the_api_describes_itself(anyone: Client) -> None:
    document = anyone.get("/openapi.json")
    assert (document.status, document.json["openapi"]) == (200, "3.1.0")
    page = anyone.get("/docs")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "/crashes/upload" in page.text


def test_a_page_of_another_origin_may_ask(service: Target, anyone: Client) -> None:
    service.needs(PREFLIGHT)
    asked = {"Origin": "https://example.com", "Access-Control-Request-Method": "GET"}
    answer = anyone.send("OPTIONS", "/reports", headers=asked)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "*"


def test_unknown_paths_and_methods_are_refused(service: Target, admin: Client) -> None:
    """API Gateway has no 405: what it has no route for is not there."""
    wrong_method = 404 if service.is_gateway else 405
    for method, path, status in (("GET", "/x/y/z/nothing", 404), ("PATCH", "/docs", wrong_method)):
        answer = admin.send(method, path)
        assert answer.status == status
        assert answer.json["message"]


def test_nobody_reads_without_a_token(anyone: Client) -> None:
    for path in ("/api/2/apps", "/api/crash_report/", "/api/symbols/", "/api/jobs/0"):
        assert anyone.get(path).status == 401
