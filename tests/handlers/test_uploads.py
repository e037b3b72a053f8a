"""Uploads in two steps: the signed form that the door gives, and what it tells afterwards."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib import bootstrap, clock
from chalicelib.bootstrap import Services
from chalicelib.records import App
from chalicelib.worker import Worker
from tests.formats.minidump.builder import MinidumpBuilder
from tests.server import RunningServer, wait_for
from tests.wsgi_client import Answer, get, multipart, request

DUMP = MinidumpBuilder(os="linux", cpu="amd64").thread(1, {"rip": 0x1000}).build()


def begin(app: App, told: object = None, **headers: str) -> Answer:
    body = b"" if told is None else json.dumps(told).encode()
    path = f"/api/2/apps/{app.app_id}/uploads"
    return request("POST", path, body, {"Content-Type": "application/json", **headers})


def test_a_form_for_one_dump_is_given_without_a_token(services: Services, app: App) -> None:
    before = clock.now()
    answer = begin(app, {"filename": "a.dmp", "size": 1234, "annotations": {"ver": "1", "n": 2}})
    assert answer.status == 201
    told = answer.json
    assert set(told) == {"upload_id", "url", "method", "fields", "expires_at"}
    assert (told["url"], told["method"]) == ("http://localhost/blobs/upload", "POST")
    assert told["fields"]["key"] == f"dumps/{app.app_id}/{told['upload_id']}.dmp"
    assert told["fields"]["max_bytes"] == "1234"
    lasts = datetime.fromisoformat(told["expires_at"]) - before
    assert timedelta(minutes=14) < lasts <= timedelta(minutes=15)
    location = f"/api/2/apps/{app.app_id}/uploads/{told['upload_id']}"
    assert answer.headers["location"] == location
    state = get(location)
    assert (state.status, state.json) == (
        200,
        {"state": "waiting", "crash_id": None, "reason": None},
    )


def test_all_of_the_request_may_be_left_out(services: Services, app: App) -> None:
    for told in (None, {}, {"annotations": None, "size": None}):
        answer = begin(app, told)
        assert answer.status == 201
        limit = str(services.settings.max_dump_bytes)
        assert answer.json["fields"]["max_bytes"] == limit


def test_a_dump_above_the_limit_is_a_413(services: Services, app: App) -> None:
    answer = begin(app, {"size": 100_000_001})
    assert answer.status == 413
    assert "the limit is 100000000" in answer.json["errors"]["size"][0]


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ([], "body"),
        ({"size": "7"}, "size"),
        ({"size": 0}, "size"),
        ({"size": True}, "size"),
        ({"size": 1.5}, "size"),
        ({"filename": 7}, "filename"),
        ({"annotations": []}, "annotations"),
        ({"annotations": {"a": {}}}, "annotations"),
        ({"annotations": {"": "x"}}, "annotations"),
        ({"annotations": {"a" * 256: "x"}}, "annotations"),
        ({"annotations": {"a": "x" * 64_000}}, "annotations"),
        ({"annotations": {str(n): "" for n in range(513)}}, "annotations"),
    ],
)
def test_a_wrong_request_is_a_422_that_names_the_field(
    services: Services, app: App, told: object, field: str
) -> None:
    answer = begin(app, told)
    assert (answer.status, list(answer.json["errors"])) == (422, [field])


@pytest.mark.parametrize("character", ["\U0001f600", "\ud800", "\0"])
def test_the_largest_annotations_fit_whatever_they_are_made_of(
    services: Services, app: App, character: str
) -> None:
    assert begin(app, {"annotations": {"a": character * 63_990}}).status == 201


def test_an_unknown_app_or_upload_is_a_404(services: Services, app: App) -> None:
    upload_id = begin(app).json["upload_id"]
    other = services.accounts.create_app("Other")
    assert get(f"/api/2/apps/{other.app_id}/uploads/{upload_id}").status == 404
    assert get(f"/api/2/apps/{app.app_id}/uploads/{'0' * 32}").status == 404
    assert get(f"/api/2/apps/nobody/uploads/{upload_id}").status == 404
    nobody = dataclasses.replace(app, app_id="nobody")
    assert begin(nobody).status == 404


def test_the_state_follows_the_dump(services: Services, app: App) -> None:
    told = begin(app).json
    path = f"/api/2/apps/{app.app_id}/uploads/{told['upload_id']}"
    services.blobs.put(told["fields"]["key"], DUMP)
    assert get(path).json == {"state": "received", "crash_id": None, "reason": None}
    Worker(services).step()
    landed = get(path).json
    assert landed["state"] == "received"
    Worker(services).drain()
    assert get(path).json == {**landed, "state": "processed"}
    assert services.crashes.report(landed["crash_id"]).app_id == app.app_id


def test_an_upload_that_never_came_has_failed_some_time_after_its_link(
    services: Services, app: App
) -> None:
    hasty = dataclasses.replace(services.settings, upload_link_s=0)
    anew = bootstrap.build(hasty, services.table, services.blobs, services.queue)
    begun = anew.uploads.begin(app.app_id, None, {})
    assert anew.uploads.state(app.app_id, begun.upload_id).state == "waiting"
    with pytest.MonkeyPatch.context() as patch:
        later = clock.now() + timedelta(hours=2)
        patch.setattr(clock, "now", lambda: later)
        found = anew.uploads.state(app.app_id, begun.upload_id)
    assert (found.state, found.crash_id) == ("failed", None)
    assert "nothing was uploaded" in str(found.reason)


def test_the_embedded_server_honours_its_own_form_over_http(tmp_path: Path) -> None:
    import http.client
    import urllib.parse

    def ask(method: str, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
        connection.request(method, parts.path, body, headers)
        answer = connection.getresponse()
        found = (answer.status, answer.read())
        connection.close()
        return found

    large = DUMP + bytes(25_000_000)  # above what one post may have
    with RunningServer(tmp_path / "data") as server:
        app_id = server.demo["app_id"]
        path = f"/api/2/apps/{app_id}/uploads"
        asked = json.dumps({"size": len(large), "annotations": {"ver": "7"}}).encode()
        status, begun = ask("POST", server.url + path, asked, {})
        assert status == 201
        told: dict[str, Any] = json.loads(begun)
        assert told["url"] == f"{server.url}/blobs/upload"
        body, headers = multipart(told["fields"], {"file": large})
        assert ask(told["method"], told["url"], body, headers) == (204, b"")
        body, headers = multipart(told["fields"], {"file": large + b"x"})
        assert ask(told["method"], told["url"], body, headers)[0] == 413

        def state() -> Any:
            return server.get(f"{path}/{told['upload_id']}")

        assert wait_for(lambda: state()["state"] == "processed", 20.0), state()
        (version,) = server.get(f"/api/2/apps/{app_id}/app_versions")["app_versions"]
        assert version["version"] == "7"
