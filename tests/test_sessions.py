"""Sessions: each batch counted once, in the hours it names, and what goes without a crash."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib import clock, keys
from chalicelib.bootstrap import Services
from chalicelib.errors import InvalidRequest
from chalicelib.payload import Payload
from chalicelib.records import App
from chalicelib.recount import recount_app
from chalicelib.sessions import MAX_ENTRIES, read_batch
from chalicelib.storage.ports import Update, query_all
from tests.crashes import android_log, drain
from tests.wsgi_client import request

NOON = clock.now().replace(hour=12, minute=5, second=0, microsecond=0) - timedelta(days=1)
DAY = NOON.date().isoformat()


def entry(count: int = 1, version: str = "33", hour: int = 0) -> dict[str, Any]:
    at = NOON + timedelta(hours=hour)
    return {"bundle_version": version, "started_at": clock.to_wire(at), "count": count}


def take(services: Services, app: App, batch_id: str, *entries: dict[str, Any]) -> bool:
    posted = {"batch_id": batch_id, "sessions": list(entries)}
    return services.sessions.take(app.app_id, *read_batch(posted, clock.now()))


def crash(services: Services, app: App, version: str = "33") -> None:
    received = Payload(app.app_id, "test", NOON, android_log("a", version))
    services.intake.receive(received)
    drain(services)


def crash_free(services: Services, app: App) -> dict[str, Any]:
    token = services.accounts.create_token("read", app_id=app.app_id)
    answer = request(
        "GET",
        f"/api/2/apps/{app.app_id}/crash_free?start_date={DAY}&end_date={DAY}",
        headers={"X-HockeyAppToken": token},
    )
    assert answer.status == 200
    told: dict[str, Any] = json.loads(answer.body)
    return told


def test_a_batch_that_is_sent_again_counts_once(services: Services, app: App) -> None:
    assert take(services, app, "one", entry(100), entry(50, hour=1))
    assert not take(services, app, "one", entry(100), entry(50, hour=1))
    assert take(services, app, "two", entry(100))
    (day,) = crash_free(services, app)["crash_free"]
    assert (day["sessions"], day["crashes"], day["crash_free"]) == (250, 0, 100.0)


@pytest.mark.parametrize("folded", [True, False])
def test_crashes_count_against_the_sessions_of_their_day_and_version(
    services: Services, app: App, folded: bool
) -> None:
    for name in ("33", "34"):
        crash(services, app, name)
    named = {"bundle_short_version": "1.33"}
    take(services, app, "one", {**entry(40), **named})
    if folded:
        services.counts.fold_all(app.app_id)
    told = crash_free(services, app)
    (day,) = told["crash_free"]
    assert (day["sessions"], day["crashes"], day["crash_free"]) == (40, 2, 95.0)
    by_version = {found["version"]: found["crash_free"][0] for found in told["app_versions"]}
    assert (by_version["33"]["crashes"], by_version["33"]["crash_free"]) == (1, 97.5)
    assert (by_version["34"]["crashes"], by_version["34"]["crash_free"]) == (1, None)
    assert recount_app(services, app.app_id).differences == ()


def test_more_crashes_than_sessions_leave_none_without_one(services: Services, app: App) -> None:
    for _ in range(3):
        crash(services, app)
    take(services, app, "one", entry(2))
    assert crash_free(services, app)["crash_free"][0]["crash_free"] == 0.0


def test_a_deleted_crash_counts_against_no_session(services: Services, app: App) -> None:
    crash(services, app)
    take(services, app, "one", entry(10))
    services.counts.fold_all(app.app_id)
    (report,) = services.crashes.of_app(app.app_id)
    services.deletion.delete(app.app_id, [report.report_id])
    assert crash_free(services, app)["crash_free"][0]["crashes"] == 0
    services.counts.fold_all(app.app_id)
    assert crash_free(services, app)["crash_free"][0]["crash_free"] == 100.0
    assert recount_app(services, app.app_id).differences == ()


def test_a_recount_finds_sessions_that_an_app_has_and_no_version(
    services: Services, app: App
) -> None:
    take(services, app, "one", entry(10))
    services.counts.fold_all(app.app_id)
    day = keys.hours(keys.app_partition(app.app_id), DAY)
    services.table.write([Update(day, add={"s12": 1})])
    (line,) = recount_app(services, app.app_id).differences
    assert "12:00 sessions: 11 kept, 10 counted" in line


def test_the_largest_batch_is_folded(services: Services, app: App) -> None:
    entries = [entry(1, str(n), -24 * n) for n in range(MAX_ENTRIES)]
    assert take(services, app, "one", *entries)
    crash(services, app)
    services.counts.fold_all(app.app_id)
    assert services.counts.pending(app.app_id).hours == ()
    assert recount_app(services, app.app_id).differences == ()


def test_an_erased_app_leaves_no_session(services: Services, app: App) -> None:
    take(services, app, "one", entry(10))
    services.counts.fold_all(app.app_id)
    take(services, app, "two", entry(10))
    services.eraser.erase([app.app_id])
    for partition in (
        *keys.session_batches_of_app(app.app_id),
        *keys.deltas_of_app(app.app_id),
    ):
        assert list(query_all(services.table, partition)) == []
    assert services.table.get(keys.hours(keys.app_partition(app.app_id), DAY)) is None


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"batch_id": ""}, "batch_id"),
        ({"batch_id": "x" * 101}, "batch_id"),
        ({"batch_id": 5}, "batch_id"),
        ({"sessions": []}, "sessions"),
        ({"sessions": {}}, "sessions"),
        ({"sessions": [entry()] * (MAX_ENTRIES + 1)}, "sessions"),
        ({"sessions": [5]}, "sessions"),
        ({"sessions": [{**entry(), "more": 1}]}, "sessions"),
        ({"sessions": [{**entry(), "count": 0}]}, "sessions"),
        ({"sessions": [{**entry(), "count": True}]}, "sessions"),
        ({"sessions": [{**entry(), "bundle_version": "a\x1fb"}]}, "sessions"),
        ({"sessions": [{**entry(), "bundle_version": 33}]}, "sessions"),
        ({"sessions": [{**entry(), "bundle_version": ""}]}, "sessions"),
        ({"sessions": [{**entry(), "started_at": "yesterday"}]}, "sessions"),
        ({"sessions": [{**entry(), "started_at": "0001-01-01T00:00:00+14:00"}]}, "sessions"),
        ({"sessions": [entry(hour=48)]}, "sessions"),
        ({"sessions": [entry(hour=-24 * 71)]}, "sessions"),
    ],
)
def test_what_is_wrong_with_a_batch_is_named(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_batch({"batch_id": "one", "sessions": [entry()], **changed}, clock.now())
    assert field in refused.value.fields


def test_the_door_answers_201_then_200_and_422_naming_the_field(
    services: Services, app: App
) -> None:
    token = services.accounts.create_token("upload", app_id=app.app_id)

    def post(posted: object) -> tuple[int, dict[str, Any]]:
        answer = request(
            "POST",
            f"/api/2/apps/{app.app_id}/sessions",
            body=json.dumps(posted).encode(),
            headers={"X-HockeyAppToken": token, "Content-Type": "application/json"},
        )
        return answer.status, json.loads(answer.body)

    batch = {"batch_id": "\ud800", "sessions": [entry(7)]}
    assert post(batch) == (201, {"status": "success", "counted": 7})
    assert post(batch) == (200, {"status": "success", "counted": 0})
    status, told = post({"batch_id": "two"})
    assert (status, list(told["errors"])) == (422, ["sessions"])
