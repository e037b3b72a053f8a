"""HockeyApp's searches of crashes and of groups, in Lucene's syntax over its own field names."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from chalicelib import clock
from chalicelib.bootstrap import Services
from chalicelib.payload import Payload
from chalicelib.records import App
from tests.crashes import android_log, drain
from tests.wsgi_client import Answer, get


@pytest.fixture
def token(services: Services, app: App) -> str:
    """Reads an app with five crashes: of three causes, in two versions, of two people."""
    for number, (cause, version) in enumerate(
        [("alpha", "33"), ("alpha", "34"), ("beta", "34"), ("beta", "34"), ("gamma", "34")]
    ):
        log = android_log(cause, version)
        fields = {"user": "ann" if number < 2 else "bob", "contact": f"{number}@example.com"}
        fields["os_version"] = f"6.{number}" if number < 3 else "7.0"
        services.intake.receive(Payload(app.app_id, "hockeyapp", clock.now(), log, fields=fields))
    drain(services)
    return services.accounts.create_token("read", app_id=app.app_id)


def search(app: App, token: str, what: str, query: str, more: str = "") -> Answer:
    return get(f"/api/2/apps/{app.app_id}/{what}/search?query={quote(query)}{more}", token)


def version_of(app: App, token: str, number: str) -> int:
    listed = get(f"/api/2/apps/{app.app_id}/app_versions", token).json["app_versions"]
    return next(int(entry["id"]) for entry in listed if entry["version"] == number)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("os_version:6*", 3),
        ("bundle_version:34", 4),
        ("user_string:ann", 2),
        ('contact_string:"3@example.com"', 1),
        ("oem:google AND model:pixel*", 5),
        ("beta", 2),
        ("cmethod:fail", 5),
        ("os_version:[6.1 TO 7.0} AND user_string:bob", 1),
        ("created_at:>=2020-01-01", 5),
        ("created_at:<2020-01-01", 0),
        ("jail_break:true", 0),
    ],
)
def test_crashes_are_found_by_the_names_of_their_answer(
    app: App, token: str, query: str, found: int
) -> None:
    answer = search(app, token, "crashes", query)
    assert answer.status == 200
    body = answer.json
    assert (len(body["crashes"]), body["total_entries"], body["status"]) == (
        found,
        found,
        "success",
    )


def test_the_page_is_framed_as_every_list(app: App, token: str) -> None:
    body = search(app, token, "crashes", "os_version:6*", "&per_page=25&page=1").json
    framed: dict[str, Any] = {name: value for name, value in body.items() if name != "crashes"}
    assert framed == {
        "total_entries": 3, "total_pages": 1, "per_page": 25, "status": "success",
        "current_page": 1,
    }  # fmt: skip
    assert [crash["os_version"] for crash in body["crashes"]] == ["6.2", "6.1", "6.0"]


@pytest.mark.parametrize(
    ("query", "classes"),
    [
        ("cclass:*Beta", {"Beta"}),
        ("cmethod:fail", {"Alpha", "Beta", "Gamma"}),
        ("cfile:Gamma.java", {"Gamma"}),
        ("class:*Alpha OR cclass:*Gamma", {"Alpha", "Gamma"}),
        ("exception_type:IllegalStateException -alpha", {"Beta", "Gamma"}),
        ("status:open AND number_of_crashes:>=2", {"Alpha", "Beta"}),
        ("status:1", set()),
        ("cline:12", {"Alpha", "Beta", "Gamma"}),
    ],
)
def test_groups_are_found_by_what_names_them(
    app: App, token: str, query: str, classes: set[str]
) -> None:
    answer = search(app, token, "crash_reasons", query)
    found = {entry["class"].rpartition(".")[2] for entry in answer.json["crash_reasons"]}
    assert (answer.status, found) == (200, classes)


def test_a_versions_searches_see_that_version_only(app: App, token: str) -> None:
    version = version_of(app, token, "33")
    base = f"/api/2/apps/{app.app_id}/app_versions/{version}"
    assert get(f"{base}/crashes/search?query=os_version:6*", token).json["total_entries"] == 1
    [group] = get(f"{base}/crash_reasons/search?query=cmethod:fail", token).json["crash_reasons"]
    assert (group["number_of_crashes"], group["bundle_version"]) == (1, "33")


@pytest.mark.parametrize("what", ["crashes", "crash_reasons"])
@pytest.mark.parametrize("query", ["", "(", "os_version:", "/x/"])
def test_a_query_that_cannot_be_read_is_422_and_says_why(
    app: App, token: str, what: str, query: str
) -> None:
    answer = search(app, token, what, query)
    assert answer.status == 422
    assert answer.json["errors"]["query"]


def test_who_may_not_read_finds_nothing(services: Services, app: App) -> None:
    other = services.accounts.create_app("Other")
    foreign = services.accounts.create_token("read", app_id=other.app_id)
    upload = services.accounts.create_token("upload", app_id=app.app_id)
    for what in ("crashes", "crash_reasons"):
        path = f"/api/2/apps/{app.app_id}/{what}/search?query=x"
        assert get(path).status == 401
        assert get(path, "f" * 32).status == 401
        assert get(path, foreign).status == 404
        assert get(path, upload).status == 403
        assert get(path.replace(f"/{what}", f"/app_versions/1/{what}"), upload).status == 403
