"""A payload that cannot be read stops nothing: it is listed with its reason, and replayed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blackbox import crashes
from tests.blackbox.client import Client, eventually
from tests.blackbox.conftest import App, GroupOf
from tests.blackbox.target import Target
from tests.minidump_forms import DUMP, Part

_AS_JSON = {"Accept": "application/json"}
_COMMAND_EVERY_S = 2.0  # a process of its own each time, which takes processors from the service


def test_a_poisoned_dump_is_a_dead_letter_and_its_neighbours_are_crashes(
    service: Target, anyone: Client, app: App, word: str, group_of: GroupOf
) -> None:
    upload = f"/breakpad/{app.app_id}/upload"
    poison = Part("upload_file_minidump", DUMP + b"nothing that this header promises", "a.dmp")
    sound = Part("log", crashes.log(word), "crash.log")
    dead_id = int(anyone.post_form(upload, [poison]).text)
    assert anyone.post_form(f"{app.path}/crashes/upload", [sound]).status == 201
    assert group_of(word)["number_of_crashes"] == 1
    crashbucket = service.crashbucket

    def listed() -> list[dict[str, Any]]:
        letters = crashbucket.run("deadletters", "list")["dead_letters"]
        return [letter for letter in letters if letter["report_id"] == dead_id]

    [letter] = eventually(listed, service.patience_s, _COMMAND_EVERY_S)
    assert (letter["app_id"], letter["door"]) == (app.app_id, "breakpad")
    assert letter["reason"]
    replayed = crashbucket.run("deadletters", "replay", str(dead_id), status=1)
    assert replayed == {"replayed": 0, "dead": [dead_id]}
    assert listed()


def test_what_failed_at_every_delivery_is_replayed_after_the_fault(
    service: Target, anyone: Client, app: App, word: str, group_of: GroupOf
) -> None:
    if service.outage is None:
        pytest.skip("nothing here may be broken")
    crashbucket = service.crashbucket
    with service.outage():
        sound = [Part("log", crashes.log(word), "crash.log")]
        answer = anyone.post_form(f"{app.path}/crashes/upload", sound, _AS_JSON)
        assert answer.status == 201
        crash_id = answer.json["id"]

        def given_up() -> list[dict[str, Any]]:
            letters = crashbucket.run("deadletters", "list")["dead_letters"]
            return [letter for letter in letters if letter["report_id"] == crash_id]

        [letter] = eventually(given_up, service.patience_s, _COMMAND_EVERY_S)
    assert letter["reason"].startswith("given up after 5 deliveries")
    replayed = crashbucket.run("deadletters", "replay", str(crash_id))
    assert replayed == {"replayed": 1, "dead": []}
    assert group_of(word)["number_of_crashes"] == 1
    assert not given_up()
