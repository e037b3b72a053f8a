"""FollowAnalytics' API, as its document shows it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from chalicelib import bootstrap, clock, keys, users
from chalicelib.bootstrap import Services
from chalicelib.ids import first_of
from chalicelib.payload import Payload
from chalicelib.records import App
from chalicelib.storage.counting import CountingTable
from chalicelib.storage.ports import MAX_BATCH_ITEMS, Put
from tests.crashes import ANDROID_EXAMPLE, android_log, receive
from tests.followanalytics_client import (
    HOST,
    ask,
    crash,
    export,
    follow,
    group_of,
    occurrences,
    sign_in,
    work,
)
from tests.omaha_client import basic
from tests.wsgi_client import Answer, post_form, request

PASSWORD = "open sesame"
JOB_ID = re.compile(r"[0-9a-f]{24}")
OCCURRENCE = re.compile(r"\d{10}-\d{10}-logs-\d{5}-crash-\d+")
DOCUMENTED = ["loading", "job_id", "success", "result"]
LATER = ["total", "per_page", "next"]


@pytest.fixture
def token(services: Services) -> str:
    return services.accounts.create_token("read")


@pytest.fixture
def group_id(services: Services, app: App) -> int:
    """A group of five crashes."""
    ids = [crash(services, app) for _ in range(5)]
    work(services)
    return group_of(services, ids[0])


def refused(answer: Answer, code: int, status: str, message: str | None = None) -> None:
    assert (answer.status, list(answer.json)) == (code, ["success", "status", "error_message"])
    assert (answer.json["success"], answer.json["status"]) == (False, status)
    assert message in {None, answer.json["error_message"]}
    assert answer.headers["content-type"].startswith("application/json")


# --- signing in ----------------------------------------------------------------


def test_signing_in_gives_a_token_that_opens_what_the_user_may_see(
    services: Services, app: App, group_id: int
) -> None:
    services.users.create("jo@example.com", PASSWORD, app_ids=[app.app_id], scope="read")
    token = sign_in("jo@example.com", PASSWORD)
    assert len(occurrences(group_id, token)) == 5
    other = services.accounts.create_app("other")
    report_id = crash(services, other)
    work(services)
    path = f"/api/crashes/{group_of(services, report_id)}/occurrences"
    refused(ask(path, token), 404, "not_found", "You have no access to this app crash")


def test_the_answer_to_a_sign_in_is_the_platforms(services: Services) -> None:
    services.users.create("jo@example.com", PASSWORD)
    body = json.dumps({"email": "jo@example.com", "password": PASSWORD}).encode()
    answer = request("POST", "/api/login", body, {"Content-Type": "application/json"})
    assert list(answer.json) == ["success", "result"]
    assert answer.json["success"] is True
    assert answer.text.startswith('{"success":true,"result":{"auth_token":"')
    assert answer.headers["cache-control"] == "no-store"
    expires_at = clock.from_stored(answer.json["result"]["expires_at"])
    assert timedelta(days=29) < expires_at - clock.now() < timedelta(days=31)


@pytest.mark.parametrize("kind", ["json", "curl -d json", "urlencoded", "multipart"])
def test_credentials_come_as_json_or_as_a_form(services: Services, kind: str) -> None:
    services.users.create("jo@example.com", " open: sésame ")
    said = {"email": "jo@example.com", "password": " open: sésame "}
    if kind == "multipart":
        answer = post_form("/api/login", said)
    elif kind == "urlencoded":
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = request("POST", "/api/login", urlencode(said).encode(), headers)
    else:
        sent_as = "application/json" if kind == "json" else "application/x-www-form-urlencoded"
        body = json.dumps(said).encode()
        answer = request("POST", "/api/login", body, {"Content-Type": sent_as})
    assert answer.status == 200
    assert '"auth_token":"' in answer.text


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("jo@example.com", "open barley"),
        ("nobody@example.com", PASSWORD),
        ("jo@example.com", "x" * 2000),
    ],
)
def test_wrong_credentials_are_refused_alike(services: Services, email: str, password: str) -> None:
    services.users.create("jo@example.com", PASSWORD)
    body = json.dumps({"email": email, "password": password}).encode()
    refused(request("POST", "/api/login", body), 401, "unauthorized", "Invalid username/password.")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"{",
        b"{" * 5000,
        b'{"email": "jo@example.com"}',
        b'{"email": 1, "password": 2}',
        b'{"email": null, "password": ""}',
        b'{"email": ["jo@example.com"], "password": {}}',
        b'"email"',
        b"\xff\xfe{",
    ],
)
def test_a_sign_in_without_credentials_is_a_400(services: Services, body: bytes) -> None:
    refused(request("POST", "/api/login", body), 400, "bad_request")


def test_a_sign_in_reads_no_more_than_credentials_can_be(services: Services) -> None:
    body = json.dumps({"email": "jo@example.com", "password": "x" * 30_000}).encode()
    refused(request("POST", "/api/login", body), 413, "request_entity_too_large")


def test_who_guesses_passwords_is_told_to_wait(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise users.TooManyLogins("Request was throttled.")

    monkeypatch.setattr(services.users, "authenticate", busy)
    answer = request("POST", "/api/login", b'{"email": "jo@example.com", "password": "x"}')
    refused(answer, 429, "too_many_requests")
    assert answer.headers["retry-after"] == "1"


# --- occurrences ---------------------------------------------------------------


def test_occurrences_have_the_documents_keys_in_its_order_and_form(
    services: Services, group_id: int, token: str
) -> None:
    answer = ask(f"/api/crashes/{group_id}/occurrences", token)
    assert answer.status == 200
    told = answer.json
    assert list(told) == DOCUMENTED + LATER
    assert told["loading"] == [False]
    assert JOB_ID.fullmatch(told["job_id"])
    assert told["success"] is True
    assert len(told["result"]) == 5
    for entry in told["result"]:
        assert list(entry) == ["id", "date", "log_id"]
        assert OCCURRENCE.fullmatch(entry["id"])
        assert entry["log_id"] == entry["id"].rpartition("-crash-")[0]
        assert entry["date"] == clock.now().strftime("%Y-%m-%d")
    assert (told["total"], told["per_page"], told["next"]) == (5, 1000, None)
    assert "link" not in answer.headers


def test_every_occurrence_is_listed_newest_first_page_by_page(
    services: Services, app: App, token: str
) -> None:
    start = clock.now() - timedelta(days=40)
    log = android_log()
    ids = []
    for number in range(47):
        when = start + timedelta(hours=20 * (number // 3))  # three at each moment
        ids.append(services.intake.receive(Payload(app.app_id, "hockeyapp", when, log)))
    work(services)
    group_id = group_of(services, ids[0])
    everything = occurrences(group_id, token)
    assert len({entry["id"] for entry in everything}) == 47
    dates = [entry["date"] for entry in everything]
    assert dates == sorted(dates, reverse=True)
    listed = []
    pages = 0
    path: str | None = f"/api/crashes/{group_id}/occurrences?per_page=7"
    while path:
        answer = ask(path, token)
        listed += answer.json["result"]
        pages += 1
        assert answer.json["total"] == 47
        following = answer.json["next"]
        assert answer.headers.get("link") == (f'<{following}>; rel="next"' if following else None)
        if following:
            assert urlsplit(following).netloc == HOST
        path = following and following.removeprefix(f"http://{HOST}")
    assert (listed, pages) == (everything, 7)


def test_a_crash_that_comes_meanwhile_moves_no_page(
    services: Services, app: App, group_id: int, token: str
) -> None:
    before = occurrences(group_id, token)
    first = ask(f"/api/crashes/{group_id}/occurrences", token, per_page="2").json
    crash(services, app)
    work(services)
    rest = dict(parse_qsl(urlsplit(first["next"]).query)) | {"per_page": "100"}
    assert first["result"] + occurrences(group_id, token, **rest) == before
    assert len(occurrences(group_id, token)) == 6


def test_a_page_costs_what_it_returns_however_late_and_however_many_there_are(
    services: Services, app: App
) -> None:
    first = services.crashes.report(receive_and_work(services, app))
    start = clock.from_stored(first.date)
    moments = [start - timedelta(minutes=n) for n in range(1, 600)]
    puts = [
        Put(replace(first, report_id=first_of(when) + n % 8, date=clock.to_stored(when)).item())
        for n, when in enumerate(moments)
    ]
    for begin in range(0, len(puts), MAX_BATCH_ITEMS):
        services.table.write(puts[begin : begin + MAX_BATCH_ITEMS])
    counted = CountingTable(services.table)
    crashes = bootstrap.build(services.settings, counted, services.blobs, services.queue).crashes
    place = None
    for _ in range(20):
        counted.reset()
        page = crashes.newest_of_group(first.group_id, 10, place)
        place = page.after
        assert len(page.entries) == 10
        assert counted.snapshot().items_read <= 8 * (2 + 8)  # of each shard its part, and some


def receive_and_work(services: Services, app: App) -> int:
    report_id = crash(services, app)
    work(services)
    return report_id


def test_a_page_of_exactly_what_is_there_has_no_next(
    services: Services, group_id: int, token: str
) -> None:
    answer = ask(f"/api/crashes/{group_id}/occurrences", token, per_page="5").json
    assert (len(answer["result"]), answer["next"]) == (5, None)


def test_the_job_of_a_list_is_done_and_gives_the_list(
    services: Services, group_id: int, token: str
) -> None:
    listed = ask(f"/api/crashes/{group_id}/occurrences", token).json
    assert ask(f"/api/jobs/{listed['job_id']}", token).json == listed


@pytest.mark.parametrize("per_page", ["0", "-1", "x", "10001", "1.5", "9" * 30, "٣"])
def test_a_size_that_no_page_has_is_a_400(group_id: int, token: str, per_page: str) -> None:
    answer = ask(f"/api/crashes/{group_id}/occurrences", token, per_page=per_page)
    refused(answer, 400, "bad_request", "per_page must be 1 to 10000")


@pytest.mark.parametrize("after", ["x", "2026", "2026-01-01T00:00:00.000000Z#1", "\ud800", "\0"])
def test_a_place_where_no_page_ended_is_a_400(group_id: int, token: str, after: str) -> None:
    query = urlencode({"after": after.encode("utf-8", "surrogatepass")})
    refused(ask(f"/api/crashes/{group_id}/occurrences?{query}", token), 400, "bad_request")


# --- the document's errors -----------------------------------------------------


BOTH = ["occurrences", "export_occurrences"]


@pytest.mark.parametrize("what", BOTH)
@pytest.mark.parametrize("asked", ["123", "occurrences", "9" * 30, "-1", "é"])
def test_a_crash_that_does_not_exist(services: Services, token: str, what: str, asked: str) -> None:
    path = f"/api/crashes/{asked}/{what}".encode().decode("latin-1")
    message = f"App Crash with identifier {asked}."
    refused(ask(path, token), 404, "not_found", message)


@pytest.mark.parametrize("what", BOTH)
def test_a_crash_of_an_app_not_allowed_for_the_user(
    services: Services, group_id: int, what: str
) -> None:
    other = services.accounts.create_app("other")
    token = services.accounts.create_token("read", app_id=other.app_id)
    answer = ask(f"/api/crashes/{group_id}/{what}", token)
    refused(answer, 404, "not_found", "You have no access to this app crash")


@pytest.mark.parametrize("missing", ["id", "log_id", "date"])
@pytest.mark.parametrize("empty", [True, False])
def test_an_export_without_its_parameters(
    services: Services, group_id: int, token: str, missing: str, empty: bool
) -> None:
    occurrence = occurrences(group_id, token)[0]
    del occurrence[missing]
    if empty:
        occurrence[missing] = ""
    answer = export(group_id, occurrence, token)
    refused(answer, 400, "bad_request", "id, log id or start_day not provided")
    assert services.queue.depth() == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "2544355787-1536831773-logs-00003-crash-1"),
        ("id", "x"),
        ("id", "\0"),
        ("log_id", "2544355787-1536831773-logs-00003"),
        ("date", "2018-09-13"),
        ("date", "tomorrow"),
    ],
)
def test_parameters_that_do_not_fit_together_are_those_of_no_occurrence(
    services: Services, group_id: int, token: str, name: str, value: str
) -> None:
    occurrence = occurrences(group_id, token)[0] | {name: value}
    told = f"App Crash Occurrence with identifier {occurrence['id']}."
    refused(export(group_id, occurrence, token), 404, "not_found", told)
    assert services.queue.depth() == 0


def test_an_occurrence_of_another_crash_is_none_of_this(
    services: Services, app: App, group_id: int, token: str
) -> None:
    other = crash(services, app, "b")
    work(services)
    (occurrence,) = occurrences(group_of(services, other), token)
    assert export(group_id, occurrence, token).status == 404
    assert export(group_of(services, other), occurrence, token).status == 200


def test_another_device_in_the_id_is_another_occurrence(
    services: Services, group_id: int, token: str
) -> None:
    occurrence = occurrences(group_id, token)[0]
    other = {name: re.sub(r"^\d{10}", "1234567890", value) for name, value in occurrence.items()}
    assert export(group_id, other, token).status == 404


# --- export --------------------------------------------------------------------


def test_an_export_is_a_job_and_then_a_file_behind_a_link(
    services: Services, app: App, token: str
) -> None:
    report_id = receive(services, app, ANDROID_EXAMPLE.encode())
    work(services)
    group_id = group_of(services, report_id)
    (occurrence,) = occurrences(group_id, token)
    asked = export(group_id, occurrence, token)
    assert asked.status == 200
    assert list(asked.json) == ["success", "loading", "job_id"]
    assert (asked.json["success"], asked.json["loading"]) == (True, [True])
    assert JOB_ID.fullmatch(asked.json["job_id"])
    assert asked.headers["retry-after"] == "1"
    job = f"/api/jobs/{asked.json['job_id']}"
    assert ask(job, token).json == asked.json
    assert export(group_id, occurrence, token).json == asked.json
    assert services.queue.depth() == 1
    work(services)
    done = ask(job, token)
    assert list(done.json) == ["success", "loading", "job_id", "result"]
    assert (done.json["success"], done.json["loading"]) == (True, [False])
    assert done.json["job_id"] == asked.json["job_id"]
    assert list(done.json["result"]) == ["url", "expires_at"]
    expires_at = clock.from_stored(done.json["result"]["expires_at"])
    assert timedelta(hours=23) < expires_at - clock.now() < timedelta(hours=25)
    assert export(group_id, occurrence, token).json == done.json
    assert services.queue.depth() == 0
    file = follow(done.json["result"]["url"])
    assert file.status == 200
    assert file.headers["content-disposition"].endswith(f"{occurrence['id']}.json")
    assert file.headers["x-content-type-options"] == "nosniff"
    told = file.json
    assert {name: told[name] for name in occurrence} == occurrence
    assert (told["crash_identifier"], told["crash_id"]) == (group_id, report_id)
    assert told["app"] == {"id": app.app_id, "title": "Demo"}
    assert told["log"] == ANDROID_EXAMPLE
    (outer, inner) = told["report"]["exceptions"]
    assert inner["frames"][0]["function"].endswith("nextCleanInternal")
    assert outer["type"] == "java.lang.RuntimeException"


@pytest.mark.parametrize(
    "changed", [("signature=", "signature=0"), ("expires=1", "expires=2"), ("?", "?x=")]
)
def test_a_changed_link_opens_nothing(
    services: Services, group_id: int, token: str, changed: tuple[str, str]
) -> None:
    occurrence = occurrences(group_id, token)[0]
    export(group_id, occurrence, token)
    work(services)
    url = export(group_id, occurrence, token).json["result"]["url"]
    assert follow(url).status == 200
    wrong = url.replace(*changed)
    assert wrong != url
    refused(follow(wrong), 403, "forbidden")
    refused(request("GET", urlsplit(url).path), 403, "forbidden")


def test_a_link_whose_crash_is_gone_is_a_404(
    services: Services, app: App, group_id: int, token: str
) -> None:
    occurrence = occurrences(group_id, token)[0]
    job_id = export(group_id, occurrence, token).json["job_id"]
    work(services)
    url = export(group_id, occurrence, token).json["result"]["url"]
    services.eraser.erase([app.app_id])
    refused(follow(url), 404, "not_found", f"Job with identifier {job_id}.")
    refused(ask(f"/api/jobs/{job_id}", token), 404, "not_found")
    assert not list(services.blobs.keys(keys.EXPORTS))


@pytest.mark.parametrize("job_id", ["x", "2eab310c430bf292171281ae", "0" * 24, "é"])
def test_an_unknown_job(services: Services, token: str, job_id: str) -> None:
    path = f"/api/jobs/{job_id}".encode().decode("latin-1")
    refused(ask(path, token), 404, "not_found", f"Job with identifier {job_id}.")


def test_a_job_that_failed_says_so_and_can_be_had_again(
    services: Services, app: App, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_id = crash(services, app)
    work(services)
    group_id = group_of(services, report_id)
    (occurrence,) = occurrences(group_id, token)
    raw = services.blobs.get(keys.raw_blob(report_id))
    services.blobs.delete(keys.raw_blob(report_id))
    job_id = export(group_id, occurrence, token).json["job_id"]
    work(services)
    for answer in (export(group_id, occurrence, token), ask(f"/api/jobs/{job_id}", token)):
        assert answer.status == 200
        assert list(answer.json) == ["success", "status", "error_message", "loading", "job_id"]
        assert (answer.json["success"], answer.json["status"]) == (False, "failed")
        assert answer.json["loading"] == [False]
        assert f"{report_id}' not found" in answer.json["error_message"]
    services.blobs.put(keys.raw_blob(report_id), raw)
    services.exports.forget(app.app_id, report_id)  # as time does, some minutes later
    assert export(group_id, occurrence, token).json["loading"] == [True]
    work(services)
    assert export(group_id, occurrence, token).json["loading"] == [False]


# --- who may do what -----------------------------------------------------------


def paths(group_id: int, token: str) -> list[str]:
    """Every request that reads, with the jobs there are."""
    occurrence = occurrences(group_id, token)[0]
    exported = export(group_id, occurrence, token).json["job_id"]
    listed = ask(f"/api/crashes/{group_id}/occurrences", token).json["job_id"]
    return [
        f"/api/crashes/{group_id}/occurrences",
        f"/api/crashes/{group_id}/export_occurrences?{urlencode(occurrence)}",
        f"/api/jobs/{exported}",
        f"/api/jobs/{listed}",
    ]


def test_reading_needs_a_token(services: Services, group_id: int, token: str) -> None:
    for path in paths(group_id, token):
        answer = ask(path)
        refused(answer, 401, "unauthorized", "Authentication credentials were not provided.")
        assert answer.headers["www-authenticate"].startswith("Token")
        refused(ask(path, "0" * 32), 401, "unauthorized", "api token invalid")
        for headers in ({"Authorization": "Token"}, {"Authorization": "Bearer x"}):
            refused(request("GET", path, headers=headers), 401, "unauthorized")


def test_another_apps_token_opens_nothing(services: Services, group_id: int, token: str) -> None:
    other = services.accounts.create_app("other")
    theirs = services.accounts.create_token("admin", app_id=other.app_id)
    no_access = "You have no access to this app crash"
    first, second, *jobs = paths(group_id, token)
    for path in (first, second):
        refused(ask(path, theirs), 404, "not_found", no_access)
    for path in jobs:  # as one that is not there
        told = f"Job with identifier {path.rpartition('/')[2]}."
        refused(ask(path, theirs), 404, "not_found", told)


def test_a_token_for_uploading_reads_nothing(
    services: Services, app: App, group_id: int, token: str
) -> None:
    small = services.accounts.create_token("upload", app_id=app.app_id)
    for path in paths(group_id, token):
        refused(ask(path, small), 403, "forbidden")


def test_every_kind_of_credentials_opens_it(
    services: Services, app: App, group_id: int, token: str
) -> None:
    services.users.create("jo@example.com", PASSWORD, app_ids=[app.app_id])
    signed_in = sign_in("jo@example.com", PASSWORD)
    for path in paths(group_id, token):
        for headers in (
            {"Authorization": f"Token {signed_in}"},
            {"Authorization": f"token {token}"},
            {"Authorization": f"Bearer {signed_in}"},
            {"X-HockeyAppToken": token},
            basic("jo@example.com", PASSWORD),
            basic("", signed_in),
        ):
            assert request("GET", path, headers=headers).status == 200


def test_a_token_of_a_sign_in_opens_the_other_doors_too(services: Services, app: App) -> None:
    other = services.accounts.create_app("other")
    services.users.create("jo@example.com", PASSWORD, app_ids=[app.app_id], scope="read")
    signed_in = sign_in("jo@example.com", PASSWORD)
    for headers in ({"Authorization": f"Token {signed_in}"}, {"X-HockeyAppToken": signed_in}):
        listed = request("GET", "/api/2/apps", headers=headers).json["apps"]
        assert [entry["public_identifier"] for entry in listed] == [app.app_id]
        reasons = f"/api/2/apps/{app.app_id}/crash_reasons"
        assert request("GET", reasons, headers=headers).status == 200
        theirs = f"/api/2/apps/{other.app_id}/crash_reasons"
        assert request("GET", theirs, headers=headers).status == 404
        assert request("GET", "/api/crash_report/", headers=headers).status == 200
    services.users.remove("jo@example.com")
    assert request("GET", "/api/2/apps", headers=headers).status == 401
