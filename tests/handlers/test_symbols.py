"""Symbol files over HockeyApp's API, as its clients send them."""

from __future__ import annotations

import gzip
import json
import zipfile
from io import BytesIO
from typing import Any

import pytest

from chalicelib.bootstrap import Services
from chalicelib.records import App
from chalicelib.worker import Worker
from tests.minidump_forms import Part, form
from tests.symbols.samples import APP_ID, APP_SYM, LIB_ID, LIB_SYM, MAPPING
from tests.symbols.test_symbolication import OBFUSCATED_LOG
from tests.wsgi_client import Answer, get, multipart, post_form, request


@pytest.fixture
def token(services: Services, app: App) -> str:
    return services.accounts.create_token("write", app_id=app.app_id)


def send(
    app: App, token: str | None, files: dict[str, Any], path: str = "symbols", **fields: str
) -> Answer:
    body, headers = multipart(fields, files)
    signed = {"X-HockeyAppToken": token} if token else {}
    return request("POST", f"/api/2/apps/{app.app_id}/{path}", body, headers | signed)


def test_symbols_are_added_listed_shown_and_taken_away(
    services: Services, app: App, token: str
) -> None:
    answer = send(app, token, {"file": APP_SYM, "file2": LIB_SYM})
    assert answer.status == 201, answer.text
    added = json.loads(answer.body)["symbols"]
    assert [(entry["debug_id"], entry["is_new"]) for entry in added] == [
        (APP_ID, True), (LIB_ID, True),
    ]  # fmt: skip
    path = f"/api/2/apps/{app.app_id}/symbols"
    listed = json.loads(get(path, token).body)
    assert [entry["id"] for entry in listed["symbols"]] == [entry["id"] for entry in added]
    assert (listed["total_entries"], listed["current_page"], listed["status"]) == (2, 1, "success")
    item = f"{path}/{added[0]['id']}"
    shown = json.loads(get(item, token).body)
    assert shown["features"] == ["symbols", "debug", "unwind"]
    assert (shown["size"], shown["debug_file"], shown["arch"]) == (len(APP_SYM), "app.pdb", "x86")
    assert shown["download_url"]
    gone = request("DELETE", item, headers={"X-HockeyAppToken": token})
    assert gone.status == 200
    assert get(item, token).status == 404
    assert json.loads(get(path, token).body)["total_entries"] == 1


def test_files_of_one_name_are_all_taken(app: App, token: str) -> None:
    parts = [Part("file", APP_SYM, "a.sym"), Part("file", LIB_SYM, "b.sym")]
    body, kind = form(parts)
    headers = {"X-HockeyAppToken": token, "Content-Type": kind}
    answer = request("POST", f"/api/2/apps/{app.app_id}/symbols", body, headers)
    assert [entry["debug_id"] for entry in answer.json["symbols"]] == [APP_ID, LIB_ID]


def test_a_gzipped_form_is_read_whatever_its_headers_say(app: App, token: str) -> None:
    body, headers = multipart({}, {"file": APP_SYM})
    path = f"/api/2/apps/{app.app_id}/symbols"
    answer = request("POST", path, gzip.compress(body), headers | {"X-HockeyAppToken": token})
    assert answer.status == 201, answer.text


@pytest.mark.parametrize("path", ["symbols", "app_versions/upload", "app_versions/7"])
def test_a_file_that_is_too_large_is_told_where_it_can_go(app: App, token: str, path: str) -> None:
    answer = send(app, token, {"dsym": bytes(20_000_001)}, path)
    assert answer.status == 413
    (told,) = answer.json["errors"]["body"]
    assert told.startswith("is too large: the limit is 20000000; `crashbucket symbols upload`")


def test_the_link_to_a_file_is_whole(app: App, token: str) -> None:
    (added,) = send(app, token, {"file": APP_SYM}).json["symbols"]
    path = f"/api/2/apps/{app.app_id}/symbols/{added['id']}"
    shown = request("GET", path, headers={"X-HockeyAppToken": token, "Host": "crashes.example"})
    assert shown.json["download_url"].startswith("http://crashes.example/blobs/download?")


def test_the_same_file_again_is_told_as_known(services: Services, app: App, token: str) -> None:
    send(app, token, {"file": APP_SYM})
    answer = send(app, token, {"file": APP_SYM})
    assert answer.status == 201
    assert [entry["is_new"] for entry in json.loads(answer.body)["symbols"]] == [False]


def test_what_is_no_debug_file_is_a_422_that_names_the_part(
    services: Services, app: App, token: str
) -> None:
    for files, field in (({"file": b"text"}, "file"), ({"other": b""}, "other"), ({}, "file")):
        answer = send(app, token, files)
        assert answer.status == 422, answer.text
        assert list(json.loads(answer.body)["errors"]) == [field]


def test_a_token_is_needed_and_one_for_another_app_opens_nothing(
    services: Services, app: App, token: str
) -> None:
    assert send(app, None, {"file": APP_SYM}).status == 401
    reader = services.accounts.create_token("read", app_id=app.app_id)
    assert send(app, reader, {"file": APP_SYM}).status == 403
    uploader = services.accounts.create_token("upload", app_id=app.app_id)
    answer = send(app, uploader, {"file": APP_SYM})
    assert answer.status == 201
    path = f"/api/2/apps/{app.app_id}/symbols"
    assert get(path, uploader).status == 403
    other = services.accounts.create_app("Other")
    theirs = services.accounts.create_token("write", app_id=other.app_id)
    assert get(path, theirs).status == 404
    item = json.loads(answer.body)["symbols"][0]["id"]
    for method in ("GET", "DELETE"):
        across = f"/api/2/apps/{other.app_id}/symbols/{item}"
        answer = request(method, across, headers={"X-HockeyAppToken": theirs})
        assert answer.status == 404
    assert get(f"{path}/{item}", token).status == 200


def test_ids_that_are_none_are_not_found(services: Services, app: App, token: str) -> None:
    for text in ("0", "-1", "abc", "9" * 30):
        assert get(f"/api/2/apps/{app.app_id}/symbols/{text}", token).status == 404


# --- for a version ---


def test_a_dsym_for_a_new_version_makes_it(services: Services, app: App, token: str) -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("App.dSYM/Contents/Resources/DWARF/App", LIB_SYM)
    version = {"bundle_version": "7", "bundle_short_version": "1.2"}
    files = {"dsym": packed.getvalue()}
    answer = send(app, token, files, "app_versions/upload", **version)
    assert answer.status == 201, answer.text
    told = json.loads(answer.body)
    assert (told["version"], told["shortversion"], told["app_id"]) == ("7", "1.2", app.number)
    listed = json.loads(get(f"/api/2/apps/{app.app_id}/app_versions", token).body)
    assert [entry["id"] for entry in listed["app_versions"]] == [told["id"]]
    again = send(app, token, files, "app_versions/upload", **version)
    assert json.loads(again.body)["id"] == told["id"]
    assert services.symbols.files(app.app_id).files[0].debug_id == LIB_ID


def test_a_mapping_for_a_version_turns_the_names_of_its_crashes_back(
    services: Services, token: str, app: App
) -> None:
    log = OBFUSCATED_LOG.replace(b"Package: com.example.app", b"Package: de.codenauts.hockeyapp")
    post_form(f"/api/2/apps/{app.app_id}/crashes/upload", {}, {"log": log})
    Worker(services).drain()
    assert classes(app, token) == {"a.b"}
    [version] = services.groups.versions(app.app_id)
    path = f"/api/2/apps/{app.app_id}/app_versions/{version.version_id}"
    body, headers = multipart({}, {"dsym": MAPPING})
    answer = request("PUT", path, body, {**headers, "X-HockeyAppToken": token})
    assert answer.status == 201, answer.text
    assert json.loads(answer.body)["id"] == version.version_id
    [file] = services.symbols.files(app.app_id).files
    assert (file.version_number, file.version_name) == ("42", "1.0")
    Worker(services).drain()
    assert classes(app, token) == {"com.example.app.Helper"}


def classes(app: App, token: str) -> set[str]:
    """The classes that the app's groups are named by."""
    listed = json.loads(get(f"/api/2/apps/{app.app_id}/crash_reasons", token).body)
    return {entry["class"] for entry in listed["crash_reasons"] if entry["number_of_crashes"]}


def test_what_a_version_upload_lacks_is_named(services: Services, app: App, token: str) -> None:
    answer = send(app, token, {"dsym": APP_SYM}, "app_versions/upload")
    assert (answer.status, list(json.loads(answer.body)["errors"])) == (422, ["bundle_version"])
    answer = send(app, token, {}, "app_versions/upload", bundle_version="1")
    assert (answer.status, list(json.loads(answer.body)["errors"])) == (422, ["dsym"])
    answer = send(app, token, {"dsym": b"no"}, "app_versions/upload", bundle_version="1")
    assert (answer.status, list(json.loads(answer.body)["errors"])) == (422, ["dsym"])
    answer = send(app, token, {"dsym": APP_SYM}, "app_versions/123")
    assert answer.status == 404
    assert services.groups.versions(app.app_id) == []
    long = {"bundle_version": "1" * 300}
    assert send(app, token, {"dsym": APP_SYM}, "app_versions/upload", **long).status == 422
