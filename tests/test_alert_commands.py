"""`crashbucket alerts` and `crashbucket webhook`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chalicelib import bootstrap, clock
from chalicelib.alerts.delivery import MAX_TRIES
from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.bootstrap import Services
from chalicelib.cli import commands
from chalicelib.config import Settings
from chalicelib.errors import CrashbucketError
from chalicelib.records import App
from tests.alerts.receiver import Answer, Receiver

Told = Callable[..., dict[str, Any]]


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    monkeypatch.setenv("CRASHBUCKET_ALLOW_PRIVATE_WEBHOOKS", "1")
    monkeypatch.setenv("CRASHBUCKET_DATA", str(tmp_path / "data"))
    return bootstrap.connect(Settings.from_environment())


@pytest.fixture
def app(services: Services) -> App:
    return services.accounts.create_app("Demo")


@pytest.fixture
def told(services: Services) -> Told:
    def run(*asked: object, status: int = 0) -> dict[str, Any]:
        answer = CliRunner().invoke(commands, [*map(str, asked), "--json"])
        if isinstance(answer.exception, CrashbucketError):
            raise answer.exception
        assert answer.exit_code == status, answer.output
        return dict(json.loads(answer.output))

    return run


def opened(services: Services, app: App, key: str = "spike:1") -> None:
    at = clock.to_stored(clock.now())
    services.alerts.open(Alert(app.app_id, AlertKind.SPIKE, "app", key, at, "many crashes"))


def test_alerts_are_listed_and_acknowledged(services: Services, app: App, told: Told) -> None:
    opened(services, app)
    (alert,) = told("alerts", "list")["alerts"]
    assert (alert["app_id"], alert["kind"], alert["state"]) == (app.app_id, "spike", "open")
    assert told("alerts", "ack", app.app_id, alert["id"], "--by", "jo")["acknowledged_by"] == "jo"
    (known,) = told("alerts", "list", "--app", app.app_id)["alerts"]
    assert known["acknowledged_by"] == "jo"
    services.alerts.close(app.app_id, "spike:1")
    assert told("alerts", "list")["alerts"] == []
    assert len(told("alerts", "list", "--all")["alerts"]) == 1


def test_webhooks_are_added_listed_pinged_and_removed(app: App, told: Told) -> None:
    with Receiver(Answer(204, body=b""), Answer(500, body=b"no\nmore")) as receiver:
        made = told("webhook", "add", receiver.url, "--app", app.app_id, "--kind", "spike")
        webhook_id, of_app = made["webhook_id"], ("--app", app.app_id)
        (listed,) = told("webhook", "list", *of_app)["webhooks"]
        assert (listed["webhook_id"], listed["kinds"]) == (webhook_id, ["spike"])
        assert told("webhook", "list")["webhooks"] == []
        assert told("webhook", "secret", webhook_id, *of_app)["secret"] == made["secret"]
        assert told("webhook", "ping", webhook_id, *of_app) == {"delivered": True, "answered": 204}
        failed = told("webhook", "ping", webhook_id, *of_app, status=1)
        assert failed == {"delivered": False, "problem": "answered 500: no more"}
        assert [post.json["type"] for post in receiver.posts] == ["ping", "ping"]
        with pytest.raises(CrashbucketError):
            told("webhook", "ping", webhook_id)
    told("webhook", "remove", webhook_id, *of_app)
    assert told("webhook", "list", *of_app)["webhooks"] == []


def test_the_webhook_of_the_setting_can_be_pinged(
    services: Services, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as receiver:
        monkeypatch.setenv("CRASHBUCKET_ALERT_WEBHOOK", receiver.url)
        assert len(told("webhook", "secret", 0)["secret"]) == 64
        assert told("webhook", "ping", 0)["delivered"]
        assert receiver.posts[0].json["title"] == "Ping for every app"


def test_a_private_address_is_refused_and_the_setting_is_named(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRASHBUCKET_ALLOW_PRIVATE_WEBHOOKS")
    with pytest.raises(CrashbucketError, match="CRASHBUCKET_ALLOW_PRIVATE_WEBHOOKS=1"):
        told("webhook", "add", "http://10.0.0.1/")


def test_what_nobody_got_is_listed_and_replayed(
    services: Services, app: App, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(*[Answer(500)] * MAX_TRIES) as receiver:
        services.webhooks.create(receiver.url, app_id=app.app_id)
        opened(services, app)
        attempts = services.notifier._tools.attempts
        services.notifier.step()
        (alert,) = told("alerts", "list")["alerts"]
        begun = attempts.find(app.app_id, alert["id"], str(receiver_id(services, app)))
        assert begun is not None
        assert attempts.give_up(begun, "answered 500")
        (lost,) = told("alerts", "undelivered")["undelivered"]
        assert (lost["alert_id"], lost["problem"]) == (alert["id"], "answered 500")
        answer = CliRunner().invoke(commands, ["alerts", "replay", "1"])
        assert answer.exit_code == 2
        assert told("alerts", "replay", alert["id"])["replayed"] == 1
        assert told("alerts", "undelivered", "--app", app.app_id)["undelivered"] == []
        assert told("alerts", "replay", "--all")["replayed"] == 0


def receiver_id(services: Services, app: App) -> int:
    (webhook,) = services.webhooks.listed(app.app_id)
    return webhook.webhook_id
