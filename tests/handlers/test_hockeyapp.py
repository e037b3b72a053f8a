"""The HockeyApp door, as its clients see it."""

from __future__ import annotations

import gzip
import plistlib
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.bootstrap import Services
from chalicelib.records import App
from tests.crashes import ANDROID_EXAMPLE, android_log, drain
from tests.wsgi_client import Answer, get, multipart, post_form, request

DOCUMENTED_GROUP_KEYS = {
    "id", "app_id", "app_version_id", "number_of_crashes", "created_at", "updated_at",
    "last_crash_at", "bundle_short_version", "bundle_version", "status", "fixed", "file", "class",
    "method", "line", "reason",
}  # fmt: skip
DOCUMENTED_CRASH_KEYS = {
    "id", "app_id", "app_version_id", "crash_reason_id", "created_at", "updated_at", "oem", "model",
    "bundle_version", "bundle_short_version", "contact_string", "user_string", "os_version",
    "jail_break",
}  # fmt: skip


@pytest.fixture
def token(services: Services) -> str:
    return services.accounts.create_token("read")


def upload(app: App, log: bytes | str = ANDROID_EXAMPLE, **fields: str) -> Answer:
    data = log.encode() if isinstance(log, str) else log
    return post_form(f"/api/2/apps/{app.app_id}/crashes/upload", fields, {"log": data})


def crash_id(answer: Answer) -> int:
    assert answer.status == 201, answer.text
    return int(plistlib.loads(answer.body)["id"])


# --- posting ---


def test_an_uploaded_crash_is_answered_201_with_the_documents_plist(
    services: Services, app: App
) -> None:
    answer = upload(app)
    assert answer.status == 201
    told = plistlib.loads(answer.body)
    assert told == {"id": told["id"], "delay": 1000, "status": -80}
    assert int(told["id"]) < 2**53


def test_a_client_that_asks_for_json_gets_json(services: Services, app: App) -> None:
    body, headers = multipart({}, {"log": ANDROID_EXAMPLE.encode()})
    path = f"/api/2/apps/{app.app_id}/crashes/upload"
    answer = request("POST", path, body, headers | {"Accept": "application/json"})
    assert answer.status == 201
    assert answer.json["status"] == "success"


def test_the_documents_example_ends_as_the_documented_group(
    services: Services, app: App, token: str
) -> None:
    upload(app)
    drain(services)
    listed = get(f"/api/2/apps/{app.app_id}/crash_reasons", token).json
    (group,) = listed["crash_reasons"]
    assert set(group) >= DOCUMENTED_GROUP_KEYS
    assert group["class"] == "org.json.JSONTokener"
    assert group["method"] == "nextCleanInternal"
    assert group["file"] == "JSONTokener.java"
    assert group["line"] == "112"
    assert group["number_of_crashes"] == 1
    paging = {name: listed[name] for name in set(listed) - {"crash_reasons"}}
    assert paging == {
        "total_entries": 1,
        "total_pages": 1,
        "per_page": 25,
        "status": "success",
        "current_page": 1,
    }


def test_the_android_sdk_posts_a_form_and_gets_201(services: Services, app: App) -> None:
    fields = {
        "raw": ANDROID_EXAMPLE,
        "userID": "ann",
        "contact": "a@example.com",
        "sdk": "HockeySDK",
    }
    answer = request(
        "POST",
        f"/api/2/apps/{app.app_id}/crashes/",
        urlencode(fields).encode(),
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    report_id = crash_id(answer)
    drain(services)
    report = services.crashes.report(report_id)
    assert (report.user, report.contact) == ("ann", "a@example.com")


def test_the_apple_sdk_posts_multipart_xml_and_gets_a_non_empty_201(services: Services) -> None:
    app = services.accounts.create_app("Mac", bundle_id="de.buzzworks.QuincyMacDemo")
    xml = (
        "<crashes><crash><applicationname>QuincyDemo</applicationname>"
        "<bundleidentifier>de.buzzworks.QuincyMacDemo</bundleidentifier><version>2</version>"
        "<log><![CDATA[Exception Type:  SIGSEGV\nCrashed Thread:  0\n\nThread 0 Crashed:\n"
        "0   QuincyDemo   0x000000010000115a -[Foo bar:] + 42\n]]></log></crash></crashes>"
    )
    answer = post_form(
        f"/api/2/apps/{app.app_id}/crashes", {"sdk": "HockeySDK"}, {"xml": xml.encode()}
    )
    report_id = crash_id(answer)
    drain(services)
    report = services.crashes.report(report_id)
    group = services.groups.group(app.app_id, report.group_id).group
    assert (group.class_name, group.method, group.exception_type) == ("Foo", "bar:", "SIGSEGV")


def test_description_and_attachments_are_kept(services: Services, app: App, token: str) -> None:
    files = {
        "log": ANDROID_EXAMPLE.encode(),
        "description": b"what I did",
        "attachment0": b"\x00\x01",
    }
    report_id = crash_id(post_form(f"/api/2/apps/{app.app_id}/crashes/upload", {}, files))
    drain(services)
    path = f"/api/2/apps/{app.app_id}/crashes/{report_id}"
    assert get(f"{path}?format=text", token).text == "what I did"
    assert get(f"{path}?format=json", token).json["has_description"] is True
    kept = services.crashes.payload(report_id, with_attachments=True).attachments
    assert [(item.name, item.data) for item in kept] == [("attachment0", b"\x00\x01")]


@pytest.mark.parametrize("coding", ["gzip", "chunked"])
def test_gzipped_and_chunked_bodies_are_read(services: Services, app: App, coding: str) -> None:
    body, headers = multipart({}, {"log": ANDROID_EXAMPLE.encode()})
    if coding == "gzip":
        body, headers = gzip.compress(body), headers | {"Content-Encoding": "gzip"}
    path = f"/api/2/apps/{app.app_id}/crashes/upload"
    assert request("POST", path, body, headers, chunked=coding == "chunked").status == 201


# --- refusing ---


def test_a_log_above_200_kb_is_413_and_at_200_kb_is_taken(services: Services, app: App) -> None:
    exact = android_log().ljust(200_000, b"x")
    assert upload(app, exact).status == 201
    answer = upload(app, exact + b"x")
    assert answer.status == 413
    assert "200000" in answer.json["errors"]["log"][0]


def test_a_package_of_another_app_is_422_naming_both(services: Services, app: App) -> None:
    answer = upload(app, ANDROID_EXAMPLE.replace("Package: de.codenauts.hockeyapp", "Package: a.b"))
    assert answer.status == 422
    assert "'a.b'" in answer.text
    assert "'de.codenauts.hockeyapp'" in answer.text


@pytest.mark.parametrize("field", ["userID", "contact"])
def test_strings_of_more_than_255_characters_are_422(
    services: Services, app: App, field: str
) -> None:
    assert upload(app, **{field: "ü" * 255}).status == 201
    answer = upload(app, **{field: "ü" * 256})
    assert (answer.status, list(answer.json["errors"])) == (422, [field])


def test_a_missing_log_an_empty_log_and_a_fourth_attachment_are_422(
    services: Services, app: App
) -> None:
    path = f"/api/2/apps/{app.app_id}/crashes/upload"
    assert post_form(path, {"userID": "x"}).json["errors"]["log"]
    assert upload(app, b"  \n").status == 422
    files = {"log": android_log(), "attachment3": b"x"}
    assert list(post_form(path, {}, files).json["errors"]) == ["attachment3"]
    assert services.queue.depth() == 0


def test_a_broken_gzip_a_bomb_and_a_cut_off_form_are_client_errors(
    services: Services, app: App
) -> None:
    path = f"/api/2/apps/{app.app_id}/crashes/upload"
    body, headers = multipart({}, {"log": android_log()})
    zipped = headers | {"Content-Encoding": "gzip"}
    assert request("POST", path, b"no gzip", zipped).status == 422
    assert request("POST", path, gzip.compress(body)[:-9], zipped).status == 422
    assert request("POST", path, gzip.compress(bytes(30_000_000)), zipped).status == 413
    assert request("POST", path, body[:-30], headers).status == 422
    assert services.queue.depth() == 0


def test_an_unknown_app_is_404(services: Services) -> None:
    answer = post_form("/api/2/apps/" + "0" * 32 + "/crashes/upload", {}, {"log": b"x"})
    assert (answer.status, answer.json) == (404, {"errors": {"app": ["not found"]}})


# --- reading ---


def test_crashes_of_a_group_are_listed_newest_first_and_paged(
    services: Services, app: App, token: str
) -> None:
    ids = [crash_id(upload(app, android_log("same"), userID=f"u{n}")) for n in range(30)]
    drain(services)
    (group,) = get(f"/api/2/apps/{app.app_id}/crash_reasons", token).json["crash_reasons"]
    path = f"/api/2/apps/{app.app_id}/crash_reasons/{group['id']}"
    first, second = get(path, token).json, get(f"{path}?page=2", token).json
    assert [c["id"] for c in (*first["crashes"], *second["crashes"])] == ids[::-1]
    assert (first["total_entries"], first["total_pages"]) == (30, 2)
    assert first["crash_reason"] == group
    assert set(first["crashes"][0]) >= DOCUMENTED_CRASH_KEYS
    assert first["crashes"][0]["user_string"] == "u29"


def test_versions_and_their_groups_are_listed(services: Services, app: App, token: str) -> None:
    for version in ("1", "2", "2"):
        upload(app, android_log("same", version))
    upload(app, android_log("other", "2"))
    drain(services)
    base = f"/api/2/apps/{app.app_id}/app_versions"
    versions = {v["version"]: v for v in get(base, token).json["app_versions"]}
    assert set(versions) == {"1", "2"}
    assert versions["1"]["shortversion"] == "1.1"
    path = f"{base}/{versions['2']['id']}/crash_reasons"
    listed = get(f"{path}?sort=number_of_crashes&order=desc", token).json["crash_reasons"]
    assert [(g["class"].rpartition(".")[2], g["number_of_crashes"]) for g in listed] == [
        ("Same", 2),
        ("Other", 1),
    ]
    crashes = get(f"{path}/{listed[0]['id']}", token).json
    assert crashes["total_entries"] == len(crashes["crashes"]) == 2


@pytest.mark.parametrize("sort", ["date", "class", "number_of_crashes", "last_crash_at"])
def test_groups_can_be_sorted_both_ways(
    services: Services, app: App, token: str, sort: str
) -> None:
    for cause in ("a", "b", "b", "c"):
        upload(app, android_log(cause))
        drain(services)
    path = f"/api/2/apps/{app.app_id}/crash_reasons?sort={sort}&order="
    down = [g["id"] for g in get(path + "desc", token).json["crash_reasons"]]
    up = [g["id"] for g in get(path + "asc", token).json["crash_reasons"]]
    assert len(down) == 3
    assert down == up[::-1]
    default = get(path.partition("&")[0], token).json["crash_reasons"]
    assert [g["id"] for g in default] == up


def test_the_log_is_downloaded_as_it_was_sent(services: Services, app: App, token: str) -> None:
    log = ANDROID_EXAMPLE + "Grüße\r\n"
    report_id = crash_id(upload(app, log))
    drain(services)
    answer = get(f"/api/2/apps/{app.app_id}/crashes/{report_id}?format=log", token)
    assert answer.body == log.encode()
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_crash_that_waits_is_202_and_a_missing_format_422(
    services: Services, app: App, token: str
) -> None:
    path = f"/api/2/apps/{app.app_id}/crashes/{crash_id(upload(app))}"
    assert get(f"{path}?format=log", token).status == 202
    drain(services)
    for query in ("", "?format=pdf"):
        answer = get(path + query, token)
        assert (answer.status, list(answer.json["errors"])) == (422, ["format"])


def test_feedback_without_a_token_is_the_documents_plist(services: Services, app: App) -> None:
    path = f"/api/2/apps/{app.app_id}/crashes/{crash_id(upload(app))}"
    assert plistlib.loads(get(path).body)["status"] == -80
    drain(services)
    answer = get(path)
    told = plistlib.loads(answer.body)
    assert answer.status == 200
    assert (told["id"], told["delay"], told["status"]) == (path.rpartition("/")[2], 0, 0)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("per_page=7", "per_page"),
        ("per_page=x", "per_page"),
        ("page=101", "page"),
        ("page=1e3", "page"),
        ("sort=size", "sort"),
        ("order=up", "order"),
    ],
)
def test_wrong_parameters_are_422_naming_the_field(
    services: Services, app: App, token: str, query: str, field: str
) -> None:
    answer = get(f"/api/2/apps/{app.app_id}/crash_reasons?{query}", token)
    assert (answer.status, list(answer.json["errors"])) == (422, [field])


@pytest.mark.parametrize("page", ["0", "-1", "1"])
def test_a_page_below_one_is_the_first(services: Services, app: App, token: str, page: str) -> None:
    upload(app)
    drain(services)
    listed = get(f"/api/2/apps/{app.app_id}/crash_reasons?page={page}", token).json
    assert (listed["current_page"], len(listed["crash_reasons"])) == (1, 1)


# --- who may ---

READING = (
    "/api/2/apps/{app}",
    "/api/2/apps/{app}/app_versions",
    "/api/2/apps/{app}/crash_reasons",
    "/api/2/apps/{app}/crash_reasons/{group}",
    "/api/2/apps/{app}/app_versions/{version}/crash_reasons",
    "/api/2/apps/{app}/app_versions/{version}/crash_reasons/{group}",
    "/api/2/apps/{app}/crashes/{crash}?format=json",
)


@pytest.mark.parametrize("path", READING)
def test_reading_needs_a_token_for_this_app_with_a_scope_that_reads(
    services: Services, app: App, path: str
) -> None:
    report_id = crash_id(upload(app))
    drain(services)
    report = services.crashes.report(report_id)
    path = path.format(
        app=app.app_id, group=report.group_id, version=report.version_id, crash=report_id
    )
    other = services.accounts.create_app("Other")
    make = services.accounts.create_token
    assert get(path).status == 401
    assert get(path, "0" * 32).json == {"errors": {"credentials": ["api token invalid"]}}
    assert get(path, make("upload")).status == 403
    assert get(path, make("admin", app_id=other.app_id)).status == 404
    for scope in ("read", "write", "admin"):
        assert get(path, make(scope)).status == 200
        assert get(path, make(scope, app_id=app.app_id)).status == 200
    bearer = {"Authorization": f"Bearer {make('read')}"}
    assert request("GET", path, headers=bearer).status == 200


def test_ids_of_another_app_are_not_found_under_ones_own(
    services: Services, app: App, token: str
) -> None:
    report_id = crash_id(upload(app))
    waiting_id = crash_id(upload(app, android_log("later")))
    services.processor.process([report_id])
    report = services.crashes.report(report_id)
    other = services.accounts.create_app("Other")
    for path in (
        f"crash_reasons/{report.group_id}",
        f"app_versions/{report.version_id}/crash_reasons",
        f"crashes/{report_id}?format=log",
        f"crashes/{waiting_id}?format=log",
        "crash_reasons/not-a-number",
    ):
        assert get(f"/api/2/apps/{other.app_id}/{path}", token).status == 404


def test_only_the_apps_that_a_token_opens_are_listed(services: Services, app: App) -> None:
    services.accounts.create_app("Other")
    make = services.accounts.create_token
    assert len(get("/api/2/apps", make("read")).json["apps"]) == 2
    (listed,) = get("/api/2/apps", make("read", app_id=app.app_id)).json["apps"]
    assert listed["public_identifier"] == app.app_id
    assert get("/api/2/apps", make("upload")).status == 403


# --- anything at all ---


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.binary(max_size=300),
    kind=st.sampled_from(
        [
            "",
            "text/xml",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "multipart/form-data",
            "\x00",
        ]
    ),
    coding=st.sampled_from(["", "gzip", "deflate", "br"]),
    tail=st.sampled_from(["crashes", "crashes/upload"]),
)
def test_no_body_makes_a_500(
    services: Services, app: App, body: bytes, kind: str, coding: str, tail: str
) -> None:
    headers = {"Content-Type": kind, "Content-Encoding": coding}
    answer = request("POST", f"/api/2/apps/{app.app_id}/{tail}", body, headers)
    assert answer.status < 500


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    path=st.text(max_size=40),
    query=st.text(max_size=40),
    method=st.sampled_from(["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT"]),
)
def test_no_path_or_query_makes_a_500(
    services: Services, app: App, path: str, query: str, method: str
) -> None:
    latin = path.encode().decode("latin-1")
    answer = request(method, f"/api/2/apps/{app.app_id}/{latin}?{query.encode().decode('latin-1')}")
    assert answer.status < 500
