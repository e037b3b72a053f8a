"""Tells people of alerts: works off the queue of notifications, as worker and as function.

An alert is told to a topic and to webhooks, each by a message of its own, and
each again later until it gets there, at longer and longer intervals over some
hours. At least once; a message that comes twice tells nothing twice (see
`attempts.py`), and a receiver that is told again, because its answer was lost,
knows it by the same id.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from chalicelib import clock
from chalicelib.accounts import Accounts
from chalicelib.alerts import webhook_json, wording
from chalicelib.alerts.attempts import (
    DELIVERED,
    GONE,
    LEASE,
    QUIET,
    TOPIC,
    WAITING,
    Attempt,
    Attempts,
    left_ms,
)
from chalicelib.alerts.book import AlertBook
from chalicelib.alerts.messages import Deliver, Tell, decode, encode
from chalicelib.alerts.model import Alert
from chalicelib.alerts.outbox import Outbox
from chalicelib.alerts.posting import NotPosted, Poster
from chalicelib.alerts.signing import SIGNATURE_HEADER, signature
from chalicelib.alerts.webhooks import Webhook, Webhooks
from chalicelib.alerts.wording import About
from chalicelib.errors import CrashbucketError, FormatError, NotFound
from chalicelib.ids import IdSource
from chalicelib.metrics import Metric, Metrics
from chalicelib.queries.groups import GroupQueries
from chalicelib.storage.ports import Message, Queue, Topic

_log = logging.getLogger(__name__)

DELIVERY_HEADER = "X-Crashbucket-Delivery"
BATCH = 8  # messages at a time, each in a thread: a slow receiver holds up no other
MAX_TRIES = 8
_FIRST_PAUSE_S = 15.0
_LONGER_BY = 4
_LONGEST_PAUSE_S = 14_400.0  # with the above: 5 to 9 hours from the first try to the last
_LONGEST_DELAY_S = 900  # SQS's limit; a message that comes too early is sent on
_LOOK_EVERY_S = 0.25
_TIDY_EVERY_S = 60.0
_AFTER_FAILURE_S = 1.0

Done = Callable[[Sequence[Message]], object]


@dataclass(frozen=True, slots=True)
class Tools:
    """What the telling needs of the service."""

    queue: Queue
    outbox: Outbox
    book: AlertBook
    webhooks: Webhooks
    attempts: Attempts
    topic: Topic | None
    poster: Poster
    accounts: Accounts
    groups: GroupQueries
    metrics: Metrics
    ids: IdSource
    base_url: str
    visibility_s: int


class NotDelivered(CrashbucketError):
    """An attempt that came to nothing. `is_final`: the receiver wants no other one."""

    def __init__(self, problem: str, *, is_final: bool = False) -> None:
        super().__init__(problem)
        self.is_final = is_final


class Notifier:
    """Processes notifications; lists and replays what nobody got."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._pool: ThreadPoolExecutor | None = None
        self._tidy_at = 0.0
        self._counting = threading.Lock()

    # --- the queue ---

    def run(self, stopping: Callable[[], bool]) -> None:
        """Work until told to stop; what is under way comes again."""
        while not stopping():
            try:
                if not self.step():
                    time.sleep(_LOOK_EVERY_S)
            except Exception:  # what is not acknowledged comes back
                _log.exception("the store did not do as it was told")
                time.sleep(_AFTER_FAILURE_S)

    def step(self) -> int:
        """Process one batch; how many messages it had."""
        queue, visibility_s = self._tools.queue, self._tools.visibility_s
        messages = queue.receive(BATCH, visibility_s=visibility_s)
        self.process(messages, queue.ack)
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + _TIDY_EVERY_S
            while given_up := queue.dead_letters.receive(BATCH, visibility_s=visibility_s):
                for message in given_up:
                    self.give_up(message.body)
                queue.dead_letters.ack(given_up)
        return len(messages)

    def process(self, messages: Sequence[Message], done: Done) -> None:
        """Process messages at the same time, and tell `done` of those that need not come again."""
        if not messages:
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(BATCH, thread_name_prefix="notify")
        at_work: dict[Future[None], Message] = {
            self._pool.submit(self.handle, message.body): message for message in messages
        }
        for finished in as_completed(at_work):
            message = at_work[finished]
            error = finished.exception()
            if error is None:
                done([message])
            else:
                _log.error("a notification failed: %.200s", message.body, exc_info=error)

    def handle(self, body: str) -> None:
        """Do what one message says."""
        try:
            message = decode(body)
        except FormatError:
            _log.error("no notification: %.200s", body)
            return
        if isinstance(message, Tell):
            self._tell(message)
        else:
            self._deliver(message)

    def give_up(self, body: str) -> None:
        """Of a message that the queue gave up: keep what nobody got, so that people can see it."""
        with suppress(FormatError):
            message = decode(body)
            if isinstance(message, Tell):  # nobody else would tell of it
                _log.error("told again later: %.200s", body)
                self._tools.queue.send(body, delay_s=_LONGEST_DELAY_S)
                return
            attempt = self._attempt(message)
            if attempt is not None and attempt.state == WAITING:
                self._given_up(attempt, "the attempts failed here; the log says why")

    # --- what nobody got ---

    def undelivered(self, app_id: str) -> list[Attempt]:
        """Notifications of an app's alerts that were given up."""
        return self._tools.attempts.undelivered(app_id)

    def replay(self, attempts: Iterable[Attempt]) -> int:
        """Begin them anew; how many of them were still given up."""
        replayed = 0
        for attempt in attempts:
            message = Deliver(attempt.app_id, attempt.alert_id, attempt.receiver)
            waiting = self._tools.outbox.message(encode(message))
            if self._tools.attempts.begin_again(attempt, [waiting.put()]):
                self._tools.outbox.send(waiting)
                replayed += 1
        return replayed

    def ping(self, webhook: Webhook) -> int:
        """Post a ping at once; the status of the answer. Raises `NotPosted`."""
        app = None if webhook.app_id is None else self._tools.accounts.app(webhook.app_id)
        body = webhook_json.of_ping(app, self._base(webhook), clock.now())
        return self._post(webhook, body, f"ping-{self._tools.ids.next()}")

    # --- telling ---

    def _tell(self, message: Tell) -> None:
        alert = self._tools.book.find(message.app_id, message.alert_id)
        if alert is None or alert.acknowledged_at is not None:
            return
        webhooks = self._tools.webhooks.wanting(alert.app_id, alert.kind)
        receivers = [str(webhook.webhook_id) for webhook in webhooks]
        if self._tools.topic is not None:
            receivers.insert(0, TOPIC)
        for receiver in receivers:
            self._tools.attempts.begin(alert.app_id, alert.alert_id, receiver)
            self._send(Deliver(alert.app_id, alert.alert_id, receiver))

    def _deliver(self, message: Deliver) -> None:
        tools = self._tools
        attempt = self._attempt(message)
        if attempt is None or attempt.state != WAITING:
            return
        alert = tools.book.find(attempt.app_id, attempt.alert_id)
        if alert is None or alert.acknowledged_at is not None:
            tools.attempts.end(attempt, QUIET)
            return
        early_ms = left_ms(attempt)
        if early_ms > 0:
            self._send(message, timedelta(milliseconds=early_ms))
            return
        claimed = tools.attempts.claim(attempt)
        if claimed is None:  # look again when whoever makes it should have
            self._send(message, LEASE)
            return
        try:
            self._attempt_it(claimed, alert)
        except NotDelivered as error:
            self._failed(claimed, error)
        else:
            tools.attempts.end(claimed, DELIVERED)
            self._count(Metric.DELIVERED, alert.app_id)

    def _attempt_it(self, attempt: Attempt, alert: Alert) -> None:
        """Raises `NotDelivered`."""
        about = self._about(alert)
        if about is None:
            raise NotDelivered("there is no such app any more", is_final=True)
        if attempt.receiver == TOPIC:
            self._publish(about)
            return
        webhook = self._tools.webhooks.find(alert.app_id, int(attempt.receiver))
        if webhook is None or not webhook.active:
            raise NotDelivered("the webhook is gone or off", is_final=True)
        body = webhook_json.of_alert(about, self._base(webhook), clock.now())
        try:
            self._post(webhook, body, f"{alert.alert_id}-{attempt.receiver}")
        except NotPosted as error:
            if error.status == HTTPStatus.GONE:
                self._tools.webhooks.switch_off(webhook, "its receiver answered 410: Gone")
                raise NotDelivered(str(error), is_final=True) from error
            self._tools.webhooks.has_failed(webhook, str(error))
            raise NotDelivered(str(error)) from error
        self._tools.webhooks.has_worked(webhook)

    def _publish(self, about: About) -> None:
        topic = self._tools.topic
        if topic is None:
            raise NotDelivered("there is no topic any more", is_final=True)
        told = [wording.text(about), f"{self._tools.base_url.rstrip('/')}{about.path()}"]
        attributes = {"kind": about.alert.kind.value, "app_id": about.alert.app_id}
        try:
            topic.publish(wording.title(about), "\n\n".join(told), attributes)
        except Exception as error:  # whatever the store's library raises: try again
            _log.warning("the topic took no message", exc_info=True)
            raise NotDelivered(f"the topic took no message: {error}"[:500]) from error

    def _failed(self, attempt: Attempt, error: NotDelivered) -> None:
        if error.is_final:
            self._tools.attempts.end(attempt, GONE, str(error))
        elif attempt.tries >= MAX_TRIES:
            self._given_up(attempt, str(error))
        else:
            after = pause(attempt.tries)
            if self._tools.attempts.retry(attempt, after, str(error)):
                self._send(Deliver(attempt.app_id, attempt.alert_id, attempt.receiver), after)

    def _given_up(self, attempt: Attempt, problem: str) -> None:
        if self._tools.attempts.give_up(attempt, problem):
            _log.error("alert %d did not reach %s: %s", attempt.alert_id, attempt.receiver, problem)
            self._count(Metric.UNDELIVERED, attempt.app_id)

    # --- helpers ---

    def _count(self, metric: Metric, app_id: str) -> None:
        with self._counting:  # metrics know no threads
            self._tools.metrics.count(metric, app_id=app_id)

    def _attempt(self, message: Deliver) -> Attempt | None:
        return self._tools.attempts.find(message.app_id, message.alert_id, message.receiver)

    def _about(self, alert: Alert) -> About | None:
        """None where the app is gone; a version or group that is gone is left out."""
        app = self._tools.accounts.find_app(alert.app_id)
        if app is None:
            return None
        version = group = None
        if alert.version_id is not None:
            with suppress(NotFound):
                version = self._tools.groups.version(alert.app_id, alert.version_id)
        if alert.group_id is not None:
            with suppress(NotFound):
                group = self._tools.groups.group(alert.app_id, alert.group_id)
        return About(alert, app, version, group)

    def _base(self, webhook: Webhook) -> str:
        return (self._tools.base_url or webhook.base_url or "").rstrip("/")

    def _post(self, webhook: Webhook, body: bytes, delivery: str) -> int:
        moment = int(clock.now().timestamp())
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Crashbucket",
            DELIVERY_HEADER: delivery,
            SIGNATURE_HEADER: signature(self._tools.webhooks.secret(webhook), moment, body),
        }
        return self._tools.poster.post(webhook.url, body, headers)

    def _send(self, message: Deliver, after: timedelta = timedelta()) -> None:
        delay_s = min(_LONGEST_DELAY_S, -(-int(after.total_seconds() * 1000) // 1000))
        self._tools.queue.send(encode(message), delay_s=delay_s)


def pause(tries: int) -> timedelta:
    """How long to wait after so many tries: longer each time, and half of it by chance, so that
    what failed together does not come again together."""
    longest = min(_FIRST_PAUSE_S * _LONGER_BY ** (tries - 1), _LONGEST_PAUSE_S)
    return timedelta(seconds=longest / 2 + random.random() * longest / 2)  # noqa: S311 - no secret
