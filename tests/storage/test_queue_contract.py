"""What every queue does, on both adapters."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from chalicelib.storage.aws.store import AwsStore
from chalicelib.storage.embedded.store import EmbeddedStore
from chalicelib.storage.ports import Message, Queue
from tests.storage.conftest import Clock, let_pass
from tests.storage.threads import together

Store = AwsStore | EmbeddedStore


def bodies(messages: object) -> list[str]:
    assert isinstance(messages, (list, tuple))
    return sorted(message.body for message in messages)


def everything(queue: Queue, visibility_s: int = 60) -> list[Message]:
    """All that can be received now."""
    found: list[Message] = []
    while messages := queue.receive(25, visibility_s=visibility_s):
        found.extend(messages)
    return found


def test_messages_of_any_script_are_received_once_each(queue: Queue) -> None:
    sent = sorted(f"message {number} ä漢" for number in range(30))
    for body in sent:
        queue.send(body)
    received = everything(queue)
    assert bodies(received) == sent
    assert {message.deliveries for message in received} == {1}


def test_no_more_than_asked_for_are_received(queue: Queue) -> None:
    for number in range(30):
        queue.send(str(number))
    assert 1 <= len(queue.receive(3)) <= 3
    assert len(queue.receive(25)) >= 10


def test_an_empty_queue_answers_at_once_and_waits_when_asked_to(queue: Queue) -> None:
    started = time.monotonic()
    assert not queue.receive(10)
    assert time.monotonic() - started < 0.5
    assert not queue.receive(10, wait_s=0.3)
    assert time.monotonic() - started >= 0.2


def test_a_waiting_receiver_gets_a_message_as_soon_as_it_is_sent(
    embedded_store: EmbeddedStore,
) -> None:
    took: list[float] = []

    def work(number: int) -> None:
        if number:
            time.sleep(0.2)
            embedded_store.queue.send("late")
        else:
            started = time.monotonic()
            assert embedded_store.queue.receive(10, wait_s=5)
            took.append(time.monotonic() - started)

    together(2, work)
    assert took[0] < 1.0


def test_a_received_message_is_hidden_and_comes_back_unless_acknowledged(
    store: Store, clock: Clock
) -> None:
    queue = store.queue
    queue.send("one")
    queue.send("two")
    first = everything(queue, visibility_s=1)
    assert bodies(first) == ["one", "two"]
    assert not everything(queue)
    queue.ack([message for message in first if message.body == "one"])
    let_pass(store, clock, 1)
    (again,) = everything(queue)
    assert (again.body, again.deliveries) == ("two", 2)
    queue.ack([again])
    assert queue.depth() == 0


def test_a_released_message_comes_back_after_its_delay(store: Store, clock: Clock) -> None:
    queue = store.queue
    queue.send("again")
    (message,) = queue.receive()
    queue.release(message)
    (message,) = queue.receive()
    assert message.deliveries == 2
    queue.release(message, delay_s=1)
    assert not queue.receive()
    let_pass(store, clock, 1)
    assert bodies(queue.receive()) == ["again"]


def test_the_depth_counts_what_waits_and_what_is_in_work_but_nothing_sent_for_later(
    store: Store, clock: Clock
) -> None:
    store.queue.send("in work")
    store.queue.send("waits")
    store.queue.send("later", delay_s=1)
    (message,) = store.queue.receive(1)
    assert store.queue.depth() == 2
    store.queue.release(message, delay_s=60)
    assert store.queue.depth() == 2
    let_pass(store, clock, 1)
    assert store.queue.depth() == 3


def test_a_delayed_message_is_not_received_before_its_time(store: Store, clock: Clock) -> None:
    store.queue.send("later", delay_s=1)
    assert not store.queue.receive()
    let_pass(store, clock, 1)
    assert bodies(store.queue.receive()) == ["later"]


def test_an_overtaken_receipt_acknowledges_nothing(
    embedded_store: EmbeddedStore, clock: Clock
) -> None:
    queue = embedded_store.queue
    queue.send("slow")
    overtaken = queue.receive(visibility_s=1)
    clock.advance(2)
    current = queue.receive(visibility_s=60)
    queue.ack(overtaken)
    assert queue.depth() == 1
    queue.ack(current)
    assert queue.depth() == 0


def test_a_message_delivered_too_often_goes_to_the_dead_letters(store: Store, clock: Clock) -> None:
    queue = store.queue
    queue.send("poison")
    for delivery in (1, 2, 3):
        (message,) = queue.receive(visibility_s=1)
        assert message.deliveries == delivery
        let_pass(store, clock, 1)
    assert not queue.receive()
    (dead,) = queue.dead_letters.receive()
    assert dead.body == "poison"
    queue.dead_letters.ack([dead])
    assert queue.dead_letters.depth() == 0
    assert queue.depth() == 0


def test_one_poisonous_message_holds_up_no_other(store: Store, clock: Clock) -> None:
    store.queue.send("poison")
    for number in range(6):
        store.queue.send(f"good {number}")
        received = everything(store.queue, visibility_s=1)
        assert f"good {number}" in bodies(received)
        store.queue.ack([message for message in received if message.body != "poison"])
        if isinstance(store, EmbeddedStore):
            clock.advance(1.1)


@pytest.mark.parametrize("receivers", [4])
def test_receivers_at_the_same_moment_share_the_messages(queue: Queue, receivers: int) -> None:
    for number in range(60):
        queue.send(str(number))
    seen: Counter[str] = Counter()

    def work(_: int) -> None:
        while messages := queue.receive(7):
            for message in messages:
                seen[message.body] += 1
            queue.ack(messages)

    together(receivers, work)
    assert set(seen.values()) == {1}
    assert len(seen) == 60


def test_depth_counts_what_waits_and_what_is_worked_on(queue: Queue) -> None:
    for number in range(3):
        queue.send(str(number))
    assert queue.depth() == 3
    messages = queue.receive(1)
    assert queue.depth() == 3
    queue.ack(messages)
    assert queue.depth() == 2


def test_the_queue_of_notifications_is_one_of_its_own(store: Store, clock: Clock) -> None:
    notifications = store.notifications
    assert notifications is not None
    notifications.send("alert")
    assert not store.queue.receive()
    for _ in range(3):
        assert bodies(notifications.receive(visibility_s=1)) == ["alert"]
        let_pass(store, clock, 1)
    assert not notifications.receive()
    assert not store.queue.dead_letters.receive()
    assert bodies(notifications.dead_letters.receive()) == ["alert"]
