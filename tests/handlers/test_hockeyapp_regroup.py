"""Merging and splitting groups over the API: what it answers, and who may."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.bootstrap import Services
from chalicelib.records import App
from chalicelib.worker import Worker
from tests.crashes import android_log, receive
from tests.wsgi_client import Answer, get, request


@pytest.fixture
def token(services: Services) -> str:
    return services.accounts.create_token("write")


@pytest.fixture
def groups(services: Services, app: App) -> tuple[int, int]:
    """A group of two stacks and three crashes, and one of one crash."""
    deeper = android_log("a") + b"\tat de.codenauts.hockeyapp.Outer.call(Outer.java:3)\n"
    ids = [receive(services, app, log) for log in (android_log("a"), deeper, deeper)]
    other = receive(services, app, android_log("b"))
    Worker(services).drain()
    one = {services.crashes.report(report_id).group_id for report_id in ids}
    assert len(one) == 1
    return one.pop(), services.crashes.report(other).group_id


def path(app: App, group_id: int, tail: str = "") -> str:
    return f"/api/2/apps/{app.app_id}/crash_reasons/{group_id}{tail}"


def ask(method: str, where: str, token: str) -> Answer:
    return request(method, where, headers={"X-HockeyAppToken": token})


def reason(answer: Answer) -> tuple[int, int, int]:
    told: dict[str, Any] = answer.json["crash_reason"]
    return answer.status, told["id"], told["number_of_crashes"]


def test_a_merged_groups_id_answers_the_other_at_every_address(
    services: Services, app: App, token: str, groups: tuple[int, int]
) -> None:
    a, b = groups
    assert reason(ask("POST", path(app, a, f"/merge?into={b}"), token)) == (200, b, 1)
    Worker(services).drain()
    for group_id in groups:
        assert reason(get(path(app, group_id), token)) == (200, b, 4)
        occurrences = get(f"/api/crashes/{group_id}/occurrences", token).json
        assert len(occurrences["result"]) == 4
    assert len(get(path(app, a), token).json["crashes"]) == 4
    ask("POST", path(app, a, "?status=1"), token)
    ask("POST", path(app, a, "/crash_annotations?text=seen"), token)
    assert get(path(app, b), token).json["crash_reason"]["status"] == 1
    noted = get(path(app, b, "/crash_annotations"), token).json["crash_annotations"]
    assert [entry["crash_reason_id"] for entry in noted] == [b]
    listed = get(f"/api/2/apps/{app.app_id}/crash_reasons", token).json
    assert [entry["id"] for entry in listed["crash_reasons"]] == [b]
    told = get(path(app, b, "/merges"), token).json
    assert [(entry["id"], entry["into"]) for entry in told["merges"]] == [(a, b)]
    assert reason(ask("DELETE", path(app, a, "/merge"), token))[:2] == (200, a)
    Worker(services).drain()
    assert reason(get(path(app, a), token)) == (200, a, 3)
    assert reason(get(path(app, b), token)) == (200, b, 1)
    assert get(path(app, a), token).json["crash_reason"]["status"] == 0


def test_a_stack_that_is_chosen_from_the_list_is_split_off_and_put_back(
    services: Services, app: App, token: str, groups: tuple[int, int]
) -> None:
    a, _ = groups
    stacks = get(path(app, a, "/stacks"), token).json["stacks"]
    assert [entry["number_of_crashes"] for entry in stacks] == [2, 1]
    assert all(entry["functions"] for entry in stacks)
    chosen = stacks[0]["stack"]
    made = ask("POST", path(app, a, f"/split?stack={chosen}"), token)
    own = made.json["crash_reason"]["id"]
    assert (made.status, own != a) == (201, True)
    assert made.json["crash_reason"]["class"] == "de.codenauts.hockeyapp.A"
    Worker(services).drain()
    assert reason(get(path(app, own), token)) == (200, own, 2)
    splits = get(path(app, own, "/merges"), token).json["splits"]
    assert [(e["id"], e["from"], e["stack"]) for e in splits] == [(own, a, chosen)]
    undone = ask("DELETE", path(app, own, "/split"), token)
    assert reason(undone)[:2] == (200, a)
    Worker(services).drain()
    assert reason(get(path(app, own), token)) == (200, a, 3)


def test_each_mistake_has_its_error(app: App, token: str, groups: tuple[int, int]) -> None:
    a, b = groups
    assert ask("POST", path(app, a, f"/merge?into={b}"), token).status == 200
    stack = get(path(app, b, "/stacks"), token).json["stacks"][0]["stack"]
    for method, where, status, field in (
        ("POST", path(app, a, "/merge"), 422, "into"),
        ("POST", path(app, b, "/merge?into=1"), 422, "into"),
        ("POST", path(app, b, "/merge?into=x"), 422, "into"),
        ("POST", path(app, b, f"/merge?into={a}"), 409, "into"),
        ("POST", path(app, b, f"/merge?into={b}"), 409, "into"),
        ("POST", path(app, 1, f"/merge?into={b}"), 404, "crash_reason"),
        ("DELETE", path(app, b, "/merge"), 404, "merge"),
        ("DELETE", path(app, b, "/split"), 404, "split"),
        ("DELETE", path(app, 1, "/split"), 404, "crash_reason"),
        ("POST", path(app, b, "/split"), 422, "stack"),
        ("POST", path(app, b, "/split?stack=0"), 404, "stack"),
        ("POST", path(app, b, f"/split?stack={stack}"), 409, "stack"),
        ("GET", path(app, 1, "/stacks"), 404, "crash_reason"),
        ("GET", path(app, 1, "/merges"), 404, "crash_reason"),
    ):
        answer = ask(method, where, token)
        assert (answer.status, list(answer.json["errors"])) == (status, [field]), where


@pytest.mark.parametrize(
    ("method", "tail", "scope"),
    [
        ("POST", "/merge?into=1", "write"),
        ("DELETE", "/merge", "write"),
        ("POST", "/split?stack=1", "write"),
        ("DELETE", "/split", "write"),
        ("GET", "/stacks", "read"),
        ("GET", "/merges", "read"),
    ],
)
def test_each_needs_a_token_for_this_app_of_the_scope(
    services: Services, app: App, groups: tuple[int, int], method: str, tail: str, scope: str
) -> None:
    where = path(app, groups[0], tail)
    make = services.accounts.create_token
    other = services.accounts.create_app("Other")
    assert request(method, where).status == 401
    assert ask(method, where, "0" * 32).json == {"errors": {"credentials": ["api token invalid"]}}
    stranger = make("admin", app_id=other.app_id)
    assert ask(method, where, stranger).json == {"errors": {"app": ["not found"]}}
    for small in ("upload", *(["read"] if scope == "write" else [])):
        answer = ask(method, where, make(small, app_id=app.app_id))
        assert (answer.status, list(answer.json["errors"])) == (403, ["credentials"])
    assert ask(method, where, make(scope, app_id=app.app_id)).status in {200, 404, 422}
