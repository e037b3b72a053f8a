"""A minidump in two steps: a signed form, then straight into the store, from where it is taken."""

from __future__ import annotations

import time
from typing import Any

from tests.blackbox import crashes
from tests.blackbox.client import Answer, Client, eventually
from tests.blackbox.conftest import App, GroupOf
from tests.blackbox.target import Target
from tests.minidump_forms import Part


def _begin(anyone: Client, app: App, **told: Any) -> dict[str, Any]:
    answer = anyone.post_json(f"{app.path}/uploads", told)
    assert answer.status == 201
    assert anyone.located(answer).json["state"] == "waiting"
    begun: dict[str, Any] = answer.json
    return begun


def _send(anyone: Client, begun: dict[str, Any], dump: bytes) -> Answer:
    """As curl -F does it: the fields first, the file last."""
    fields = [Part(name, value) for name, value in begun["fields"].items()]
    return anyone.post_form(begun["url"], [*fields, Part("file", dump, "a.dmp")])


def _state(anyone: Client, app: App, begun: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = anyone.get(f"{app.path}/uploads/{begun['upload_id']}").json
    return told


def test_a_dump_put_into_the_store_is_a_named_crash_of_a_group(
    service: Target, admin: Client, anyone: Client, app: App, word: str, group_of: GroupOf
) -> None:
    build = crashes.build(word)
    symbols = [Part("file", build.symbols, f"{word}.sym")]
    stored = admin.post_form(f"{app.path}/symbols", symbols)
    assert (stored.status, stored.json["symbols"][0]["is_new"]) == (201, True)
    time.sleep(crashes.SYMBOLS_IN_USE_S)
    begun = _begin(anyone, app, filename="a.dmp", annotations={"ver": "3.1", "guid": word})
    assert _send(anyone, begun, build.dump).status == 204

    def crash_id() -> int | None:
        told = _state(anyone, app, begun)
        assert told["state"] != "failed", told
        return told["crash_id"] if told["state"] == "processed" else None

    crash = f"{app.path}/crashes/{eventually(crash_id, service.patience_s)}"
    group = group_of(word)
    assert (group["method"], group["line"]) == (f"{word}_inner", "11")
    assert admin.get(crash, format="json").json["bundle_version"] == "3.1"
    frames = admin.get(f"{crash}/report").json["threads"][0]["frames"]
    assert [frame["function"] for frame in frames[:2]] == [f"{word}_inner", f"{word}_outer"]
