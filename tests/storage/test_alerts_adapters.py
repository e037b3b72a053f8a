"""Alerts on both stores: opened once, told, given up, replayed, and gone with the app."""

from __future__ import annotations

from chalicelib import bootstrap, clock, keys
from chalicelib.alerts.attempts import GIVEN_UP
from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.config import Settings
from chalicelib.queries.paging import Paging
from chalicelib.storage.aws.store import AwsStore
from chalicelib.storage.embedded.store import EmbeddedStore
from tests.alerts.receiver import Answer, Receiver

Store = AwsStore | EmbeddedStore


def test_an_alert_lives_from_its_opening_to_the_end_of_its_app(store: Store) -> None:
    services = bootstrap.build(
        Settings(allow_private_webhooks=1),
        store.table,
        store.blobs,
        store.queue,
        notifications=store.notifications,
    )
    app = services.accounts.create_app("Demo")

    def deliver() -> None:
        while services.notifier.step():
            pass

    with Receiver(Answer(), Answer(500)) as receiver:
        webhook = services.webhooks.create(receiver.url, app_id=app.app_id)
        at = clock.to_stored(clock.now())
        told = Alert(app.app_id, AlertKind.SPIKE, "app", "spike:1", at, "many crashes", 9, 1500, 10)
        assert services.alerts.open(told)
        assert not services.alerts.open(told)
        deliver()
        assert [post.json["alert"]["observed"] for post in receiver.posts] == [9]
        services.alerts.open(Alert(app.app_id, AlertKind.NEW_GROUP, "app", "new:1", at, "new"))
        deliver()
        assert len(receiver.posts) == 2
        failing = services.webhooks.webhook(app.app_id, webhook.webhook_id)
        assert failing.failure == "answered 500: ok"
        paging = Paging()
        newest = services.alerts.list(app.app_id, open_only=True, paging=paging).entries[0]
        attempts = services.notifier._tools.attempts
        waiting = attempts.find(app.app_id, newest.alert_id, str(webhook.webhook_id))
        assert waiting is not None and attempts.give_up(waiting, "answered 500")
        (lost,) = services.notifier.undelivered(app.app_id)
        assert lost.state == GIVEN_UP
        assert services.notifier.replay([lost]) == 1
        deliver()
        assert receiver.posts[-1].json["alert"]["id"] == newest.alert_id
        assert services.notifier.undelivered(app.app_id) == []
    worked = services.webhooks.webhook(app.app_id, webhook.webhook_id)
    assert worked.failing_since is None
    said = services.alerts.acknowledge(app.app_id, newest.alert_id, "jo")
    assert said.closed_at is not None
    assert services.alerts.close(app.app_id, "spike:1")
    assert services.alerts.list(app.app_id, open_only=True, paging=paging).total_entries == 0
    assert services.eraser.erase([app.app_id])
    for partition in (*keys.alerts_of_app(app.app_id), "outbox"):
        assert store.table.query(partition).items == ()
