"""omaha-server's reading API, as its document shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from chalicelib import clock, keys
from chalicelib.bootstrap import Services
from chalicelib.downloads import Downloads
from chalicelib.payload import OMAHA, Payload
from chalicelib.queries.paging import Paging
from chalicelib.records import App
from chalicelib.storage.ports import Delete
from tests.crashes import ANDROID_EXAMPLE, android_log, drain, receive
from tests.formats.test_crash_archive import archive
from tests.minidump_forms import DUMP
from tests.omaha_client import CRASHES, GUID, HOST, USER, ask, basic, follow, posted
from tests.shared_data import shared_data
from tests.wsgi_client import request

DOCUMENTED = [
    *("id", "upload_file_minidump", "archive", "appid", "userid", "meta", "signature"),
    *("created", "modified"),
]
LATER = ["os", "build_number", "channel", "stacktrace_json"]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@pytest.fixture
def token(services: Services) -> str:
    return services.accounts.create_token("read")


def archives(services: Services, count: int, **fields: str) -> list[int]:
    """As many processed crashes, oldest first."""
    ids = [posted(archive([("trace.log", b"x")]), **fields) for _ in range(count)]
    drain(services)
    return ids


# --- the document's list and item, field by field ------------------------------


def test_a_list_has_the_documents_envelope_and_fields_in_its_order(
    services: Services, token: str
) -> None:
    ids = archives(services, 12, lang="en")
    answer = ask(CRASHES, token)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    listed = answer.json
    assert list(listed) == ["count", "next", "previous", "results"]
    assert listed["count"] == 12
    assert listed["next"] == "http://crashes.example.com/api/crash_report/?page=2"
    assert listed["previous"] is None
    assert [entry["id"] for entry in listed["results"]] == ids[:10]  # the oldest first
    for entry in listed["results"]:
        assert list(entry) == DOCUMENTED + LATER


def test_an_item_has_the_documents_fields_and_values(services: Services, token: str) -> None:
    dump = shared_data("minidumps", "dumps", "omaha-BreakpadTestApp.dmp").read_bytes()
    report_id = posted(dump, lang="en", ver="1.0.0.1", channel="beta")
    drain(services)
    item = ask(f"{CRASHES}{report_id}/", token).json
    assert list(item) == DOCUMENTED + LATER
    assert isinstance(item["id"], int)
    assert item["id"] == report_id
    assert follow(item["upload_file_minidump"]).body == dump
    assert item["archive"] is None
    assert (item["appid"], item["userid"]) == (GUID, USER)
    assert item["meta"] == {"lang": "en", "ver": "1.0.0.1", "channel": "beta"}
    assert item["signature"] == "BreakpadTestApp.exe@0x10de"
    assert TIME.fullmatch(item["created"])
    assert TIME.fullmatch(item["modified"])
    assert item["created"] <= item["modified"]
    assert (item["os"], item["build_number"], item["channel"]) == ("Windows NT", "1.0.0.1", "beta")
    stacktrace = item["stacktrace_json"]
    crashed = stacktrace["crashing_thread"]
    assert crashed["frames"][0]["module"] == "BreakpadTestApp.exe"
    assert stacktrace["threads"][crashed["threads_index"]]["frames"] == crashed["frames"]
    (listed,) = ask(CRASHES, token).json["results"]
    links = {"upload_file_minidump", "stacktrace_json"}
    assert {k: v for k, v in listed.items() if k not in links} == {
        k: v for k, v in item.items() if k not in links
    }


def test_what_was_not_sent_is_empty_or_null(services: Services, token: str) -> None:
    report_id = posted(archive([("x.log", b"")]), appid="", userid="")
    drain(services)
    item = ask(f"{CRASHES}{report_id}/", token).json
    assert (item["appid"], item["userid"], item["meta"]) == ("", "", None)
    assert (item["upload_file_minidump"], item["signature"]) == (None, None)
    assert (item["os"], item["build_number"], item["channel"]) == (None, None, None)


def test_crashes_of_other_doors_are_listed_without_dump_and_meta(
    services: Services, app: App, token: str
) -> None:
    first = receive(services, app, ANDROID_EXAMPLE.encode())
    second = archives(services, 1)[0]
    listed = ask(CRASHES, token).json
    assert listed["count"] == 2
    assert [entry["id"] for entry in listed["results"]] == [first, second]
    android = listed["results"][0]
    assert list(android) == DOCUMENTED + LATER
    assert (android["upload_file_minidump"], android["archive"]) == (None, None)
    assert (android["appid"], android["meta"]) == (app.app_id, None)
    assert android["build_number"] == "33"
    assert ask(f"{CRASHES}{first}/", token).json == android


def test_a_crash_that_waits_is_read_by_its_id_with_what_is_known(
    services: Services, token: str
) -> None:
    report_id = posted(lang="en")
    item = ask(f"{CRASHES}{report_id}/", token).json
    assert list(item) == DOCUMENTED + LATER
    assert (item["id"], item["meta"], item["signature"]) == (report_id, {"lang": "en"}, None)
    assert follow(item["upload_file_minidump"]).body == DUMP
    assert ask(CRASHES, token).json["count"] == 0


def test_meta_too_large_for_the_list_is_read_from_the_payload(
    services: Services, token: str
) -> None:
    noise = {
        f"key{n}": "".join(chr(33 + (n * 7 + m * m) % 90) for m in range(900)) for n in range(9)
    }
    archives(services, 1, **noise)
    (entry,) = ask(CRASHES, token).json["results"]
    assert entry["meta"] == noise


# --- pages ---------------------------------------------------------------------


def walked(link: str | None, token: str, by: str) -> Iterator[dict[str, Any]]:
    while link:
        parts = urlsplit(link)
        assert parts.netloc in {HOST["Host"], ""}
        page = ask(f"{parts.path}?{parts.query}", token).json
        yield page
        link = page[by]


def test_next_leads_through_all_and_previous_back(services: Services, token: str) -> None:
    ids = archives(services, 23)
    pages = list(walked(f"{CRASHES}?page_size=5", token, "next"))
    assert [entry["id"] for page in pages for entry in page["results"]] == ids
    assert [len(page["results"]) for page in pages] == [5, 5, 5, 5, 3]
    assert {page["count"] for page in pages} == {23}
    assert pages[-1]["next"] is None
    back = list(walked(pages[-1]["previous"], token, "previous"))
    assert [page["results"] for page in back][-1][0]["id"] == ids[0]
    assert len(back) == 4
    assert dict(parse_qsl(urlsplit(pages[1]["next"]).query)) == {"page": "3", "page_size": "5"}
    assert pages[1]["previous"] == f"http://{HOST['Host']}{CRASHES}?page_size=5"


@pytest.mark.parametrize(
    ("asked", "shown"),
    [("", 10), ("?page_size=3", 3), ("?page_size=0", 10), ("?page_size=x", 10)],
)
def test_the_size_of_a_page(services: Services, token: str, asked: str, shown: int) -> None:
    archives(services, 12)
    assert len(ask(f"{CRASHES}{asked}", token).json["results"]) == shown


def test_a_page_has_a_hundred_at_most(services: Services, token: str) -> None:
    archives(services, 101)
    listed = ask(f"{CRASHES}?page_size=5000", token).json
    assert len(listed["results"]) == 100
    assert listed["next"].endswith("?page=2&page_size=5000")


@pytest.mark.parametrize("page", ["2", "0", "-1", "x", "1.0", "9" * 30, "٣"])
def test_a_page_that_is_not_there_is_a_404(services: Services, token: str, page: str) -> None:
    archives(services, 3)
    answer = ask(f"{CRASHES}?page={page}", token)
    assert (answer.status, answer.json) == (404, {"detail": "Invalid page."})


def test_the_first_page_is_there_even_when_it_is_empty(services: Services, token: str) -> None:
    empty = {"count": 0, "next": None, "previous": None, "results": []}
    for query in ("", "?page=1"):
        assert ask(f"{CRASHES}{query}", token).json == empty


@pytest.mark.parametrize("folded", [True, False])
def test_pages_are_right_across_days_apps_and_folding(
    services: Services, token: str, folded: bool
) -> None:
    apps = [services.accounts.create_app(f"app {number}") for number in range(3)]
    ids: list[int] = []
    start = clock.now() - timedelta(days=70)
    for number in range(60):
        log = android_log(f"cause{number % 4}")
        when = start + timedelta(days=number // 7, seconds=number)
        made = Payload(apps[number % 3].app_id, "hockeyapp", when, log)
        ids.append(services.intake.receive(made))
    drain(services)
    if folded:
        for app in apps:
            services.counts.fold_all(app.app_id)
    for size in (7, 10, 59, 60, 100):
        pages = list(walked(f"{CRASHES}?page_size={size}", token, "next"))
        assert [entry["id"] for page in pages for entry in page["results"]] == ids
        assert {page["count"] for page in pages} == {60}


def test_a_late_page_reads_only_from_its_day_on(services: Services, app: App) -> None:
    start = clock.now() - timedelta(days=30)
    for number in range(40):
        when = start + timedelta(days=number // 10, seconds=number)
        services.intake.receive(Payload(app.app_id, "hockeyapp", when, android_log()))
    drain(services)
    # What is before the page's day is not even looked at: without it, the page is the same.
    before = services.all_crashes.oldest_first([app.app_id], Paging(4, 10)).entries
    first_days = services.all_crashes.oldest_first([app.app_id], Paging(1, 30)).entries
    services.table.write([Delete(keys.report(report.report_id)) for report in first_days])
    after = services.all_crashes.oldest_first([app.app_id], Paging(4, 10)).entries
    assert after == before
    assert len(after) == 10


# --- downloads -------------------------------------------------------------------


def test_a_link_gives_the_file_to_save(services: Services, token: str) -> None:
    report_id = posted()
    link = ask(f"{CRASHES}{report_id}/", token).json["upload_file_minidump"]
    for accept in ("*/*", "text/html,application/xhtml+xml", None):
        parts = urlsplit(link)
        headers = {"Accept": accept} if accept else {}
        answer = request("GET", f"{parts.path}?{parts.query}", headers=headers)
        assert (answer.status, answer.body) == (200, DUMP)
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment; ")
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        ("/minidump?", "/archive?"),
        ("signature=", "signature=0"),
        ("expires=1", "expires=2"),
        ("crash_report/", "crash_report/0"),
        ("?", "?x="),
    ],
)
def test_a_changed_link_is_a_403(services: Services, token: str, there: str, instead: str) -> None:
    link = ask(f"{CRASHES}{posted()}/", token).json["upload_file_minidump"]
    changed = link.replace(there, instead)
    assert changed != link
    if instead == "crash_report/0":  # the same number: the same file
        assert follow(changed).status == 200
    else:
        assert follow(changed).status == 403
    assert request("GET", urlsplit(link).path).status == 403


def test_a_link_whose_crash_is_gone_is_a_404(services: Services, token: str) -> None:
    report_id = posted()
    link = ask(f"{CRASHES}{report_id}/", token).json["upload_file_minidump"]
    services.blobs.delete(keys.raw_blob(report_id))
    assert follow(link).status == 404


def test_what_is_large_goes_by_a_link_of_the_store_and_its_copy_goes_with_the_crash(
    services: Services,
) -> None:
    data = archive([("trace.log", b"x" * 5000)])
    report_id = posted(data)
    drain(services)
    found = Downloads(services.blobs, max_inline_bytes=1000).open(report_id, "archive")
    assert found.data == b""
    assert found.url is not None
    copy = keys.download_blob(report_id, "archive")
    assert services.blobs.get(copy) == data
    services.eraser.erase([app.app_id for app in services.accounts.apps()])
    assert not list(services.blobs.keys(""))


def test_a_dump_in_a_blob_of_its_own_is_not_copied(services: Services, app: App) -> None:
    services.blobs.put("dumps/1.dmp", DUMP)
    made = Payload(app.app_id, OMAHA, clock.now(), b"", log_key="dumps/1.dmp")
    report_id = services.intake.receive(made)
    token = services.accounts.create_token("read")
    item = ask(f"{CRASHES}{report_id}/", token).json
    answer = follow(item["upload_file_minidump"])
    assert answer.status == 302
    assert answer.headers["location"].startswith(
        "http://localhost/blobs/download?key=dumps%2F1.dmp"
    )
    assert not list(services.blobs.keys("downloads/"))


# --- who may read what ------------------------------------------------------------


READS = [CRASHES, f"{CRASHES}{{id}}/", f"{CRASHES}{{id}}"]


@pytest.mark.parametrize("path", READS)
def test_reading_needs_credentials(services: Services, path: str) -> None:
    (report_id,) = archives(services, 1)
    path = path.format(id=report_id)
    answer = ask(path)
    assert answer.status == 401
    assert answer.json == {"detail": "Authentication credentials were not provided."}
    assert answer.headers["www-authenticate"].startswith("Basic realm=")
    for headers in (
        basic("jo@example.com", "wrong password"),
        basic("", "0" * 32),
        {"Authorization": "Basic"},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic /////w=="},
        {"Authorization": "Bearer x"},
        {"X-HockeyAppToken": "x"},
    ):
        answer = request("GET", path, headers=headers)
        assert answer.status == 401
        assert list(answer.json) == ["detail"]
        assert answer.headers["www-authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize("path", READS)
def test_users_and_tokens_read_however_they_are_sent(services: Services, path: str) -> None:
    (report_id,) = archives(services, 1)
    path = path.format(id=report_id)
    services.users.create("jo@example.com", "open: sesame")
    token = services.accounts.create_token("read")
    for headers in (
        basic("jo@example.com", "open: sesame"),
        basic("JO@example.com", "open: sesame"),
        basic("anyone", token),
        basic("", token),
        basic(token, ""),
        basic(token, "x"),
        {"Authorization": f"Bearer {token}"},
        {"X-HockeyAppToken": token},
    ):
        assert request("GET", path, headers=headers).status == 200


def test_a_password_may_look_like_a_token(services: Services) -> None:
    services.users.create("jo@example.com", "0123456789abcdef" * 2)
    headers = basic("jo@example.com", "0123456789abcdef" * 2)
    assert request("GET", CRASHES, headers=headers).status == 200


@pytest.mark.parametrize("path", READS)
def test_a_token_for_uploading_reads_nothing(services: Services, path: str) -> None:
    (report_id,) = archives(services, 1)
    token = services.accounts.create_token("upload")
    answer = ask(path.format(id=report_id), token)
    assert (answer.status, list(answer.json)) == (403, ["detail"])


def test_credentials_show_their_own_apps_crashes_and_no_others(services: Services) -> None:
    ids = {name: archives(services, 2, appid=name) for name in ("{a}", "{b}", "{c}")}
    waiting = posted(appid="{c}")
    apps = {name: services.omaha_apps.open(name).app_id for name in ids}
    services.users.create("jo@example.com", "open sesame", app_ids=[apps["{a}"], apps["{b}"]])
    token = services.accounts.create_token("read", app_id=apps["{a}"])
    for headers, opened in (
        (basic("jo@example.com", "open sesame"), ["{a}", "{b}"]),
        (basic("", token), ["{a}"]),
    ):
        listed = request("GET", CRASHES, headers=headers).json
        visible = [report_id for name in opened for report_id in ids[name]]
        assert [entry["id"] for entry in listed["results"]] == visible
        assert listed["count"] == len(visible)
        for name, reports in ids.items():
            for report_id in reports:
                status = request("GET", f"{CRASHES}{report_id}/", headers=headers).status
                assert status == (200 if name in opened else 404)
        assert request("GET", f"{CRASHES}{waiting}/", headers=headers).status == 404


@pytest.mark.parametrize("crash_id", ["1", "x", "-1", "9" * 40, "%00"])
def test_a_crash_that_is_not_there_is_a_404(services: Services, token: str, crash_id: str) -> None:
    answer = ask(f"{CRASHES}{crash_id}/", token)
    assert (answer.status, answer.json) == (404, {"detail": "Not found."})


@pytest.mark.parametrize("path", [CRASHES, f"{CRASHES}1/"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_crashes_are_read_only_here(services: Services, token: str, path: str, method: str) -> None:
    answer = ask(path, token, method)
    assert (answer.status, answer.json) == (405, {"detail": f'Method "{method}" not allowed.'})
    assert answer.headers["allow"] == "GET, HEAD"
    assert ask(path, None, method).status == 401
