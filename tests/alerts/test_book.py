"""The alerts of an app: opened once, listed, acknowledged, over."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from chalicelib import clock, keys
from chalicelib.alerts.messages import Deliver, Tell, decode, encode
from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.errors import FormatError, NotFound
from chalicelib.metrics import Metric
from chalicelib.queries.paging import Paging
from tests.alerts.conftest import World

DAY_S = 86_400


def alert(world: World, key: str, kind: AlertKind = AlertKind.SPIKE) -> Alert:
    at = clock.to_stored(clock.now())
    return Alert(world.app.app_id, kind, "group:7", key, at, "many crashes", 9, 1_500, 10, 7)


def listed(world: World, *, open_only: bool = False) -> list[str]:
    found = world.services.alerts.list(world.app.app_id, open_only=open_only, paging=Paging())
    return [entry.key for entry in found.entries]


def test_an_alert_opens_once_for_its_key_and_is_kept_as_it_was_told(world: World) -> None:
    told = alert(world, "spike:1")
    assert world.services.alerts.open(told)
    assert not world.services.alerts.open(replace(told, title="found again"))
    (kept,) = world.services.alerts.list(world.app.app_id, open_only=False, paging=Paging()).entries
    assert kept == replace(told, alert_id=kept.alert_id)
    assert kept.alert_id > 0
    assert world.services.notifications.depth() == 1
    assert world.metrics.counts[Metric.ALERTS] == 1


def test_nobody_is_told_of_a_part_of_what_was_told(world: World) -> None:
    assert world.services.alerts.open(replace(alert(world, "spike:2"), part_of=7))
    assert listed(world, open_only=True) == ["spike:2"]
    assert world.services.notifications.depth() == 0
    assert world.services.outbox.sweep() == 0
    assert Metric.ALERTS not in world.metrics.counts
    (part,) = world.services.alerts.opened(world.app.app_id, ["spike:1", "spike:2"])
    assert part.part_of == 7
    assert world.services.alerts.close(world.app.app_id, "spike:2")
    assert world.services.alerts.opened(world.app.app_id, ["spike:2"]) == []


def test_an_alert_found_by_several_at_the_same_moment_opens_once(world: World) -> None:
    told = alert(world, "spike:1")
    opened: list[bool] = []
    threads = [
        threading.Thread(target=lambda: opened.append(world.services.alerts.open(told)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(opened) == [False] * 5 + [True]
    assert world.services.notifications.depth() == 1


def test_the_same_key_of_another_app_is_another_alert(world: World) -> None:
    other = world.services.accounts.create_app("Other")
    assert world.services.alerts.open(alert(world, "spike:1"))
    assert world.services.alerts.open(replace(alert(world, "spike:1"), app_id=other.app_id))


def test_an_alert_that_is_over_is_in_the_list_of_all_only(world: World) -> None:
    for key in ("spike:1", "spike:2", "spike:3"):
        world.services.alerts.open(alert(world, key))
    assert world.services.alerts.close(world.app.app_id, "spike:2")
    assert not world.services.alerts.close(world.app.app_id, "spike:2")
    assert not world.services.alerts.close(world.app.app_id, "spike:none")
    assert listed(world, open_only=True) == ["spike:3", "spike:1"]
    assert listed(world) == ["spike:3", "spike:2", "spike:1"]
    page = world.services.alerts.list(world.app.app_id, open_only=True, paging=Paging(2, 1))
    assert ([e.key for e in page.entries], page.total_entries) == (["spike:1"], 2)


def test_an_alert_is_forgotten_three_months_after_it_was_over(world: World) -> None:
    world.services.alerts.open(alert(world, "spike:1"))
    world.services.alerts.open(alert(world, "new:1", AlertKind.NEW_GROUP))
    world.time.let_pass(91 * DAY_S)
    assert listed(world) == listed(world, open_only=True) == ["spike:1"]
    world.services.alerts.close(world.app.app_id, "spike:1")
    world.time.let_pass(89 * DAY_S)
    assert listed(world) == ["spike:1"]
    world.time.let_pass(2 * DAY_S)
    assert listed(world) == []
    world.deliver()
    for partition in keys.alerts_of_app(world.app.app_id):
        assert world.services.table.query(partition).items == ()


def test_who_acknowledges_first_stays_and_a_spike_goes_on(world: World) -> None:
    opened = world.opened()
    book = world.services.alerts
    said = book.acknowledge(world.app.app_id, opened.alert_id, "jo@example.com")
    assert (said.acknowledged_by, said.closed_at) == ("jo@example.com", None)
    assert said.acknowledged_at == clock.to_stored(clock.now())
    world.time.let_pass(60)
    assert book.acknowledge(world.app.app_id, opened.alert_id, "mo@example.com") == said
    assert listed(world, open_only=True) == [opened.key]
    assert book.close(world.app.app_id, opened.key)
    over = book.alert(world.app.app_id, opened.alert_id)
    assert (over.acknowledged_by, over.closed_at) == (
        "jo@example.com",
        clock.to_stored(clock.now()),
    )


def test_an_alert_that_tells_of_a_moment_is_over_when_it_is_acknowledged(world: World) -> None:
    opened = world.opened(AlertKind.REGRESSED_GROUP, "regressed:1")
    said = world.services.alerts.acknowledge(world.app.app_id, opened.alert_id, "jo")
    assert said.closed_at == said.acknowledged_at != None  # noqa: E711
    assert listed(world, open_only=True) == []


def test_an_alert_of_another_app_is_not_found(world: World) -> None:
    opened = world.opened()
    other = world.services.accounts.create_app("Other")
    with pytest.raises(NotFound):
        world.services.alerts.acknowledge(other.app_id, opened.alert_id, "jo")


@pytest.mark.parametrize("message", [Tell("a", 1), Deliver("a", 1, "topic")])
def test_a_message_is_read_as_it_was_written(message: Tell | Deliver) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{}", '{"notify":"x"}', '{"notify":"alert","x":1}', '{"notify":["alert"]}', "1"],
)
def test_what_is_no_notification_is_told_from_one(body: str) -> None:
    with pytest.raises(FormatError):
        decode(body)
