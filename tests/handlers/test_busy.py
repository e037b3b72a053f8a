"""What doors answer above an app's limit, and while the store is away: so that clients come
again, and keep their crash until then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest

from chalicelib import bootstrap, clock
from chalicelib.bootstrap import Services
from chalicelib.errors import TooManyCrashes
from chalicelib.metrics import Metric, NoMetrics
from chalicelib.records import App
from chalicelib.storage.counting import CountingTable
from chalicelib.storage.ports import StoreAway
from tests.crashes import ANDROID_EXAMPLE, android_log, receive
from tests.minidump_forms import DUMP
from tests.wsgi_client import Answer, get, post_form, request

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
_QUINCY = (
    "<crashes><crash><applicationname>Demo</applicationname>"
    "<bundleidentifier>de.codenauts.hockeyapp</bundleidentifier><version>1</version>"
    "<senderversion>1</senderversion><log>x</log></crash></crashes>"
)
DOORS = (
    "hockeyapp upload", "hockeyapp post", "hockeyapp xml", "quincykit body", "quincykit client",
    "partycrasher", "omaha", "breakpad", "sentry", "uploads",
)  # fmt: skip


class Counted(NoMetrics):
    """What was counted of each metric."""

    def __init__(self) -> None:
        self.counts: dict[Metric, int] = {}

    def count(self, metric: Metric, value: int = 1, **_: object) -> None:
        self.counts[metric] = self.counts.get(metric, 0) + value


@pytest.fixture(autouse=True)
def at_noon() -> Iterator[None]:
    with patch.object(clock, "now", lambda: NOW):
        yield


def post(door: str, app: App) -> Answer:
    """A crash, as that door takes it."""
    base = f"/api/2/apps/{app.app_id}/crashes"
    log = ANDROID_EXAMPLE.encode()
    xml = {"Content-Type": "text/xml"}
    match door:
        case "hockeyapp upload":
            return post_form(f"{base}/upload", {}, {"log": log})
        case "hockeyapp post":
            return post_form(base, {"raw": log})
        case "hockeyapp xml":
            return request("POST", base, _QUINCY.encode(), xml)
        case "quincykit body":
            return request("POST", "/crash_v200.php", _QUINCY.encode(), xml)
        case "quincykit client":
            return post_form("/crash_v200.php", {"xmlstring": _QUINCY})
        case "partycrasher":
            body = json.dumps({"database_id": "d", "stacktrace": [{"function": "f"}]}).encode()
            return request("POST", f"/{app.name}/reports", body)
        case "omaha":
            fields = {"appid": app.app_id}
            return post_form("/service/crash_report/", fields, {"upload_file_minidump": DUMP})
        case "breakpad":
            path = f"/breakpad/{app.app_id}/upload"
            return post_form(path, {}, {"upload_file_minidump": DUMP})
        case "sentry":
            path = f"/api/{app.app_id}/minidump/"
            return post_form(path, {}, {"upload_file_minidump": DUMP})
    return request("POST", f"/api/2/apps/{app.app_id}/uploads", b"{}")


def shaped(door: str, answer: Answer) -> str:
    """What the door says of a failure, in its own shape."""
    if door.startswith("hockeyapp") or door == "uploads":
        (texts,) = answer.json["errors"].values()
        return str(texts[0])
    if door == "partycrasher":
        return str(answer.json["message"])
    if door in {"omaha", "sentry"}:
        return str(answer.json["detail"])
    return answer.text


def limit(services: Services, app: App, crashes: int) -> None:
    services.policies.change(app.app_id, {"refused_above_per_minute": crashes})


def closed(services: Services, door: str, app: App) -> App:
    """The app that the door posts to, which takes no more in this minute."""
    if door == "partycrasher":
        app = services.projects.open("limited")
    limit(services, app, 1)
    receive(services, app, android_log())
    return app


# --- the limit ---


@pytest.mark.parametrize("door", DOORS)
def test_above_the_limit_each_door_says_in_its_own_shape_when_to_come_again(
    services: Services, app: App, door: str
) -> None:
    app = closed(services, door, app)
    answer = post(door, app)
    assert answer.status == 429
    assert answer.headers["retry-after"] == "30"  # when the minute is over
    assert "more than 1 crashes in a minute" in shaped(door, answer)
    with patch.object(clock, "now", lambda: NOW + timedelta(seconds=30)):
        assert post(door, app).status in {200, 201}


def test_up_to_the_limit_every_crash_is_taken(services: Services, app: App) -> None:
    limit(services, app, 3)
    statuses = [post("hockeyapp post", app).status for _ in range(5)]
    assert statuses == [201, 201, 201, 429, 429]


def test_other_apps_are_open(services: Services, app: App) -> None:
    closed(services, "hockeyapp post", app)
    other = services.accounts.create_app("Other")
    assert post("hockeyapp post", other).status == 201


def test_nothing_refused_is_stored_or_counted_but_as_refused(app: App, services: Services) -> None:
    metrics = Counted()
    built = bootstrap.build(
        services.settings, services.table, services.blobs, services.queue, metrics=metrics
    )
    bootstrap.use(built)
    limit(built, app, 1)
    for _ in range(4):
        post("hockeyapp post", app)
    assert metrics.counts == {Metric.RECEIVED: 1, Metric.REFUSED: 3}
    assert len(list(services.blobs.keys("raw/"))) == 1


def test_a_post_of_several_crashes_is_taken_whole_or_not_at_all(
    services: Services, app: App
) -> None:
    """Who was refused sends all of them again."""
    limit(services, app, 2)
    crash = _QUINCY.removeprefix("<crashes>").removesuffix("</crashes>")
    several = f"<crashes>{crash * 3}</crashes>".encode()
    path, xml = f"/api/2/apps/{app.app_id}/crashes", {"Content-Type": "text/xml"}
    assert request("POST", path, several, xml).status == 201
    assert request("POST", path, several, xml).status == 429
    assert len(list(services.blobs.keys("raw/"))) == 3


def test_an_array_is_taken_whole_or_not_at_all(services: Services) -> None:
    app = services.projects.open("limited")
    limit(services, app, 2)
    bodies = [
        json.dumps(
            [{"database_id": f"{which}{n}", "stacktrace": [{"function": "f"}]} for n in "123"]
        )
        for which in "ab"
    ]
    statuses = [request("POST", "/limited/reports", body.encode()).status for body in bodies]
    assert statuses == [201, 429]
    assert len(list(services.crashes.of_app(app.app_id))) == 3


def test_a_clock_that_goes_wrong_closes_an_app_for_no_more_than_its_minute(
    services: Services, app: App
) -> None:
    with patch.object(clock, "now", lambda: NOW + timedelta(hours=5)):
        closed(services, "hockeyapp post", app)
        assert post("hockeyapp post", app).status == 429
    assert post("hockeyapp post", app).status == 201  # the first of this minute
    assert post("hockeyapp post", app).status == 429


def test_other_processes_know_it_when_they_read_the_app_again(services: Services, app: App) -> None:
    def process() -> Services:
        return bootstrap.build(services.settings, services.table, services.blobs, services.queue)

    closed(services, "hockeyapp post", app)
    other = process()
    with pytest.raises(TooManyCrashes):
        other.intake.require_open(app.app_id)


def test_a_limit_of_the_settings_holds_for_apps_without_one(services: Services, app: App) -> None:
    built = bootstrap.build(
        replace(services.settings, refused_above_per_minute=1),
        services.table,
        services.blobs,
        services.queue,
    )
    bootstrap.use(built)
    assert [post("hockeyapp post", app).status for _ in range(2)] == [201, 429]
    limit(built, app, 0)
    assert post("hockeyapp post", app).status == 201


def test_a_limit_costs_a_crash_no_request_to_the_table(services: Services, app: App) -> None:
    table = CountingTable(services.table)
    built = bootstrap.build(services.settings, table, services.blobs, services.queue)
    bootstrap.use(built)
    limit(built, app, 100_000)
    post("hockeyapp post", app)
    table.reset()
    for _ in range(20):
        assert post("hockeyapp post", app).status == 201
    counts = table.snapshot()
    assert (counts.read_requests, counts.write_requests) == (0, 0)


# --- the store is away ---


class Away:
    """A port that does not do what it is asked."""

    def __getattr__(self, name: str) -> Any:
        def away(*_: object, **__: object) -> None:
            raise StoreAway("the store does not answer")

        return away


@pytest.mark.parametrize("door", [door for door in DOORS if door != "uploads"])
def test_while_blobs_are_away_each_door_answers_503_in_its_own_shape(
    services: Services, app: App, door: str
) -> None:
    if door == "partycrasher":
        app = services.projects.open("away")
    built = bootstrap.build(
        services.settings,
        services.table,
        Away(),  # type: ignore[arg-type]
        services.queue,
    )
    bootstrap.use(built)
    answer = post(door, app)
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert "does not answer" in shaped(door, answer)


@pytest.mark.parametrize(
    "path",
    [
        "/api/2/apps",
        "/api/crash_report/",
        "/api/crashes/7/occurrences",
        "/reports/7",
        "/service/crash_details/7",
        "/healthz",
    ],
)
def test_while_the_table_is_away_reading_answers_503(services: Services, path: str) -> None:
    token = services.accounts.create_token("admin")
    built = bootstrap.build(
        services.settings,
        Away(),  # type: ignore[arg-type]
        services.blobs,
        Away(),  # type: ignore[arg-type]
    )
    bootstrap.use(built)
    answer = get(path, token)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


def test_the_forms_that_the_tests_post_are_taken_when_all_is_well(
    services: Services, app: App
) -> None:
    for door in DOORS:
        whose = services.projects.open("open") if door == "partycrasher" else app
        assert post(door, whose).status in {200, 201}, door
