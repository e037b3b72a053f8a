"""Single crashes over HockeyApp's API: users' crashes, attachments, deletion; and statistics."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlencode, urlsplit

import pytest

from chalicelib import clock
from chalicelib.bootstrap import Services
from chalicelib.payload import Payload
from chalicelib.records import App
from chalicelib.recount import recount_app
from tests.crashes import android_log, drain
from tests.handlers.test_hockeyapp import DOCUMENTED_CRASH_KEYS
from tests.test_deletion import DUMP
from tests.wsgi_client import Answer, get, post_form, request

DAYS = "start_date=2013-06-01&end_date=2013-06-15"


@pytest.fixture
def token(services: Services) -> str:
    return services.accounts.create_token("write")


def upload(
    services: Services,
    app: App,
    log: bytes | None = None,
    files: dict[str, bytes] | None = None,
    **fields: str,
) -> int:
    path = f"/api/2/apps/{app.app_id}/crashes/upload"
    answer = post_form(
        path, fields, {"log": log or android_log(), **(files or {})}, Accept="application/json"
    )
    drain(services)
    report_id: int = answer.json["id"]
    return report_id


def dump(services: Services, app: App) -> int:
    report_id = services.intake.receive(Payload(app.app_id, "omaha", clock.now(), DUMP))
    drain(services)
    return report_id


def delete(path: str, token: str | None) -> Answer:
    return request("DELETE", path, headers={"X-HockeyAppToken": token} if token else {})


# --- a user's crashes ---


def found(path: str, token: str, query: str, **more: str) -> list[int]:
    answer = get(f"{path}/user_search?{urlencode({'query': query, **more})}", token)
    assert answer.status == 200, answer.text
    assert answer.json["status"] == "success"
    assert answer.json["total_entries"] >= len(answer.json["crashes"])
    return [crash["id"] for crash in answer.json["crashes"]]


def test_the_documents_search_finds_a_users_crashes_newest_first(
    services: Services, app: App, token: str
) -> None:
    by_contact = upload(services, app, contact="test@test.test")
    by_user = upload(services, app, userID="test@test.test")
    both = upload(services, app, userID="test@test.test", contact="test@test.test")
    neither = upload(services, app, userID="test@test.tes", contact="other@test.test")
    path = f"/api/2/apps/{app.app_id}/crashes"
    answer = get(f"{path}/user_search?query=test@test.test", token)
    assert set(answer.json) == {
        "crashes", "total_entries", "total_pages", "per_page", "status", "current_page"
    }  # fmt: skip
    assert [crash["id"] for crash in answer.json["crashes"]] == [both, by_user, by_contact]
    assert set(answer.json["crashes"][0]) >= DOCUMENTED_CRASH_KEYS
    assert found(path, token, "test@test.tes") == [neither]


def test_a_users_crashes_are_paged_and_those_of_a_version_told_apart(
    services: Services, app: App, token: str
) -> None:
    ids = [
        upload(services, app, android_log("a", str(n % 2)), userID="ann", contact="ann@x")
        for n in range(30)
    ]
    version = services.crashes.report(ids[0]).version_id
    for name in ("ann", "ann@x"):
        path = f"/api/2/apps/{app.app_id}/crashes"
        pages = [found(path, token, name, page=page) for page in ("0", "1", "2", "3")]
        assert pages[0] == pages[1]
        assert pages[1] + pages[2] == ids[::-1]
        assert pages[3] == []
        of_version = f"/api/2/apps/{app.app_id}/app_versions/{version}/crashes"
        assert found(of_version, token, name) == ids[::2][::-1]


def test_what_no_user_is_called_is_searched_for_in_their_names(
    services: Services, app: App, token: str
) -> None:
    one = upload(services, app, userID="Ann Example", contact="ann@example.com")
    two = upload(services, app, android_log("b", "2"), contact="bob@example.com")
    upload(services, app, android_log("ann"))  # its text is no user's name
    path = f"/api/2/apps/{app.app_id}/crashes"
    assert found(path, token, "ann") == [one]
    assert found(path, token, "example.com") == [two, one]
    assert found(path, token, "b?b@*") == [two]
    assert found(path, token, "exampl") == []
    version = services.crashes.report(two).version_id
    assert found(f"/api/2/apps/{app.app_id}/app_versions/{version}/crashes", token, "example") == [
        two
    ]


@pytest.mark.parametrize("query", ["", "query=", "query=%20", "query=" + "x" * 1001])
def test_a_search_for_no_one_is_422(services: Services, app: App, token: str, query: str) -> None:
    version = services.crashes.report(upload(services, app)).version_id
    for below in ("", f"/app_versions/{version}"):
        answer = get(f"/api/2/apps/{app.app_id}{below}/crashes/user_search?{query}", token)
        assert (answer.status, list(answer.json["errors"])) == (422, ["query"])


def test_longer_names_than_are_kept_are_found_by_what_is_kept(
    services: Services, app: App, token: str
) -> None:
    fields = {"user": "ü" * 300, "contact": "☃" * 300}
    made = Payload(app.app_id, "hockeyapp", clock.now(), android_log(), fields=fields)
    report_id = services.intake.receive(made)
    drain(services)
    path = f"/api/2/apps/{app.app_id}/crashes"
    for name in fields.values():
        assert found(path, token, name) == [report_id]


# --- attachments ---


def test_attachments_are_listed_and_come_back_whole(
    services: Services, app: App, token: str
) -> None:
    files = {"attachment0": bytes(range(256)), "attachment2": b"<script>"}
    report_id = upload(services, app, files=files)
    path = f"/api/2/apps/{app.app_id}/crashes/{report_id}/attachments"
    listed = get(path, token).json
    assert listed["status"] == "success"
    assert [(a["name"], a["filename"], a["size"]) for a in listed["attachments"]] == [
        ("attachment0", "attachment0.dat", 256),
        ("attachment2", "attachment2.dat", 8),
    ]
    for entry in listed["attachments"]:
        assert urlsplit(entry["url"]).path == f"{path}/{entry['name']}"
        answer = get(urlsplit(entry["url"]).path, token)
        assert (answer.status, answer.body) == (200, files[entry["name"]])
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment;")
    assert get(f"{path}/attachment1", token).json == {"errors": {"attachment": ["not found"]}}
    none = upload(services, app)
    assert get(path.replace(str(report_id), str(none)), token).json["attachments"] == []


def test_a_large_attachment_goes_by_a_link_of_the_store(
    services: Services, app: App, token: str
) -> None:
    services.downloads._max_inline_bytes = 10
    report_id = upload(services, app, files={"attachment0": b"x" * 11, "attachment1": b"y" * 10})
    path = f"/api/2/apps/{app.app_id}/crashes/{report_id}/attachments"
    assert get(f"{path}/attachment1", token).body == b"y" * 10
    for _ in range(2):
        answer = get(f"{path}/attachment0", token)
        assert answer.status == 302
        assert "/blobs/" in answer.headers["location"]


@pytest.mark.parametrize("name", ["a b.txt", "per%cent", "ü"])
def test_attachments_of_minidumps_have_any_name(
    services: Services, app: App, token: str, name: str
) -> None:
    from chalicelib.payload import Attachment

    sent = (Attachment(name, "f", "text/plain", 1, b"x"),)
    report_id = services.intake.receive(
        Payload(app.app_id, "breakpad", clock.now(), DUMP, attachments=sent)
    )
    path = f"/api/2/apps/{app.app_id}/crashes/{report_id}/attachments"
    (entry,) = get(path, token).json["attachments"]  # it waits to be processed
    assert entry["url"].endswith(quote(name, safe=""))
    assert get(urlsplit(entry["url"]).path, token).body == b"x"


# --- deletion ---


def test_a_deleted_crash_is_gone_from_every_answer(
    services: Services, app: App, token: str
) -> None:
    doomed = upload(services, app, files={"attachment0": b"x"}, userID="ann", contact="a@b")
    kept = upload(services, app, userID="ann")
    report = services.crashes.report(doomed)
    base = f"/api/2/apps/{app.app_id}"
    path = f"{base}/crashes/{doomed}"
    answer = delete(path, token)
    assert (answer.status, answer.json) == (200, {"status": "success"})
    assert delete(path, token).json == {"errors": {"crash": ["not found"]}}
    for gone in (
        *(f"{path}?format={kind}" for kind in ("log", "json", "text")),
        f"{path}/report",
        f"{path}/attachments",
        f"{path}/attachments/attachment0",
    ):
        assert get(gone, token).status == 404, gone
    assert get(path).status == 404
    assert found(f"{base}/crashes", token, "ann") == [kept]
    assert found(f"{base}/crashes", token, "a@b") == []
    (group,) = get(f"{base}/crash_reasons", token).json["crash_reasons"]
    assert group["number_of_crashes"] == 1
    listed = get(f"{base}/crash_reasons/{report.group_id}", token).json
    assert [crash["id"] for crash in listed["crashes"]] == [kept]
    today = clock.to_wire(clock.now())[:10]
    histogram = get(f"{base}/crashes/histogram?start_date={today}&end_date={today}", token).json
    assert [count for _, count in histogram["histogram"]] == [1]
    (version,) = get(f"{base}/statistics", token).json["app_versions"]
    assert version["statistics"]["crashes"] == 1
    assert recount_app(services, app.app_id).differences == ()
    delete(f"{base}/crashes/{kept}", token)
    assert get(f"{base}/crash_reasons", token).json["total_entries"] == 0
    for gone in ("", f"/histogram?{DAYS}", "/crash_annotations"):
        answer = get(f"{base}/crash_reasons/{report.group_id}{gone}", token)
        assert answer.json == {"errors": {"crash_reason": ["not found"]}}, gone


def test_a_crash_that_waits_can_be_deleted(services: Services, app: App, token: str) -> None:
    waiting = services.intake.receive(Payload(app.app_id, "hockeyapp", clock.now(), android_log()))
    path = f"/api/2/apps/{app.app_id}/crashes/{waiting}"
    assert get(f"{path}?format=log", token).status == 202
    assert delete(f"{path}/", token).status == 200
    assert get(f"{path}?format=log", token).status == 404
    drain(services)
    assert get(f"/api/2/apps/{app.app_id}/crash_reasons", token).json["total_entries"] == 0


# --- statistics and what is symbolicated ---


def test_statistics_count_the_crashes_of_every_version(
    services: Services, app: App, token: str
) -> None:
    for version in ("1", "2", "2"):
        upload(services, app, android_log("a", version))
    services.counts.fold_all(app.app_id)
    upload(services, app, android_log("b", "2"))
    services.versions.ensure(app.app_id, "3", "1.3")
    told = get(f"/api/2/apps/{app.app_id}/statistics", token).json
    assert told["status"] == "success"
    counted = [(v["version"], v["statistics"]["crashes"]) for v in told["app_versions"]]
    assert counted == [("3", 0), ("2", 3), ("1", 1)]
    assert set(told["app_versions"][0]) == {
        "id", "version", "shortversion", "created_at", "statistics"
    }  # fmt: skip


@pytest.mark.parametrize("parameter", ["symbolicated", "symbolication"])
def test_groups_that_symbols_have_not_named_can_be_left_out(
    services: Services, app: App, token: str, parameter: str
) -> None:
    upload(services, app, android_log("a", "1"))
    upload(services, app, android_log("b", "2"))
    unnamed = services.crashes.report(dump(services, app))
    base = f"/api/2/apps/{app.app_id}"
    for fold in (False, True):
        if fold:
            services.counts.fold_all(app.app_id)
        for below, named in (("", 2), (f"/app_versions/{unnamed.version_id}", 0)):
            for sort in ("date", "class", "number_of_crashes", "last_crash_at"):
                path = f"{base}{below}/crash_reasons?sort={sort}&{parameter}="
                one, zero = get(f"{path}1", token).json, get(f"{path}0", token).json
                assert one["total_entries"] == len(one["crash_reasons"]) == named
                assert zero["total_entries"] == len(zero["crash_reasons"]) == named + 1
                assert all(group["method"] for group in one["crash_reasons"])
    assert get(f"{base}/crash_reasons?{parameter}=yes", token).json["errors"]["symbolicated"]


# --- who may ---

READING: dict[str, str] = {
    "user search": "/crashes/user_search?query=x",
    "user search of a version": "/app_versions/{version}/crashes/user_search?query=x",
    "attachments": "/crashes/{crash}/attachments",
    "an attachment": "/crashes/{crash}/attachments/attachment0",
    "statistics": "/statistics",
    "histogram": f"/crashes/histogram?{DAYS}",
    "histogram of a version": f"/app_versions/{{version}}/crashes/histogram?{DAYS}",
    "histogram of a group": f"/crash_reasons/{{group}}/histogram?{DAYS}",
}


@pytest.fixture
def path_of(services: Services, app: App) -> Callable[[str], str]:
    report = services.crashes.report(upload(services, app, files={"attachment0": b"x"}))

    def path(tail: str) -> str:
        return f"/api/2/apps/{app.app_id}" + tail.format(
            crash=report.report_id, version=report.version_id, group=report.group_id
        )

    return path


@pytest.mark.parametrize("name", READING)
def test_reading_needs_a_token_for_this_app_with_a_scope_that_reads(
    services: Services, app: App, path_of: Callable[[str], str], name: str
) -> None:
    path = path_of(READING[name])
    make = services.accounts.create_token
    other = services.accounts.create_app("Other")
    assert get(path).status == 401
    assert get(path, "0" * 32).json == {"errors": {"credentials": ["api token invalid"]}}
    assert get(path, make("upload")).status == 403
    assert get(path, make("admin", app_id=other.app_id)).json == {"errors": {"app": ["not found"]}}
    for scope in ("read", "write", "admin"):
        assert get(path, make(scope, app_id=app.app_id)).status == 200


def test_deleting_needs_a_token_for_this_app_with_a_scope_that_writes(
    services: Services, app: App, path_of: Callable[[str], str]
) -> None:
    path = path_of("/crashes/{crash}")
    make = services.accounts.create_token
    other = services.accounts.create_app("Other")
    assert delete(path, None).status == 401
    assert delete(path, "0" * 32).status == 401
    for scope in ("upload", "read"):
        assert delete(path, make(scope)).status == 403
    assert delete(path, make("admin", app_id=other.app_id)).status == 404
    elsewhere = path.replace(app.app_id, other.app_id)
    assert delete(elsewhere, make("admin")).json == {"errors": {"crash": ["not found"]}}
    for unknown in ("1", "x", "-1", "9" * 17):
        assert delete(path_of(f"/crashes/{unknown}"), make("admin")).status == 404
    assert services.crashes.report(int(path.rpartition("/")[2]))
    assert delete(path, make("write", app_id=app.app_id)).status == 200


def test_attachments_of_another_apps_crash_are_not_found(
    services: Services, app: App, path_of: Callable[[str], str], token: str
) -> None:
    other = services.accounts.create_app("Other")
    for tail in (READING["attachments"], READING["an attachment"]):
        assert get(path_of(tail).replace(app.app_id, other.app_id), token).status == 404
