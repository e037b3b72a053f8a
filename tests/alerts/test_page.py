"""What docs/alerts.md says is so: its code runs, its example has the shape of what is posted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chalicelib.alerts.model import AlertKind
from chalicelib.alerts.signing import signature
from chalicelib.worker import Worker
from tests.alerts.conftest import World
from tests.alerts.receiver import Receiver
from tests.crashes import ANDROID_EXAMPLE, receive

_PAGE = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", _PAGE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def is_from_crashbucket() -> Callable[..., bool]:
    names: dict[str, Any] = {}
    exec(block("python"), names)
    function: Callable[..., bool] = names["is_from_crashbucket"]
    return function


def test_the_code_of_the_page_tells_our_posts_from_others(
    is_from_crashbucket: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    header = signature("secret", 1_795_262_400, b'{"a": 1}')
    monkeypatch.setattr("time.time", lambda: 1_795_262_500.0)
    assert is_from_crashbucket(header, b'{"a": 1}', "secret")
    assert not is_from_crashbucket(header, b'{"a": 2}', "secret")
    assert not is_from_crashbucket(header, b'{"a": 1}', "other")
    assert not is_from_crashbucket(header.replace("t=1", "t=2"), b'{"a": 1}', "secret")
    for wrong in ("", "t=,v1=", "v1", "t=x,v1=y", "t=1795262400,v1=é"):
        assert not is_from_crashbucket(wrong, b'{"a": 1}', "secret")
    monkeypatch.setattr("time.time", lambda: 1_795_262_701.0)
    assert not is_from_crashbucket(header, b'{"a": 1}', "secret")


def test_the_example_of_the_page_has_what_is_posted(world: World, receiver: Receiver) -> None:
    world.webhook(receiver)
    report_id = receive(world.services, world.app, ANDROID_EXAMPLE.encode())
    Worker(world.services).drain()
    group_id = world.services.crashes.report(report_id).group_id
    world.opened(AlertKind.NEW_GROUP, "new:1", group_id=group_id)
    world.deliver()
    shown, (post,) = json.loads(block("json")), receiver.posts
    assert list(shown) == list(post.json)
    assert list(shown["alert"]) == list(post.json["alert"])
    assert shown["type"] == post.json["type"]


def test_every_kind_of_alert_is_explained() -> None:
    assert all(f"| `{kind.value}` |" in _PAGE for kind in AlertKind)
