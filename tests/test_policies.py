"""What is decided about an app: its defaults, its changes, over HTTP and from the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chalicelib.alerts.model import AlertKind
from chalicelib.bootstrap import Services
from chalicelib.cli import commands
from chalicelib.config import Settings
from chalicelib.errors import InvalidRequest
from chalicelib.policies import ALERT_KINDS, AppPolicy, Policies, default_policy
from chalicelib.records import App
from chalicelib.storage.counting import CountingTable
from tests.wsgi_client import Answer, get, request


def put(services: Services, app: App, body: object, scope: str = "admin") -> Answer:
    token = services.accounts.create_token(scope)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request(
        "PUT", f"/api/2/apps/{app.app_id}/policy", raw, headers={"X-HockeyAppToken": token}
    )


def test_an_app_nobody_decided_about_has_the_settings(services: Services, app: App) -> None:
    assert services.policies.of(app.app_id) == AppPolicy()
    settings = Settings(retention_days=90, stored_per_minute=0, refused_above_per_minute=7)
    assert default_policy(settings) == AppPolicy(90, None, 7)


def test_what_is_decided_holds_and_the_rest_stays(services: Services, app: App) -> None:
    services.policies.change(app.app_id, {"retention_days": 28, "stored_per_minute": 0})
    services.policies.change(app.app_id, {"alerts": ["spike"]})
    expected = AppPolicy(28, None, alerts=frozenset({AlertKind.SPIKE}))
    assert services.policies.of(app.app_id) == expected
    services.policies.change(app.app_id, {"stored_per_minute": None})
    assert services.policies.of(app.app_id) == replace(expected, stored_per_minute=6000)


def test_unlimited_beats_a_limit_of_the_settings(services: Services, app: App) -> None:
    policies = Policies(services.table, AppPolicy(retention_days=90))
    assert policies.of(app.app_id).retention_days == 90
    assert policies.change(app.app_id, {"retention_days": 0}).retention_days is None


def test_a_policy_is_read_once_in_some_seconds(services: Services, app: App) -> None:
    now = [0.0]
    table = CountingTable(services.table)
    policies = Policies(table, AppPolicy(), now=lambda: now[0])
    services.policies.change(app.app_id, {"retention_days": 28})
    for _ in range(10):
        assert policies.of(app.app_id).retention_days == 28
    assert table.snapshot().read_requests == 1
    services.policies.change(app.app_id, {"retention_days": 90})
    now[0] = 6.0
    assert policies.of(app.app_id).retention_days == 90


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retention_days", -1),
        ("retention_days", "28"),
        ("retention_days", True),
        ("retention_days", 36_501),
        ("stored_per_minute", 1.5),
        ("spike_percent", 0),
        ("spike_percent", 100),
        ("spike_floor", 0),
        ("alerts", "spike"),
        ("alerts", ["spike", "flood"]),
        ("alerts", [["spike"]]),
        ("retention", 28),
    ],
)
def test_what_cannot_be_is_refused_by_its_name_and_changes_nothing(
    services: Services, app: App, name: str, value: object
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        services.policies.change(app.app_id, {"refused_above_per_minute": 9, name: value})
    assert list(caught.value.fields) == [name]
    assert services.policies.of(app.app_id) == AppPolicy()
    answer = put(services, app, {name: value})
    assert (answer.status, list(answer.json["errors"])) == (422, [name])


# --- over HTTP ---


def test_the_policy_is_read_and_changed_over_http(services: Services, app: App) -> None:
    answer = put(services, app, {"retention_days": 28, "alerts": ["new_group", "spike"]})
    assert answer.status == 200
    assert answer.json == {
        "policy": {
            "retention_days": 28,
            "stored_per_minute": 6000,
            "refused_above_per_minute": 0,
            "spike_percent": 200,
            "spike_floor": 20,
            "alerts": ["new_group", "spike"],
        },
        "decided": ["alerts", "retention_days"],
        "status": "success",
    }
    token = services.accounts.create_token("read", app_id=app.app_id)
    assert get(f"/api/2/apps/{app.app_id}/policy", token).json == answer.json
    back = put(services, app, {"retention_days": None, "alerts": None})
    assert (back.json["decided"], back.json["policy"]["retention_days"]) == ([], 0)
    assert back.json["policy"]["alerts"] == sorted(ALERT_KINDS)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff"])
def test_a_body_that_is_no_object_is_told(services: Services, app: App, body: bytes) -> None:
    answer = put(services, app, body)
    assert (answer.status, list(answer.json["errors"])) == (422, ["body"])


def test_only_an_admin_decides(services: Services, app: App) -> None:
    assert put(services, app, {"retention_days": 1}, scope="write").status == 403


# --- from the command line ---


def _run(services: Services, tmp_path: Path, *arguments: str) -> Any:
    return CliRunner().invoke(
        commands, ["app", "policy", *arguments, "--data", str(tmp_path / "data"), "--json"]
    )


def test_the_command_changes_what_is_named_and_shows_the_rest(
    services: Services, app: App, tmp_path: Path
) -> None:
    options = ("--retention-days", "90", "--stored-per-minute", "unlimited", "--alerts", "none")
    told = json.loads(_run(services, tmp_path, app.app_id, *options).output)
    assert told["decided"] == ["alerts", "retention_days", "stored_per_minute"]
    assert told["policy"]["retention_days"] == 90
    assert told["policy"]["stored_per_minute"] == 0
    assert told["policy"]["alerts"] == []
    back = _run(services, tmp_path, app.app_id, "--retention-days", "default", "--alerts", "spike")
    told = json.loads(back.output)
    assert told["decided"] == ["alerts", "stored_per_minute"]
    assert told["policy"]["alerts"] == ["spike"]


def test_the_command_tells_what_cannot_be(services: Services, app: App, tmp_path: Path) -> None:
    assert _run(services, tmp_path, app.app_id, "--retention-days", "soon").exit_code == 2
    refused = _run(services, tmp_path, app.app_id, "--spike-percent", "3")
    assert isinstance(refused.exception, InvalidRequest)
