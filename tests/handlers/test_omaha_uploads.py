"""omaha-server's door: crash posts, in every form its clients give them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from chalicelib import bootstrap, keys, payload
from chalicelib.bootstrap import Services
from chalicelib.payload import Payload
from chalicelib.records import App
from tests.crashes import drain
from tests.formats.test_crash_archive import archive
from tests.minidump_forms import DUMP
from tests.omaha_client import GUID, USER, ask, follow, post, posted
from tests.shared_data import shared_data
from tests.wsgi_client import multipart, post_form, request

POST = "/service/crash_report/"


def kept(services: Services, report_id: int) -> Payload:
    return payload.read(services.blobs, keys.raw_blob(report_id), with_attachments=True)


# --- what is taken ---------------------------------------------------------


def test_the_answer_is_the_bare_id(services: Services) -> None:
    answer = post()
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.isdigit()
    assert 0 < int(answer.text) < 2**53


def test_all_that_was_sent_is_kept(services: Services) -> None:
    received = kept(services, posted(lang="en", version="1.0.0.1"))
    assert (received.door, received.log) == ("omaha", DUMP)
    assert received.annotations == {"lang": "en", "version": "1.0.0.1"}
    assert received.fields["appid"] == GUID
    assert received.fields["userid"] == received.fields["user"] == USER
    assert received.attachments == ()


def test_no_field_of_the_record_is_the_clients(services: Services) -> None:
    token = services.accounts.create_token("read")
    said = {"id": "1", "signature": "mine", "created": "2000", "archive": "x", "ip": "8.8.8.8"}
    said |= {"stacktrace_json": "{}", "client_address": "9.9.9.9", "archive_files": "x"}
    report_id = posted(**said)
    received = kept(services, report_id)
    assert "client_address" not in received.fields
    shown = ask(f"/api/crash_report/{report_id}/", token).json
    assert shown["id"] == report_id
    assert shown["meta"] == said
    assert (shown["signature"], shown["archive"], shown["stacktrace_json"]) == (None, None, None)
    assert shown["created"] > "2026"


def test_a_file_named_archive_is_no_archive(services: Services) -> None:
    token = services.accounts.create_token("read")
    files = {"upload_file_minidump": DUMP, "archive": b"mine"}
    answer = post_form(POST, {"appid": GUID}, files)
    assert answer.status == 200
    assert ask(f"/api/crash_report/{answer.text}/", token).json["archive"] is None
    assert [a.data for a in kept(services, int(answer.text)).attachments] == [b"mine"]


def test_paths_are_answered_without_their_last_slash(services: Services) -> None:
    files = {"upload_file_minidump": DUMP}
    assert post_form("/service/crash_report", {}, files).status == 200


@pytest.mark.parametrize(
    ("header", "kept_as"),
    [
        ("203.0.113.7, 10.0.0.1", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("", None),
        ("x" * 100, None),
    ],
)
def test_the_first_client_is_recorded_where_a_proxy_names_it(
    services: Services, header: str, kept_as: str | None
) -> None:
    body, headers = multipart({}, {"upload_file_minidump": DUMP})
    answer = request("POST", POST, body, headers | {"X-Forwarded-For": header})
    assert kept(services, int(answer.text)).fields.get("client_address") == kept_as


# --- gzip, chunked -----------------------------------------------------------


@pytest.mark.parametrize("named", ["gzip", "GZIP", None])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_gzipped_post_is_stored_whether_or_not_its_header_arrives(
    services: Services, named: str | None, chunked: bool
) -> None:
    body, headers = multipart({"appid": GUID, "lang": "en"}, {"upload_file_minidump": DUMP})
    if named:
        headers |= {"Content-Encoding": named}
    answer = request("POST", POST, gzip.compress(body), headers, chunked=chunked)
    assert answer.status == 200
    received = kept(services, int(answer.text))
    assert (received.log, received.annotations) == (DUMP, {"lang": "en"})


# --- archives -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "name"), [(archive(), "tar"), (gzip.compress(archive()), "tar.gz")]
)
def test_an_archive_is_kept_whole_beside_its_dump(
    services: Services, data: bytes, name: str
) -> None:
    token = services.accounts.create_token("read")
    report_id = posted(data)
    received = kept(services, report_id)
    assert received.log.startswith(b"MDMP")
    assert [(a.name, a.data) for a in received.attachments] == [("archive", data)]
    shown = ask(f"/api/crash_report/{report_id}/", token).json
    assert follow(shown["upload_file_minidump"]).body == received.log
    downloaded = follow(shown["archive"])
    assert downloaded.body == data
    assert downloaded.headers["content-disposition"].endswith(f"{report_id}.{name}")


def test_an_archive_without_a_dump_becomes_a_report_and_equal_ones_a_group(
    services: Services,
) -> None:
    token = services.accounts.create_token("read")
    ids = [posted(archive([("trace.log", b"x")])) for _ in range(2)]
    ids.append(posted(archive([("other.sym", b"x")])))
    drain(services)
    assert not list(services.crashes.dead_letters())
    groups = [services.crashes.report(report_id).group_id for report_id in ids]
    assert groups[0] == groups[1] != groups[2]
    shown = ask(f"/api/crash_report/{ids[0]}/", token).json
    assert (shown["upload_file_minidump"], shown["signature"]) == (None, None)
    assert follow(shown["archive"]).status == 200


@pytest.mark.parametrize("data", [archive()[:1400], gzip.compress(archive())[:-20]])
def test_a_broken_archive_is_a_400_in_omahas_words(services: Services, data: bytes) -> None:
    answer = post(data)
    assert answer.status == 400
    (told,) = answer.json["upload_file_minidump"]
    assert told.startswith("The tar file is broken, error: ")


# --- omaha-server's own fixtures -------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "has_dump", "has_archive"),
    [
        (("minidumps", "dumps", "omaha-BreakpadTestApp.dmp"), True, False),
        (("omaha", "foo.tar"), True, True),
        (("omaha", "foo.tar.gz"), True, True),
        (("omaha", "foo_only_instrumental_file.tar"), False, True),
        (("minidumps", "malformed", "omaha-incorrect_minidump.dmp"), True, True),
    ],
)
def test_omahas_own_fixtures_are_taken_processed_and_given_back(
    services: Services, parts: tuple[str, ...], has_dump: bool, has_archive: bool
) -> None:
    token = services.accounts.create_token("read")
    data = shared_data(*parts).read_bytes()
    report_id = posted(data)
    drain(services)
    assert not list(services.crashes.dead_letters())
    (shown,) = ask("/api/crash_report/", token).json["results"]
    assert shown["id"] == report_id
    assert (shown["upload_file_minidump"] is not None) == has_dump
    assert (shown["archive"] is not None) == has_archive
    assert (shown["signature"] is not None) == has_dump
    if has_archive:
        assert follow(shown["archive"]).body == data
    if has_dump:
        assert follow(shown["upload_file_minidump"]).body.startswith(b"MDMP")


def test_a_broken_dump_is_kept_as_a_dead_letter_with_its_reason(services: Services) -> None:
    token = services.accounts.create_token("read")
    report_id = posted(b"MDMP" + b"\xff" * 200)
    drain(services)
    (letter,) = services.crashes.dead_letters()
    assert (letter.report_id, letter.door) == (report_id, "omaha")
    assert letter.reason
    shown = ask(f"/api/crash_report/{report_id}/", token).json
    assert follow(shown["upload_file_minidump"]).body == b"MDMP" + b"\xff" * 200


# --- what is refused ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "fields", "wrong"),
    [
        (None, {}, {"upload_file_minidump": ["This field is required."]}),
        (b"", {}, {"upload_file_minidump": ["The submitted file is empty."]}),
        (
            b"content",
            {},
            {"upload_file_minidump": ["is neither a minidump nor a tar archive of one"]},
        ),
        (
            DUMP,
            {"userid": "u" * 39},
            {"userid": ["Ensure this value has at most 38 characters (it has 39)."]},
        ),
        (
            None,
            {"appid": "a" * 40, "userid": "u" * 39},
            {
                "appid": ["Ensure this value has at most 38 characters (it has 40)."],
                "userid": ["Ensure this value has at most 38 characters (it has 39)."],
                "upload_file_minidump": ["This field is required."],
            },
        ),
        (DUMP, {"appid": "a\0b"}, {"appid": ["Control characters are not allowed."]}),
    ],
)
def test_what_is_refused_is_named_by_field_and_not_kept(
    services: Services, file: bytes | None, fields: dict[str, str], wrong: dict[str, list[str]]
) -> None:
    answer = post(file, **fields)
    assert (answer.status, answer.json) == (400, wrong)
    assert not list(services.blobs.keys("raw/"))
    assert not list(services.accounts.apps())


def test_ids_of_38_characters_are_taken(services: Services) -> None:
    assert post(userid="u" * 38, appid="a" * 38).status == 200


def test_a_damaged_form_is_a_400(services: Services) -> None:
    body, headers = multipart({}, {"upload_file_minidump": DUMP})
    answer = request("POST", POST, body[:-40], headers)
    assert answer.status == 400
    assert "body" in answer.json


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_a_405(services: Services, method: str) -> None:
    answer = request(method, POST)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json == {"detail": f'Method "{method}" not allowed.'}


def test_a_post_beyond_the_limit_names_the_upload_in_two_steps(services: Services) -> None:
    large = services.settings.max_body_bytes + 1
    body, headers = multipart({}, {"upload_file_minidump": DUMP + bytes(large)})
    packed = headers | {"Content-Encoding": "gzip"}
    for answer in (
        request("POST", POST, body, headers),
        request("POST", POST, body, headers, chunked=True),
        request("POST", POST, gzip.compress(body), packed),
    ):
        assert answer.status == 413
        (told,) = answer.json["upload_file_minidump"]
        assert "POST /api/2/apps/APP_ID/uploads" in told


# --- whose crash it is ---------------------------------------------------------------


def test_an_unknown_appid_makes_one_app_that_is_found_from_then_on(services: Services) -> None:
    posted()
    posted(appid=GUID.lower())
    (made,) = services.accounts.apps()
    assert (made.name, made.omaha_id, made.made_by) == (GUID, GUID, "omaha")


def test_clients_that_name_no_app_share_one(services: Services) -> None:
    token = services.accounts.create_token("read")
    ids = [posted(appid="") for _ in range(2)]
    (made,) = services.accounts.apps()
    assert {kept(services, report_id).app_id for report_id in ids} == {made.app_id}
    assert ask(f"/api/crash_report/{ids[0]}/", token).json["appid"] == ""


def test_many_first_crashes_at_one_moment_make_one_app(services: Services) -> None:
    def open_app(_: int) -> str:
        own = bootstrap.build(services.settings, services.table, services.blobs, services.queue)
        return own.omaha_apps.open(GUID).app_id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(open_app, range(16)))) == 1
    assert len(list(services.accounts.apps())) == 1


def test_an_app_is_named_by_its_own_id_or_by_the_id_it_was_given(
    services: Services, app: App
) -> None:
    named = services.accounts.create_app("Potato", omaha_id="{Potato}")
    assert kept(services, posted(appid=app.app_id)).app_id == app.app_id
    assert kept(services, posted(appid=app.app_id.upper())).app_id == app.app_id
    assert kept(services, posted(appid="{POTATO}")).app_id == named.app_id
    assert len(list(services.accounts.apps())) == 2


@pytest.fixture
def closed(services: Services) -> Iterator[Services]:
    chosen = replace(services, settings=replace(services.settings, auto_create_apps=0))
    bootstrap.use(chosen)
    yield chosen


@pytest.mark.parametrize("appid", ["", "{unknown}"])
def test_where_apps_are_not_made_an_unknown_one_is_refused(closed: Services, appid: str) -> None:
    answer = post(appid=appid)
    assert answer.status == 400
    assert list(answer.json) == ["appid"]
    assert not list(closed.blobs.keys("raw/"))
    closed.accounts.create_app("Known", omaha_id="{known}")
    assert post(appid="{known}").status == 200


def test_when_enough_apps_were_made_crashes_of_unknown_ids_share_one_and_keep_their_id(
    services: Services,
) -> None:
    chosen = bootstrap.build(
        replace(services.settings, max_auto_created_apps=2),
        *(services.table, services.blobs, services.queue),
    )
    bootstrap.use(chosen)
    ids = [posted(appid=name) for name in ("one", "two", "three", "four", "ONE", "")]
    apps = [chosen.crashes.payload(crash_id).app_id for crash_id in ids]
    assert apps[0] == apps[4] != apps[1]
    assert apps[2] == apps[3] == apps[5] not in apps[:2]
    assert len(list(chosen.accounts.apps())) == 3
    assert chosen.crashes.payload(ids[2]).fields["appid"] == "three"
