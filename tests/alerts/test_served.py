"""The embedded server tells of alerts by itself, also of what waited while it was down."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from chalicelib import bootstrap, clock
from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.config import Settings
from tests.alerts.receiver import Answer, Receiver
from tests.server import RunningServer


@pytest.mark.timeout(120)
def test_a_running_server_posts_what_is_opened_signed_with_the_secret_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRASHBUCKET_ALLOW_PRIVATE_WEBHOOKS", "1")
    data = tmp_path / "data"
    services = bootstrap.connect(Settings(data=str(data), allow_private_webhooks=1))
    app = services.accounts.create_app("Demo")
    at = clock.to_stored(clock.now())
    with Receiver(Answer(500)) as receiver:
        webhook = services.webhooks.create(receiver.url, app_id=app.app_id)
        services.alerts.open(Alert(app.app_id, AlertKind.SPIKE, "app", "spike:1", at, "spiking"))
        server = RunningServer(data).start()
        try:
            until = time.monotonic() + 60
            while len(receiver.posts) < 2 and time.monotonic() < until:
                time.sleep(0.05)
        finally:
            server.stop()
        first, again = receiver.posts
        assert first.json["alert"]["title"] == "spiking"
        delivery = "x-crashbucket-delivery"
        assert first.headers[delivery] == again.headers[delivery]
    from chalicelib.alerts.signing import signature

    moment = int(first.headers["x-crashbucket-signature"].split(",")[0].removeprefix("t="))
    expected = signature(services.webhooks.secret(webhook), moment, first.body)
    assert first.headers["x-crashbucket-signature"] == expected
