"""The HockeyApp document's requests, one by one, answered field by field."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chalicelib.bootstrap import Services
from chalicelib.records import App
from tests.crashes import ANDROID_EXAMPLE, drain
from tests.wsgi_client import Answer, get, post_form, request

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

# The fields of the document's answers, each with what its example shows.
GROUP: dict[str, Any] = {
    "id": int, "app_id": int, "app_version_id": int, "number_of_crashes": int, "created_at": TIME,
    "updated_at": TIME, "last_crash_at": TIME, "bundle_short_version": str, "bundle_version": str,
    "status": int, "fixed": bool, "file": str, "class": str, "method": str, "line": str,
    "reason": str,
}  # fmt: skip
CRASH: dict[str, Any] = {
    "id": int, "app_id": int, "app_version_id": int, "crash_reason_id": int, "created_at": TIME,
    "updated_at": TIME, "oem": str, "model": str, "bundle_version": str,
    "bundle_short_version": str, "contact_string": str, "user_string": str, "os_version": str,
}  # fmt: skip
PAGE: dict[str, Any] = {
    "total_entries": 1, "total_pages": 1, "per_page": 25, "status": "success", "current_page": 1,
}  # fmt: skip


class Api:
    """The app that the document's requests are about, with its one crash in."""

    def __init__(self, services: Services, app: App) -> None:
        self.base = f"/api/2/apps/{app.app_id}"
        self.token = services.accounts.create_token("write", app_id=app.app_id)
        files = {
            "log": ANDROID_EXAMPLE.encode(),
            "description": b"what I did",
            "attachment0": b"some.dat",
        }
        fields = {"userID": "1234567890", "contact": "test@test.test"}
        answer = post_form(f"{self.base}/crashes/upload", fields, files)
        assert answer.status == 201
        drain(services)
        (report,) = services.crashes.of_app(app.app_id)
        self.crash, self.group, self.version = (
            report.report_id, report.group_id, report.version_id,
        )  # fmt: skip

    def get(self, path: str) -> Answer:
        return get(f"{self.base}{path}", self.token)

    def delete(self, path: str) -> Answer:
        return request("DELETE", f"{self.base}{path}", headers={"X-HockeyAppToken": self.token})


@pytest.fixture
def api(services: Services, app: App) -> Api:
    return Api(services, app)


def check(entry: dict[str, Any], documented: dict[str, Any]) -> None:
    for name, kind in documented.items():
        value = entry[name]
        if isinstance(kind, re.Pattern):
            assert kind.fullmatch(value), (name, value)
        else:
            assert type(value) is kind, (name, value)


def check_page(answer: Answer, name: str, documented: dict[str, Any]) -> dict[str, Any]:
    assert answer.status == 200, answer.text
    told = answer.json
    assert {key: told[key] for key in PAGE} == PAGE
    assert set(told) - set(PAGE) - {"crash_reason"} == {name}
    (entry,) = told[name]
    check(entry, documented)
    return dict(entry)


@pytest.mark.parametrize("version", [False, True])
def test_list_crash_groups(api: Api, version: bool) -> None:
    below = f"/app_versions/{api.version}" if version else ""
    answer = api.get(f"{below}/crash_reasons?symbolicated=1&page=1")
    group = check_page(answer, "crash_reasons", GROUP)
    assert (group["id"], group["status"], group["fixed"]) == (api.group, 0, False)
    assert group["reason"] == "java.lang.NullPointerException"


def test_list_of_crashes_in_crash_group(api: Api) -> None:
    answer = api.get(f"/crash_reasons/{api.group}?page=1")
    crash = check_page(answer, "crashes", CRASH)
    assert {name: crash[name] for name in ("id", "crash_reason_id", "oem", "model")} == {
        "id": api.crash, "crash_reason_id": api.group, "oem": "HTC", "model": "HTC Desire",
    }  # fmt: skip
    assert (crash["os_version"], crash["bundle_version"]) == ("2.2", "33")
    assert (crash["user_string"], crash["contact_string"]) == ("1234567890", "test@test.test")
    assert crash["jail_break"] in {True, False, None}
    check(answer.json["crash_reason"], GROUP)


@pytest.mark.parametrize(
    ("kind", "content"), [("log", ANDROID_EXAMPLE), ("text", "what I did"), ("json", None)]
)
def test_download_log_and_description(api: Api, kind: str, content: str | None) -> None:
    answer = api.get(f"/crashes/{api.crash}?format={kind}")
    assert answer.status == 200
    if content is None:
        check(answer.json, CRASH)
    else:
        assert answer.text == content
        assert answer.headers["content-type"].startswith("text/plain")


def test_histogram(api: Api) -> None:
    for path in (
        "/crashes/histogram",
        f"/app_versions/{api.version}/crashes/histogram",
        f"/crash_reasons/{api.group}/histogram",
    ):
        answer = api.get(f"{path}?start_date=2013-06-01&end_date=2013-06-15")
        assert answer.status == 200
        expected = [[f"2013-06-{day:02d}", 0] for day in range(1, 16)]
        assert answer.json == {"status": "success", "histogram": expected}


@pytest.mark.parametrize("version", [False, True])
def test_search_crashes(api: Api, version: bool) -> None:
    below = f"/app_versions/{api.version}" if version else ""
    assert api.get(f"{below}/crashes/search?query=os_version:6*").json["crashes"] == []
    check_page(api.get(f"{below}/crashes/search?query=os_version:2*"), "crashes", CRASH)


@pytest.mark.parametrize("version", [False, True])
def test_search_crash_groups(api: Api, version: bool) -> None:
    below = f"/app_versions/{api.version}" if version else ""
    none = api.get(f"{below}/crash_reasons/search?query=cmethod:objectAtIndex").json
    assert (none["crash_reasons"], none["total_entries"]) == ([], 0)
    answer = api.get(f"{below}/crash_reasons/search?query=cmethod:nextCleanInternal")
    check_page(answer, "crash_reasons", GROUP)


def test_update_group_status_and_ticket(api: Api) -> None:
    ticket = "https://github.com/bitstadium/HockeyApp/issues/15"
    answer = post_form(
        f"{api.base}/crash_reasons/{api.group}",
        {"status": "1", "ticket_url": ticket},
        X_HockeyAppToken=api.token,
    )
    assert (answer.status, answer.json["status"]) == (200, "success")
    check(answer.json["crash_reason"], GROUP)
    group = check_page(api.get("/crash_reasons"), "crash_reasons", GROUP)
    assert (group["status"], group["fixed"], group["ticket_url"]) == (1, True, ticket)


def test_post_custom_crashes(services: Services, api: Api) -> None:
    files = {"log": ANDROID_EXAMPLE.encode(), "description": b"x", "attachment0": b"y"}
    fields = {"userID": "1234567890", "contact": "thomas@dohmke.de"}
    answer = post_form(f"{api.base}/crashes/upload", fields, files)  # without a token
    assert answer.status == 201
    drain(services)
    (group,) = api.get("/crash_reasons").json["crash_reasons"]
    assert group["number_of_crashes"] == 2


def test_annotations(api: Api) -> None:
    path = f"/crash_reasons/{api.group}/crash_annotations"
    assert api.get(path).json == {"status": "empty", "crash_annotations": None}
    post_form(f"{api.base}{path}", {"text": "seen before"}, X_HockeyAppToken=api.token)
    told = api.get(path).json
    assert (told["status"], told["crash_annotations"][0]["text"]) == ("success", "seen before")
    assert api.delete(path).status == 200
    assert api.get(path).json["status"] == "empty"


def test_delete_crash(api: Api) -> None:
    assert api.delete(f"/crashes/{api.crash}").status == 200
    assert api.get(f"/crashes/{api.crash}?format=json").status == 404
    assert api.get("/crash_reasons").json["total_entries"] == 0


@pytest.mark.parametrize("version", [False, True])
@pytest.mark.parametrize("route", ["user_search", "search"])  # the example names the other one
def test_search_crashes_by_user_identifier(api: Api, version: bool, route: str) -> None:
    below = f"/app_versions/{api.version}" if version else ""
    answer = api.get(f"{below}/crashes/{route}?query=test@test.test")
    check_page(answer, "crashes", CRASH)
