"""Telling people: signed, once, again until it gets there, and never to private addresses."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from dataclasses import replace

import pytest

from chalicelib import bootstrap, clock, keys
from chalicelib.alerts import posting
from chalicelib.alerts.attempts import TOPIC
from chalicelib.alerts.delivery import MAX_TRIES, pause
from chalicelib.alerts.messages import Deliver, Tell, encode
from chalicelib.alerts.model import AlertKind
from chalicelib.config import Settings
from chalicelib.metrics import Metric
from chalicelib.storage.ports import Put
from chalicelib.worker import Worker
from tests.alerts.conftest import World
from tests.alerts.receiver import Answer, Receiver
from tests.crashes import ANDROID_EXAMPLE, receive

DAY_S = 86_400.0
HOUR_S = 3600.0


def signed(secret: str, moment: str, body: bytes) -> str:
    digest = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256)
    return digest.hexdigest()


def test_a_spike_is_posted_in_hockeyapps_shape_with_the_alert_beside_it(
    world: World, receiver: Receiver
) -> None:
    world.webhook(receiver)
    alert = world.opened()
    world.deliver()
    (post,) = receiver.posts
    assert post.path == "/hook?team=mobile"
    assert post.headers["content-type"] == "application/json; charset=utf-8"
    assert post.headers["host"] == f"127.0.0.1:{receiver.port}"
    api = f"https://crashes.example.com/api/2/apps/{world.app.app_id}"
    assert post.json == {
        "title": "[Demo] 412 crashes in 10 minutes",
        "text": "412 crashes in 10 minutes, where 95.5 were to be expected.",
        "url": f"{api}/crash_reasons",
        "public_identifier": world.app.app_id,
        "sent_at": clock.to_wire(clock.now()),
        "type": "alert",
        "alert": {
            "id": alert.alert_id,
            "kind": "spike",
            "subject": "app",
            "title": "412 crashes in 10 minutes",
            "state": "open",
            "observed": 412,
            "expected": 95.5,
            "minutes": 10,
            "crash_reason_id": None,
            "crash_reason_percent": None,
            "app_version_id": None,
            "app_version_percent": None,
            "part_of": None,
            "opened_at": clock.to_wire(clock.now()),
            "closed_at": None,
            "acknowledged_at": None,
            "acknowledged_by": None,
            "url": f"{api}/alerts/{alert.alert_id}",
            "acknowledge_url": f"{api}/alerts/{alert.alert_id}/acknowledge",
        },
    }


def test_a_group_is_posted_as_the_api_answers_it_and_a_version_too(
    world: World, receiver: Receiver
) -> None:
    world.webhook(receiver)
    report_id = receive(world.services, world.app, ANDROID_EXAMPLE.encode())
    Worker(world.services).drain()
    report = world.services.crashes.report(report_id)
    about = {"group_id": report.group_id, "version_id": report.version_id}
    world.opened(AlertKind.NEW_GROUP, "new:1", **about)
    world.opened(AlertKind.SPIKE, "spike:version", version_id=report.version_id)
    world.deliver()
    group, version = (
        next(p.json for p in receiver.posts if p.json["type"] == kind)
        for kind in ("crash_reason", "app_version")
    )
    assert group["crash_reason"]["id"] == report.group_id
    assert group["crash_reason"]["number_of_crashes"] == 1
    assert group["url"].endswith(f"/crash_reasons/{report.group_id}")
    assert group["text"].startswith("A crash that was not seen before.\nVersion ")
    assert group["alert"]["crash_reason_id"] == report.group_id
    assert version["app_version"]["id"] == report.version_id
    assert version["url"].endswith(f"/app_versions/{report.version_id}/crash_reasons")


def test_a_receiver_can_tell_by_the_signature_who_sent_it_and_when(
    world: World, receiver: Receiver
) -> None:
    webhook_id = world.webhook(receiver)
    world.opened()
    world.deliver()
    (post,) = receiver.posts
    webhook = world.services.webhooks.webhook(world.app.app_id, webhook_id)
    moment, _, digest = post.headers["x-crashbucket-signature"].partition(",")
    assert moment == f"t={int(world.time.now)}"
    secret = world.services.webhooks.secret(webhook)
    assert digest == f"v1={signed(secret, moment[2:], post.body)}"
    other = replace(webhook, webhook_id=webhook_id + 1)
    assert world.services.webhooks.secret(other) != secret


@pytest.mark.parametrize(
    "failing",
    [
        Answer(500, body=b"<h1>Oops</h1>"),
        Answer(429),
        Answer(301, {"Location": "https://example.com/"}),
    ],
    ids=lambda answer: str(answer.status),
)
def test_what_is_not_taken_is_sent_again_under_the_same_id(world: World, failing: Answer) -> None:
    with Receiver(failing, failing) as receiver:
        webhook_id = world.webhook(receiver)
        world.opened()
        world.deliver()
        assert len(receiver.posts) == 1
        marked = world.services.webhooks.webhook(world.app.app_id, webhook_id)
        assert marked.failing_since is not None
        assert marked.failure is not None and str(failing.status) in marked.failure
        world.deliver(HOUR_S)
        assert len(receiver.posts) == 3
        assert len({post.headers["x-crashbucket-delivery"] for post in receiver.posts}) == 1
        assert len({post.headers["x-crashbucket-signature"] for post in receiver.posts}) == 3
        worked = world.services.webhooks.webhook(world.app.app_id, webhook_id)
        assert (worked.failing_since, worked.failure, worked.state) == (None, None, "active")
        world.deliver(DAY_S)
        assert len(receiver.posts) == 3
    assert world.metrics.counts[Metric.DELIVERED] == 2  # with that to the topic
    assert Metric.UNDELIVERED not in world.metrics.counts


def test_the_intervals_grow_to_hours_and_differ_by_chance() -> None:
    pauses = [[pause(tries).total_seconds() for _ in range(50)] for tries in range(1, MAX_TRIES)]
    assert all(7 <= second <= 15 for second in pauses[0])
    assert all(2 * HOUR_S <= second <= 4 * HOUR_S for second in pauses[-1])
    assert all(len(set(drawn)) > 40 for drawn in pauses)
    assert 4 * HOUR_S < sum(map(min, pauses)) < sum(map(max, pauses)) < 10 * HOUR_S


def test_what_nobody_takes_for_hours_is_listed_and_can_be_replayed(world: World) -> None:
    with Receiver(*[Answer(503)] * MAX_TRIES) as receiver:
        webhook_id = world.webhook(receiver)
        alert = world.opened()
        world.deliver(12 * HOUR_S)
        assert len(receiver.posts) == MAX_TRIES
        (lost,) = world.services.notifier.undelivered(world.app.app_id)
        assert (lost.alert_id, lost.receiver) == (alert.alert_id, str(webhook_id))
        assert lost.tries == MAX_TRIES
        assert lost.problem is not None and lost.problem.startswith("answered 503")
        assert world.metrics.counts[Metric.UNDELIVERED] == 1
        assert world.services.notifier.replay([lost]) == 1
        assert world.services.notifier.replay([lost]) == 0
        world.deliver()
        assert len(receiver.posts) == MAX_TRIES + 1
        assert len({post.headers["x-crashbucket-delivery"] for post in receiver.posts}) == 1
    assert world.services.notifier.undelivered(world.app.app_id) == []


def test_a_webhook_where_nothing_arrives_for_days_is_marked(world: World) -> None:
    with Receiver(*[Answer(500)] * 3 * MAX_TRIES) as receiver:
        webhook_id = world.webhook(receiver)
        for day in range(3):
            assert world.services.webhooks.webhook(world.app.app_id, webhook_id).state == "active"
            world.opened(key=f"spike:{day}")
            world.deliver(DAY_S)
    assert world.services.webhooks.webhook(world.app.app_id, webhook_id).state == "failing"


def test_a_receiver_that_is_gone_switches_its_webhook_off(world: World) -> None:
    with Receiver(Answer(410)) as receiver:
        webhook_id = world.webhook(receiver)
        world.opened()
        world.deliver(DAY_S)
        off = world.services.webhooks.webhook(world.app.app_id, webhook_id)
        assert (off.active, off.state) == (False, "off")
        assert off.switched_off is not None and "410" in off.switched_off
        world.opened(key="spike:2")
        world.deliver(DAY_S)
        assert len(receiver.posts) == 1
        on = world.services.webhooks.change(off, active=True)
        assert (on.state, on.switched_off) == ("active", None)
        world.opened(key="spike:3")
        world.deliver()
        assert len(receiver.posts) == 2
    assert world.services.notifier.undelivered(world.app.app_id) == []


def test_a_webhook_that_a_person_switches_off_during_a_delivery_stays_off(world: World) -> None:
    hooks = world.services.webhooks
    with Receiver(Answer(500)) as receiver:
        webhook_id = world.webhook(receiver)
        during = hooks.webhook(world.app.app_id, webhook_id)
        changed = hooks.change(during, active=False)
        hooks.has_failed(during, "answered 500")
        failed = hooks.webhook(world.app.app_id, webhook_id)
        assert (changed.active, failed.active, failed.failure) == (False, False, "answered 500")
        hooks.has_worked(failed)
        assert not hooks.webhook(world.app.app_id, webhook_id).active


def test_messages_that_come_twice_post_nothing_twice(world: World, receiver: Receiver) -> None:
    webhook_id = world.webhook(receiver)
    alert = world.opened()
    queue = world.services.notifications
    for _ in range(3):
        queue.send(encode(Tell(world.app.app_id, alert.alert_id)))
        queue.send(encode(Deliver(world.app.app_id, alert.alert_id, str(webhook_id))))
    world.deliver(HOUR_S)
    assert len(receiver.posts) == 1
    assert len(world.topic.published) == 1
    assert queue.depth() == 0


def test_messages_that_come_twice_while_the_first_is_at_work_post_nothing_twice(
    world: World,
) -> None:
    with Receiver(Answer(wait_s=0.5)) as receiver:
        webhook_id = world.webhook(receiver)
        alert = world.opened()
        world.services.webhooks.create(receiver.url, app_id=None, kinds=["new_group"])
        world.services.notifier.handle(encode(Tell(world.app.app_id, alert.alert_id)))
        body = encode(Deliver(world.app.app_id, alert.alert_id, str(webhook_id)))
        both = [threading.Thread(target=world.services.notifier.handle, args=[body]) for _ in "ab"]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        world.deliver(HOUR_S)
        assert len(receiver.posts) == 1


def test_an_attempt_of_a_process_that_died_is_made_again(world: World, receiver: Receiver) -> None:
    webhook_id = world.webhook(receiver)
    alert = world.opened()
    notifier, attempts = world.services.notifier, world.services.notifier._tools.attempts
    notifier.handle(encode(Tell(world.app.app_id, alert.alert_id)))
    begun = attempts.find(world.app.app_id, alert.alert_id, str(webhook_id))
    assert begun is not None and attempts.claim(begun) is not None
    world.deliver()
    assert receiver.posts == []
    world.deliver(300)
    assert len(receiver.posts) == 1


def test_an_alert_whose_opener_died_before_it_was_sent_is_sent_by_the_sweep(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.webhook(receiver)

    def away(*_: object) -> None:
        raise OSError("the queue is away")

    with monkeypatch.context() as broken:
        broken.setattr(world.services.outbox, "send", away)
        world.opened()
    world.deliver(HOUR_S)
    assert receiver.posts == []
    assert world.services.outbox.sweep() == 1
    assert world.services.outbox.sweep() == 0
    world.deliver()
    assert len(receiver.posts) == 1


def test_the_sweep_leaves_alone_what_was_written_just_now(world: World) -> None:
    message = world.services.outbox.message("{}")
    world.services.table.write([message.put()])
    assert world.services.outbox.sweep() == 0


def test_nobody_is_told_of_an_acknowledged_alert(world: World) -> None:
    with Receiver(Answer(500)) as receiver:
        world.webhook(receiver)
        alert = world.opened()
        world.deliver()
        world.services.alerts.acknowledge(world.app.app_id, alert.alert_id, "jo")
        world.deliver(DAY_S)
        assert len(receiver.posts) == 1
        before = len(world.topic.published)
        early = world.opened(key="spike:2")
        world.services.alerts.acknowledge(world.app.app_id, early.alert_id, "jo")
        world.deliver(DAY_S)
        assert (len(receiver.posts), len(world.topic.published)) == (1, before)
    assert world.services.notifier.undelivered(world.app.app_id) == []
    assert world.services.notifications.depth() == 0


def test_webhooks_of_every_app_and_of_the_setting_are_told_what_they_ask_for(
    world: World, receiver: Receiver
) -> None:
    settings = replace(world.services.settings, alert_webhook=f"{receiver.url}&of=setting")
    services = bootstrap.build(
        settings,
        world.services.table,
        world.services.blobs,
        world.services.queue,
        notifications=world.services.notifications,
    )
    hooks = services.webhooks
    hooks.create(f"{receiver.url}&of=all", app_id=None)
    hooks.create(f"{receiver.url}&of=news", app_id=world.app.app_id, kinds=["new_group"])
    hooks.create(f"{receiver.url}&of=nobody", app_id=world.app.app_id, active=False)
    other = services.accounts.create_app("Other")
    hooks.create(f"{receiver.url}&of=other", app_id=other.app_id)
    world.services = services
    world.opened()
    world.deliver()
    told = sorted(post.path.rpartition("=")[2] for post in receiver.posts)
    assert told == ["all", "setting"]
    world.opened(AlertKind.NEW_GROUP, "new:1")
    world.deliver()
    assert sorted(post.path.rpartition("=")[2] for post in receiver.posts[2:]) == [
        "all",
        "news",
        "setting",
    ]


def test_the_topic_gets_a_line_and_the_address_and_is_tried_again(world: World) -> None:
    world.topic.failures = 2
    alert = world.opened()
    world.deliver()
    assert world.topic.published == []
    world.deliver(HOUR_S)
    ((subject, text, attributes),) = world.topic.published
    assert subject == "[Demo] 412 crashes in 10 minutes"
    assert text == (
        "412 crashes in 10 minutes, where 95.5 were to be expected.\n\n"
        f"https://crashes.example.com/api/2/apps/{world.app.app_id}/crash_reasons"
    )
    assert attributes == {"kind": "spike", "app_id": world.app.app_id}
    done = world.services.notifier._tools.attempts.find(world.app.app_id, alert.alert_id, TOPIC)
    assert done is not None and (done.state, done.tries) == ("delivered", 3)


def test_a_slow_receiver_holds_up_no_other(world: World, receiver: Receiver) -> None:
    with Receiver(*[Answer(wait_s=1.0)] * 4) as slow:
        for _ in range(4):
            world.webhook(slow)
        world.webhook(receiver)
        world.opened()
        started = time.monotonic()
        world.deliver()
        assert time.monotonic() - started < 3
        assert (len(slow.posts), len(receiver.posts)) == (4, 1)


def test_a_message_that_the_queue_gives_up_is_listed_or_told_later(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.webhook(receiver)
    with monkeypatch.context() as broken:
        broken.setattr(posting.Poster, "post", lambda *_: 1 / 0)
        world.opened()
        world.deliver(HOUR_S)
    world.time.let_pass(HOUR_S)
    monkeypatch.setattr(world.services.notifier, "_tidy_at", 0.0)
    world.deliver()
    (lost,) = world.services.notifier.undelivered(world.app.app_id)
    assert lost.problem == "the attempts failed here; the log says why"
    world.services.notifier.give_up(encode(Tell(world.app.app_id, lost.alert_id)))
    world.services.notifier.give_up("no notification")
    assert world.services.notifications.depth() == 0
    world.time.let_pass(HOUR_S)
    assert world.services.notifications.depth() == 1


def test_nothing_is_left_of_an_app_that_was_erased(world: World) -> None:
    with Receiver(*[Answer(500)] * 100) as receiver:
        world.webhook(receiver)
        world.opened()
        world.opened(AlertKind.NEW_GROUP, "new:1")
        world.deliver(DAY_S)
        assert len(world.services.notifier.undelivered(world.app.app_id)) == 2
        world.opened(key="spike:under way")
        world.deliver()
        posted = len(receiver.posts)
        assert world.services.eraser.erase([world.app.app_id])
        for partition in keys.alerts_of_app(world.app.app_id):
            assert world.services.table.query(partition).items == ()
        world.deliver(DAY_S)
        assert len(receiver.posts) == posted
    assert world.services.notifications.depth() == 0


def test_private_addresses_are_refused_in_deliveries_without_the_setting(
    world: World, receiver: Receiver
) -> None:
    world.webhook(receiver)
    world.services = bootstrap.build(
        Settings(),
        world.services.table,
        world.services.blobs,
        world.services.queue,
        notifications=world.services.notifications,
    )
    world.opened()
    world.deliver(DAY_S)
    assert receiver.posts == []
    (lost,) = world.services.notifier.undelivered(world.app.app_id)
    assert lost.problem is not None and "CRASHBUCKET_ALLOW_PRIVATE_WEBHOOKS=1" in lost.problem


def test_an_item_of_another_version_of_this_service_does_not_stop_the_rest(
    world: World, receiver: Receiver
) -> None:
    world.webhook(receiver)
    key = keys.outbox(1)
    world.services.table.write(
        [Put({"pk": key.pk, "sk": key.sk, "body": '{"notify":"new"}', "at": "2026"})]
    )
    assert world.services.outbox.sweep() == 1
    world.opened()
    world.deliver()
    assert len(receiver.posts) == 1
