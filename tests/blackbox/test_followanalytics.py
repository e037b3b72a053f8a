"""FollowAnalytics' API: a sign-in, the occurrences of a crash, and the export of one."""

from __future__ import annotations

import json
from typing import Any

from tests.blackbox import crashes
from tests.blackbox.client import Client, eventually
from tests.blackbox.conftest import App, GroupOf
from tests.blackbox.target import Target
from tests.minidump_forms import Part

_JSON = {"Content-Type": "application/json", "Accept": "application/json"}


def test_an_occurrence_is_listed_and_exported(
    service: Target, anyone: Client, app: App, word: str, group_of: GroupOf
) -> None:
    email = f"{word.lower()}@example.com"
    service.crashbucket.run("user", "create", email, "--app", app.app_id, typed="open sesame\n")
    asked = json.dumps({"email": email, "password": "open sesame"}).encode()
    signed_in = anyone.send("POST", "/api/login", asked, _JSON)
    assert signed_in.status == 200
    token = {"Authorization": f"Token {signed_in.json['result']['auth_token']}"}
    anyone.post_form(f"{app.path}/crashes/upload", [Part("log", crashes.log(word), "crash.log")])
    crash = f"/api/crashes/{group_of(word)['id']}"

    def listed() -> list[dict[str, Any]]:
        told = anyone.get(f"{crash}/occurrences", token).json
        assert told["success"] is True
        return list(told["result"])

    [occurrence] = eventually(listed, service.patience_s)

    def exported() -> dict[str, Any] | None:
        told = anyone.get(f"{crash}/export_occurrences", token, **occurrence).json
        assert told["success"] is True
        return told.get("result")

    link = (eventually(exported, service.patience_s) or {})["url"]
    file = anyone.follow(link)
    assert (file.status, file.json["log"]) == (200, crashes.log(word).decode())


def test_refusals_keep_the_shape_of_the_api(anyone: Client, admin: Client) -> None:
    wrong = json.dumps({"email": "nobody@example.com", "password": "no"}).encode()
    answer = anyone.send("POST", "/api/login", wrong, _JSON)
    assert (answer.status, answer.json["success"]) == (401, False)
    answer = admin.get("/api/crashes/1/occurrences")
    assert (answer.status, answer.json["status"]) == (404, "not_found")
