"""Alerts over HTTP: listed, looked at, acknowledged; and what nobody got of them."""

from __future__ import annotations

import pytest

from chalicelib import clock
from chalicelib.alerts.delivery import MAX_TRIES
from chalicelib.alerts.model import AlertKind
from tests.alerts.conftest import World, settings, world  # noqa: F401 - fixtures
from tests.alerts.receiver import Answer, Receiver
from tests.wsgi_client import request

DAY_S = 86_400.0


@pytest.fixture
def reader(world: World) -> dict[str, str]:  # noqa: F811
    return {"X-HockeyAppToken": world.services.accounts.create_token("read")}


@pytest.fixture
def writer(world: World) -> dict[str, str]:  # noqa: F811
    world.services.users.create("jo@example.com", "open sesame", app_ids=None, scope="write")
    token = world.services.users.sign_in("jo@example.com", "open sesame").token
    return {"X-HockeyAppToken": token}


def test_alerts_are_listed_page_by_page_and_with_those_that_are_over(
    world: World,  # noqa: F811
    reader: dict[str, str],
) -> None:
    base = f"/api/2/apps/{world.app.app_id}/alerts"
    for number in range(30):
        world.opened(key=f"spike:{number}")
    for number in range(3):
        world.services.alerts.close(world.app.app_id, f"spike:{number}")
    first = request("GET", base, headers=reader).json
    assert (len(first["alerts"]), first["total_entries"], first["total_pages"]) == (25, 27, 2)
    second = request("GET", f"{base}?page=2", headers=reader).json
    assert len(second["alerts"]) == 2
    everything = request("GET", f"{base}?state=all&per_page=50", headers=reader).json
    assert len(everything["alerts"]) == 30
    assert [alert["state"] for alert in everything["alerts"]] == ["open"] * 27 + ["closed"] * 3
    assert request("GET", f"{base}?state=some", headers=reader).status == 422


def test_an_alert_is_acknowledged_in_the_name_of_who_asks(
    world: World,  # noqa: F811
    reader: dict[str, str],
    writer: dict[str, str],
) -> None:
    opened = world.opened(AlertKind.NEW_GROUP, "new:1")
    one = f"/api/2/apps/{world.app.app_id}/alerts/{opened.alert_id}"
    alert = request("GET", one, headers=reader).json["alert"]
    assert (alert["id"], alert["kind"], alert["state"]) == (opened.alert_id, "new_group", "open")
    said = request("POST", f"{one}/acknowledge", headers=writer).json["alert"]
    now = clock.to_wire(clock.now())
    assert said == {
        **alert,
        "state": "closed",
        "closed_at": now,
        "acknowledged_at": now,
        "acknowledged_by": "jo@example.com",
    }
    assert request("GET", one, headers=reader).json["alert"] == said


@pytest.mark.parametrize("alert_id", ["1", "x", "9" * 30])
def test_an_alert_that_is_not_there_is_not_found(
    world: World,  # noqa: F811
    writer: dict[str, str],
    alert_id: str,
) -> None:
    one = f"/api/2/apps/{world.app.app_id}/alerts/{alert_id}"
    for answer in (
        request("GET", one, headers=writer),
        request("POST", f"{one}/acknowledge", headers=writer),
    ):
        assert (answer.status, answer.json) == (404, {"errors": {"alert": ["not found"]}})


def test_what_nobody_got_is_listed_and_tried_again(
    world: World,  # noqa: F811
    reader: dict[str, str],
    writer: dict[str, str],
) -> None:
    lost = f"/api/2/apps/{world.app.app_id}/alerts/undelivered"
    with Receiver(*[Answer(500)] * 2 * MAX_TRIES) as receiver:
        webhook_id = world.webhook(receiver)
        one, two = world.opened(key="spike:1"), world.opened(key="spike:2")
        world.deliver(DAY_S)
        listed = request("GET", lost, headers=reader).json
        assert listed["total_entries"] == 2
        assert listed["undelivered"][0] == {
            "alert_id": one.alert_id,
            "receiver": str(webhook_id),
            "tries": MAX_TRIES,
            "tried_at": listed["undelivered"][0]["tried_at"],
            "problem": "answered 500: ok",
        }
        again = request("POST", f"{lost}/replay?alert_id={two.alert_id}", headers=writer)
        assert again.json == {"replayed": 1, "status": "success"}
        world.deliver()
        assert receiver.posts[-1].json["alert"]["id"] == two.alert_id
        assert request("POST", f"{lost}/replay", headers=writer).json["replayed"] == 1
        world.deliver()
        assert request("GET", lost, headers=reader).json["undelivered"] == []
        assert receiver.posts[-1].json["alert"]["id"] == one.alert_id
