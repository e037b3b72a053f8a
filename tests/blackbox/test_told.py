"""The alert of the crash that was posted in the beginning, and that it is told once."""

from __future__ import annotations

from tests.blackbox.client import Client, eventually
from tests.blackbox.conftest import App, GroupOf
from tests.blackbox.told import Hook

_DETECTED_S = 150  # the detector looks once a minute, on AWS from some moment on


def test_a_new_group_is_told_to_the_webhook_and_acknowledged(
    admin: Client, app: App, hook: Hook, group_of: GroupOf
) -> None:
    post = eventually(lambda: hook.posts(hook.word), _DETECTED_S)[0]
    assert hook.has_signed(post)
    group_id = group_of(hook.word)["id"]
    assert (post.json["type"], post.json["crash_reason"]["id"]) == ("crash_reason", group_id)
    alert = post.json["alert"]
    assert (alert["kind"], alert["state"]) == ("new_group", "open")

    def listed() -> set[int]:
        found = admin.get(f"{app.path}/alerts", per_page="100").json["alerts"]
        return {entry["id"] for entry in found}

    assert alert["id"] in listed()
    assert admin.anonymous().send("POST", alert["acknowledge_url"]).status == 401
    said = admin.send("POST", alert["acknowledge_url"])
    assert said.status == 200
    assert said.json["alert"]["acknowledged_at"]
    assert alert["id"] not in listed()
    assert len(hook.posts(hook.word)) == 1
    lost = admin.get(f"{app.path}/alerts/undelivered")
    assert (lost.status, lost.json["undelivered"]) == (200, [])
