"""Breakpad's, Crashpad's, Electron's and Sentry's uploads, and both protocols of sym_upload."""

from __future__ import annotations

import gzip
import re
import time

import pytest

from tests.blackbox import crashes
from tests.blackbox.client import Client, eventually
from tests.blackbox.conftest import App, GroupOf
from tests.blackbox.crashes import Build
from tests.blackbox.target import Target
from tests.minidump_forms import Part, form


@pytest.fixture
def upload_token(service: Target, admin: Client, app: App) -> str:
    """As a build machine has one; the admin's where nobody can make it."""
    if service.command is None:
        return admin.token
    made = service.command.run("token", "create", "--app", app.app_id, "--scope", "upload")
    return str(made["token"])


def _dump_form(build: Build, **annotations: str) -> list[Part]:
    told = [Part(name, value) for name, value in annotations.items()]
    return [*told, Part("upload_file_minidump", build.dump, "a.dmp")]


def test_crashpads_gzipped_upload_is_named_by_symbols_of_the_first_protocol(
    service: Target,
    admin: Client,
    anyone: Client,
    app: App,
    word: str,
    upload_token: str,
    group_of: GroupOf,
) -> None:
    build = crashes.build(word)
    parts = [
        Part("debug_file", build.file),
        Part("debug_identifier", build.debug_id),
        Part("symbol_file", build.symbols, f"{word}.sym"),
    ]
    stored = anyone.post_form(f"/breakpad/{app.app_id}/symbols?key={upload_token}", parts)
    assert (stored.status, stored.text) == (200, f"stored: {build.file} {build.debug_id}")
    time.sleep(crashes.SYMBOLS_IN_USE_S)
    body, kind = form(_dump_form(build, ver="1.0", guid="g", prod="Electron"))
    packed = {"Content-Type": kind, "Content-Encoding": "gzip"}
    taken = anyone.send("POST", f"/breakpad/{app.app_id}/upload", gzip.compress(body), packed)
    assert (taken.status, taken.text.isdigit()) == (200, True)
    group = group_of(word)
    assert (group["method"], group["file"], group["line"]) == (
        f"{word}_inner",
        f"{word}.cc",
        "11",
    )
    text = admin.get(f"{app.path}/crashes/{taken.text}", format="log").text
    assert f"{build.file}!{word}_outer [{word}.cc : 22" in text


def test_symbols_of_the_second_protocol_name_a_crash_that_is_there(
    service: Target,
    admin: Client,
    anyone: Client,
    app: App,
    word: str,
    upload_token: str,
    group_of: GroupOf,
) -> None:
    build = crashes.build(word)
    assert anyone.post_form(f"/breakpad/{app.app_id}/upload", _dump_form(build)).status == 200

    def is_missing() -> bool:
        missing = admin.get(f"{app.path}/symbols/missing").json["missing"]
        return build.debug_id in {entry["debug_id"] for entry in missing}

    eventually(is_missing, service.patience_s)
    base, key = f"/breakpad/{app.app_id}/v1", f"key={upload_token}"
    status = f"{base}/symbols/{build.file}/{build.debug_id}:checkStatus?{key}"
    assert anyone.get(status).json == {"status": "MISSING"}
    created = anyone.send("POST", f"{base}/uploads:create?{key}").text
    found = re.search(r'"uploadUrl": "([^"]+)".*"uploadKey": "([^"]+)"', created)
    assert found, created
    assert anyone.send("PUT", found[1], build.symbols).status == 200
    what = (
        f'{{ symbol_id: {{debug_file: "{build.file}", debug_id: "{build.debug_id}" }}, '
        'symbol_upload_type: "BREAKPAD" }'
    ).encode()
    done = anyone.send("POST", f"{base}/uploads/{found[2]}:complete?{key}", what)
    assert done.json == {"result": "OK"}
    assert anyone.get(status).json == {"status": "FOUND"}
    assert group_of(f"{word}_inner")["number_of_crashes"] == 1
    eventually(lambda: not is_missing(), service.patience_s)


def test_sentrys_clients_post_a_form_or_the_dump_itself(
    service: Target, anyone: Client, admin: Client, app: App, word: str
) -> None:
    body, kind = form(_dump_form(crashes.build(word), sentry='{"release":"blackbox@1.2.3"}'))
    path = f"/api/{app.number}/minidump/?sentry_key=any"
    packed = {"Content-Type": kind, "Content-Encoding": "gzip"}
    for sent, headers in (
        (gzip.compress(body), packed),
        (crashes.build(word).dump, {"Content-Type": "application/x-dmp"}),
    ):
        answer = anyone.send("POST", path, sent, headers)
        assert answer.status == 200
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.text)
        crash = f"{app.path}/crashes/bp-{answer.text}"

        def is_there(crash: str = crash) -> bool:
            return admin.get(crash, format="json").status == 200

        eventually(is_there, service.patience_s)


def test_refusals_keep_the_shape_of_the_api(anyone: Client, app: App) -> None:
    refused = anyone.post_form(f"/breakpad/{app.app_id}/upload", [Part("ver", "1")])
    assert (refused.status, refused.headers["content-type"].split(";")[0]) == (400, "text/plain")
    refused = anyone.post_form(f"/api/{app.number}/minidump/", [Part("ver", "1")])
    assert (refused.status, list(refused.json)) == (400, ["detail"])
    assert anyone.send("POST", f"/breakpad/{app.app_id}/symbols", b"x").status == 401
