"""An alert finds its way to a webhook, signed, and is acknowledged."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from tests.alerts.receiver import Post, Receiver
from tests.blackbox import crashes
from tests.blackbox.client import Client, eventually
from tests.blackbox.conftest import App, GroupOf
from tests.blackbox.target import WAY_BACK, Target
from tests.minidump_forms import Part

_DETECTED_S = 150  # the detector runs once a minute, on AWS from some moment on


def _is_signed(post: Post, secret: str) -> bool:
    """As the documentation tells a receiver to look."""
    parts = dict(part.partition("=")[::2] for part in post.headers[_SIGNATURE].split(","))
    signed = f"{parts['t']}.".encode() + post.body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, parts["v1"])


_SIGNATURE = "x-crashbucket-signature"


def test_a_new_group_is_told_to_a_webhook_and_acknowledged(
    service: Target, admin: Client, anyone: Client, app: App, word: str, group_of: GroupOf
) -> None:
    service.needs(WAY_BACK)
    with Receiver() as receiver:
        wanted = {"url": receiver.url, "kinds": ["new_group"]}
        made = admin.post_json(f"{app.path}/webhooks", wanted)
        assert made.status == 201
        webhook, secret = made.json["webhook"], made.json["secret"]
        one = f"{app.path}/webhooks/{webhook['id']}"
        assert admin.send("POST", f"{one}/ping").status == 200
        [ping] = receiver.posts
        assert (ping.json["type"], ping.json["ping"]) == ("ping", {"hello": "world"})
        assert _is_signed(ping, secret)
        sent = [Part("log", crashes.log(word), "crash.log")]
        assert anyone.post_form(f"{app.path}/crashes/upload", sent).status == 201
        group_id = group_of(word)["id"]

        def told() -> list[Post]:
            return [post for post in receiver.posts if word in post.body.decode()]

        post = eventually(told, _DETECTED_S)[0]
        assert _is_signed(post, secret)
        assert (post.json["type"], post.json["crash_reason"]["id"]) == ("crash_reason", group_id)
        alert = post.json["alert"]
        assert (alert["kind"], alert["state"]) == ("new_group", "open")
        _acknowledge(admin, app, alert)
        assert admin.send("DELETE", one).status == 200
        assert len(told()) == 1
    lost = admin.get(f"{app.path}/alerts/undelivered")
    assert (lost.status, lost.json["undelivered"]) == (200, [])


def _acknowledge(admin: Client, app: App, alert: dict[str, Any]) -> None:
    def listed() -> set[int]:
        found = admin.get(f"{app.path}/alerts", per_page="100").json["alerts"]
        return {entry["id"] for entry in found}

    assert alert["id"] in listed()
    answer = admin.follow(alert["acknowledge_url"])
    assert answer.status != 200  # not by whoever has the link
    answer = admin.send("POST", alert["acknowledge_url"])
    assert answer.status == 200
    assert answer.json["alert"]["acknowledged_at"]
    assert alert["id"] not in listed()
