"""Breakpad's, Crashpad's, Electron's and Mozilla's posts: the answers, byte for byte."""

from __future__ import annotations

import gzip
import json

import pytest

from chalicelib import crash_uuid
from chalicelib.bootstrap import Services
from chalicelib.handlers.common import services as current
from chalicelib.records import App
from tests.minidump_forms import DUMP, Part, form
from tests.wsgi_client import Answer, get, request

DUMP_PART = Part("upload_file_minidump", DUMP, "a.dmp")
BREAKPAD = [Part("prod", "App"), Part("ver", "1.0"), DUMP_PART]


def post(path: str, parts: list[Part], *, packed: bool = False, chunked: bool = False) -> Answer:
    body, kind = form(parts)
    headers = {"Content-Type": kind, "User-Agent": "Breakpad/1.0 (Linux)"}
    if packed:
        body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
    return request("POST", path, body, headers, chunked=chunked)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_answer_is_200_and_the_bare_id(app: App, packed: bool, chunked: bool) -> None:
    path = f"/breakpad/{app.app_id}/upload?product=App&version=1.0&guid=g"
    answer = post(path, BREAKPAD, packed=packed, chunked=chunked)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    received = current().crashes.payload(int(answer.body))
    assert answer.body == b"%d" % int(answer.body)
    assert (received.log, received.door) == (DUMP, "breakpad")
    assert received.annotations["prod"] == "App"
    assert received.fields["install_id"] == "g"


def test_mozillas_reporter_gets_a_crash_id_that_leads_to_the_crash(
    services: Services, app: App
) -> None:
    extra = json.dumps({"ProductName": "Firefox", "Version": "120.0"})
    parts = [Part("extra", extra, "extra.json", "application/json"), DUMP_PART]
    answer = post(f"/breakpad/{app.app_id}/upload", parts)
    assert (answer.status, answer.text[:11], answer.text[-1]) == (200, "CrashID=bp-", "\n")
    uuid = answer.text.removeprefix("CrashID=").rstrip()
    crash_id = crash_uuid.report_id(uuid)
    assert crash_id is not None
    assert services.crashes.payload(crash_id).fields["version"] == "120.0"
    token = services.accounts.create_token("read")
    told = get(f"/api/2/apps/{app.app_id}/crashes/{uuid}?format=json", token)
    assert (told.status, told.json["id"]) == (202, crash_id)


@pytest.mark.parametrize("identifier", [0, 1, 453_178_000_000_000, 2**53 - 1])
def test_an_id_comes_back_from_its_uuid(identifier: int) -> None:
    for text in (crash_uuid.plain(identifier), crash_uuid.socorro(identifier)):
        assert crash_uuid.report_id(text) == identifier
        assert crash_uuid.report_id(text.removeprefix("bp-").replace("-", "")) == identifier
    assert crash_uuid.report_id("bp-de1bb258-cbbf-4589-a673-34f800160918") is None


def test_an_unknown_app_is_a_404_in_plain_text(services: Services) -> None:
    answer = post("/breakpad/nobody/upload", BREAKPAD)
    assert (answer.status, answer.text) == (404, "app 'nobody' not found")
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([Part("prod", "App")], "upload_file_minidump: is missing"),
        ([Part("upload_file_minidump", "no dump", "a.dmp")], "does not begin with MDMP"),
        ([Part("upload_file_minidump", b"", "a.dmp")], "upload_file_minidump: is empty"),
    ],
)
def test_what_is_no_minidump_is_a_400_in_plain_text(
    services: Services, app: App, parts: list[Part], told: str
) -> None:
    answer = post(f"/breakpad/{app.app_id}/upload", parts)
    assert answer.status == 400
    assert told in answer.text
    assert services.queue.depth() == 0


def test_half_a_form_is_a_400(services: Services, app: App) -> None:
    body, kind = form(BREAKPAD)
    path = f"/breakpad/{app.app_id}/upload"
    assert request("POST", path, body[:-30], {"Content-Type": kind}).status == 400
    assert request("POST", path, gzip.compress(body)[:-9], {"Content-Type": kind}).status == 400
    assert request("POST", path, b"").status == 400
    assert services.queue.depth() == 0


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_a_post_above_the_limit_is_a_413_that_names_the_other_way(
    services: Services, app: App, chunked: bool, packed: bool
) -> None:
    large = Part("upload_file_minidump", DUMP + bytes(20_000_000), "a.dmp")
    answer = post(f"/breakpad/{app.app_id}/upload", [large], packed=packed, chunked=chunked)
    assert answer.status == 413
    assert answer.text == (
        "the body is larger than 20000000 bytes, the limit of one post; up to 100000000 bytes "
        f"go in two steps: POST /api/2/apps/{app.app_id}/uploads"
    )


def test_posting_needs_no_token_and_a_wrong_one_does_no_harm(app: App) -> None:
    body, kind = form(BREAKPAD)
    headers = {"Content-Type": kind, "X-HockeyAppToken": "wrong"}
    assert request("POST", f"/breakpad/{app.app_id}/upload", body, headers).status == 200
