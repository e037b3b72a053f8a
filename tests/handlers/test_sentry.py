"""Sentry's minidump endpoint, as its SDKs post to it and read its answers."""

from __future__ import annotations

import gzip

import msgpack
import pytest

from chalicelib import crash_uuid
from chalicelib.bootstrap import Services
from chalicelib.records import App
from tests.minidump_forms import DUMP, Part, form
from tests.wsgi_client import Answer, request

DUMP_PART = Part("upload_file_minidump", DUMP, "minidump.dmp")
EVENT_ID = "2dd132e467174db48dbaddabd3cbed57"
QUERY = "?sentry_client=sentry.native/0.7.6&sentry_key=95e16831cb6713fbf64816ec78a777ef"


def post(app: App, parts: list[Part], *, project: str | None = None, packed: bool = True) -> Answer:
    body, kind = form(parts)
    headers = {"Content-Type": kind} | ({"Content-Encoding": "gzip"} if packed else {})
    path = f"/api/{project or app.number}/minidump/{QUERY}"
    return request("POST", path, gzip.compress(body) if packed else body, headers)


def test_sentry_natives_event_is_kept_and_its_id_answered(services: Services, app: App) -> None:
    event = {"event_id": EVENT_ID, "release": "my-app@1.2.3", "user": {"id": "u1"}}
    event |= {"environment": "beta", "tags": {"gpu": "none"}}
    crumbs = msgpack.packb({"message": "before"})
    parts = [
        DUMP_PART,
        Part("__sentry-event", msgpack.packb(event), "__sentry-event"),
        Part("__sentry-breadcrumb1", crumbs, "__sentry-breadcrumb1"),
        Part("guid", "11111111-2222"),
    ]
    answer = post(app, parts)
    assert (answer.status, answer.text) == (200, "2dd132e4-6717-4db4-8dba-ddabd3cbed57")
    assert answer.headers["content-type"].startswith("text/plain")
    (key,) = services.blobs.keys("raw/")
    received = services.crashes.payload(int(key.rpartition("/")[2]), with_attachments=True)
    assert (received.app_id, received.door, received.log) == (app.app_id, "sentry", DUMP)
    assert received.fields == {
        "version": "1.2.3",
        "user": "u1",
        "channel": "beta",
        "install_id": "11111111-2222",
        "sdk": "sentry.native/0.7.6",
    }
    assert received.annotations["tags.gpu"] == "none"
    attached = {item.name: item.data for item in received.attachments}
    assert attached["__sentry-breadcrumb1"] == crumbs
    assert set(attached) == {"__sentry-event", "__sentry-breadcrumb1"}


def test_electrons_scope_is_read_and_its_crash_has_an_id_of_ours(
    services: Services, app: App
) -> None:
    scope = '{"release":"Slack@4.28.171","environment":"production","user":{"id":"9267"}}'
    parts = [
        Part("_productName", "Slack"),
        Part("_version", "4.28.171"),
        Part("prod", "Electron"),
        Part("ver", "20.0.3"),
        Part("sentry___initialScope", scope),
        DUMP_PART,
    ]
    answer = post(app, parts, project=app.app_id, packed=False)
    crash_id = crash_uuid.report_id(answer.text)
    assert answer.status == 200
    assert crash_id is not None
    fields = services.crashes.payload(crash_id).fields
    assert (fields["app_name"], fields["version"], fields["user"]) == ("Slack", "4.28.171", "9267")


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/x-dmp"])
def test_a_dump_may_be_the_body_itself(services: Services, app: App, kind: str) -> None:
    auth = {"X-Sentry-Auth": "Sentry sentry_version=7, sentry_client=curl/1, sentry_key=k"}
    path = f"/api/{app.number}/minidump/"
    answer = request("POST", path, DUMP, {"Content-Type": kind, **auth})
    assert answer.status == 200
    crash_id = crash_uuid.report_id(answer.text)
    assert crash_id is not None
    received = services.crashes.payload(crash_id)
    assert (received.log, received.fields) == (DUMP, {"sdk": "curl/1"})


def test_failures_are_told_as_sentry_does(services: Services, app: App) -> None:
    missing = post(app, [Part("a", "b")])
    assert (missing.status, set(missing.json)) == (400, {"detail"})
    no_dump = post(app, [Part("upload_file_minidump", b"x", "a")])
    assert (no_dump.status, "MDMP" in no_dump.json["detail"]) == (400, True)
    unknown = post(app, [DUMP_PART], project="7")
    assert (unknown.status, unknown.json) == (404, {"detail": "project '7' not found"})
    large = post(app, [Part("upload_file_minidump", DUMP + bytes(21_000_000), "a")], packed=False)
    assert large.status == 413
    assert f"/api/2/apps/{app.app_id}/uploads" in large.json["detail"]
    assert services.queue.depth() == 0


@pytest.mark.parametrize("project", ["0", "9" * 17, "-1", "²", "%2e%2e"])
def test_a_project_that_cannot_be_is_a_404(services: Services, app: App, project: str) -> None:
    assert post(app, [DUMP_PART], project=project).status == 404
