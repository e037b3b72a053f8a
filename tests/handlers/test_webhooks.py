"""Webhooks over HTTP: made, changed, pinged, removed; of an app and of all."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from chalicelib.alerts.webhooks import MAX_WEBHOOKS
from tests.alerts.conftest import World, receiver, settings, world  # noqa: F401 - fixtures
from tests.alerts.receiver import Answer, Receiver
from tests.wsgi_client import Answer as Told
from tests.wsgi_client import request

_KINDS = ["spike", "new_group", "regressed_group", "crash_free_drop"]


@pytest.fixture
def admin(world: World) -> dict[str, str]:  # noqa: F811
    return {"X-HockeyAppToken": world.services.accounts.create_token("admin")}


def asked(
    method: str, path: str, token: dict[str, str], body: dict[str, Any] | None = None
) -> Told:
    sent = b"" if body is None else json.dumps(body).encode()
    return request(method, path, sent, {"Host": "api.example.com", **token})


@pytest.mark.parametrize("of_app", [True, False], ids=["of an app", "of all"])
def test_a_webhook_is_made_changed_and_removed(
    world: World,  # noqa: F811
    admin: dict[str, str],
    *,
    of_app: bool,
) -> None:
    base = f"/api/2/apps/{world.app.app_id}/webhooks" if of_app else "/api/2/webhooks"
    made = asked("POST", base, admin, {"url": "https://hooks.example.com/a"})
    assert made.status == 201
    webhook = made.json["webhook"]
    assert len(made.json["secret"]) == 64
    assert webhook == {
        "id": webhook["id"],
        "public_identifier": world.app.app_id if of_app else None,
        "url": "https://hooks.example.com/a",
        "kinds": _KINDS,
        "active": True,
        "state": "active",
        "failing_since": None,
        "failure": None,
        "switched_off": None,
        "created_at": webhook["created_at"],
    }
    one = f"{base}/{webhook['id']}"
    assert asked("GET", base, admin).json == {"webhooks": [webhook], "status": "success"}
    assert asked("GET", one, admin).json == {"webhook": webhook, "status": "success"}
    changed = asked("PUT", one, admin, {"kinds": ["spike"], "active": False}).json["webhook"]
    assert changed == {**webhook, "kinds": ["spike"], "active": False, "state": "off"}
    assert asked("DELETE", one, admin).status == 200
    assert asked("GET", one, admin).status == 404
    assert asked("PUT", one, admin, {}).status == 404
    assert asked("GET", base, admin).json["webhooks"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": None}, "url"),
        ({"url": 1}, "url"),
        ({"url": "hooks.example.com"}, "url"),
        ({"url": "https://e.com/", "kinds": []}, "kinds"),
        ({"url": "https://e.com/", "kinds": ["storm"]}, "kinds"),
        ({"url": "https://e.com/", "kinds": "spike"}, "kinds"),
        ({"url": "https://e.com/", "active": 1}, "active"),
    ],
)
def test_what_cannot_be_is_refused_by_field(
    world: World,  # noqa: F811
    admin: dict[str, str],
    body: dict[str, Any],
    field: str,
) -> None:
    answer = asked("POST", "/api/2/webhooks", admin, body)
    assert answer.status == 422
    assert list(answer.json["errors"]) == [field]


def test_a_body_that_is_no_object_is_refused(world: World, admin: dict[str, str]) -> None:  # noqa: F811
    for body in (b"", b"[]", b"{", b"url=https://e.com/"):
        answer = request("POST", "/api/2/webhooks", body, admin)
        assert (answer.status, list(answer.json["errors"])) == (422, ["body"])


def test_the_webhooks_of_an_app_are_bounded(world: World, admin: dict[str, str]) -> None:  # noqa: F811
    base = f"/api/2/apps/{world.app.app_id}/webhooks"
    statuses = [
        asked("POST", base, admin, {"url": f"https://e.com/{number}"}).status
        for number in range(MAX_WEBHOOKS + 1)
    ]
    assert statuses == [201] * MAX_WEBHOOKS + [422]


def test_an_admin_of_one_app_sees_no_webhooks_of_all_and_of_others(world: World) -> None:  # noqa: F811
    accounts = world.services.accounts
    token = {"X-HockeyAppToken": accounts.create_token("admin", app_id=world.app.app_id)}
    other = accounts.create_app("Other")
    of_other = world.services.webhooks.create("https://e.com/", app_id=other.app_id)
    of_all = world.services.webhooks.create("https://e.com/", app_id=None)
    own = f"/api/2/apps/{world.app.app_id}/webhooks"
    assert asked("GET", own, token).status == 200
    for path in (
        "/api/2/webhooks",
        f"/api/2/webhooks/{of_all.webhook_id}",
        f"/api/2/apps/{other.app_id}/webhooks",
        f"{own}/{of_other.webhook_id}",
        f"{own}/{of_all.webhook_id}",
        f"{own}/x",
    ):
        assert asked("GET", path, token).status == 404, path


def test_a_ping_is_posted_at_once_signed_with_the_secret_that_was_shown(
    world: World,  # noqa: F811
    admin: dict[str, str],
    receiver: Receiver,  # noqa: F811
) -> None:
    base = f"/api/2/apps/{world.app.app_id}/webhooks"
    made = asked("POST", base, admin, {"url": receiver.url}).json
    one = f"{base}/{made['webhook']['id']}"
    assert asked("POST", f"{one}/ping", admin).json == {"answered": 200, "status": "success"}
    (post,) = receiver.posts
    assert post.json == {
        "title": "Ping for Demo",
        "text": "This webhook works.",
        "url": f"https://crashes.example.com/api/2/apps/{world.app.app_id}",
        "public_identifier": world.app.app_id,
        "sent_at": post.json["sent_at"],
        "type": "ping",
        "ping": {"hello": "world"},
    }
    moment, _, digest = post.headers["x-crashbucket-signature"].removeprefix("t=").partition(",")
    signed = moment.encode() + b"." + post.body
    expected = hmac.new(made["secret"].encode(), signed, hashlib.sha256).hexdigest()
    assert digest == f"v1={expected}"


def test_a_ping_that_does_not_get_there_tells_why(world: World, admin: dict[str, str]) -> None:  # noqa: F811
    with Receiver(Answer(500, body=b"no room")) as receiver:  # noqa: F811
        made = asked("POST", "/api/2/webhooks", admin, {"url": receiver.url}).json["webhook"]
        answer = asked("POST", f"/api/2/webhooks/{made['id']}/ping", admin)
    assert answer.status == 422
    assert answer.json == {"errors": {"url": ["answered 500: no room"]}}
