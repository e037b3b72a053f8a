"""What becomes of the intake queue's messages: what a worker's loop and the queue's Lambda share.

A message is either an event of the store (a payload or a dump is there) or a
task. Whoever pulled the messages is told of each one that is done; the others
come again, and end in the dead letters, which are given up here too.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from chalicelib import clock, keys, payload, tasks
from chalicelib.alerts import messages as notifications
from chalicelib.bootstrap import Services
from chalicelib.errors import FormatError
from chalicelib.landing import is_landing
from chalicelib.metrics import Metric
from chalicelib.payload import Payload
from chalicelib.placing import Placing
from chalicelib.records import DeadLetter
from chalicelib.resymbolication import Resymbolication
from chalicelib.retention import Retention
from chalicelib.storage.events import Created, created_objects
from chalicelib.storage.ports import BlobNotFound, Message, Put
from chalicelib.tasks import (
    MAX_DELAY_S,
    ErasePerson,
    Expire,
    ExportReport,
    FinishDeletion,
    Place,
    Settle,
    Task,
)

_log = logging.getLogger(__name__)

_ALONE_FROM = 3  # deliveries: what ends a worker or a function takes its neighbours along twice

Done = Callable[[Sequence[Message]], object]


class Deliveries:
    """Processes messages, and gives up those that the queue has given up."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._queue = services.queue
        self._resymbolication = Resymbolication(services)

    def process(self, messages: Sequence[Message], done: Done, *, tasks_until: float) -> None:
        """Process messages and tell `done` of those that need not come again.

        Crashes first: a task may take a good part of the time that the messages
        have. After `tasks_until` (of `time.monotonic`) no further task is begun.
        """
        events = [message for message in messages if not tasks.is_task(message.body)]
        if first := [message for message in events if message.deliveries < _ALONE_FROM]:
            self._process_events(first, done)
        suspects = [message for message in events if message.deliveries >= _ALONE_FROM]
        random.shuffle(suspects)  # so that not the same ones come after what ends it
        for message in suspects:
            self._process_events([message], done)
        waiting = [message for message in messages if tasks.is_task(message.body)]
        for number, message in enumerate(waiting):
            if number and time.monotonic() > tasks_until:
                # As a new message: what was never tried must not count as given up.
                self._queue.send(message.body)
                done([message])
            elif self._do_task(message.body):
                done([message])

    def give_up(self, body: str) -> None:
        """Make a dead letter, which can be listed and replayed, of a message that the queue gave
        up; a task is tried again later."""
        if tasks.is_task(body):
            self._give_up_task(body)
            return
        if notifications.is_notification(body):  # one function reads both dead-letter queues
            self._services.notifier.give_up(body)
            return
        created = created_by(body)
        for report_id in report_ids_of(created):
            self._give_up_report(report_id)
        for entry in created:
            if is_landing(entry.key):
                self._services.landings.give_up(entry.key, self._given_up)

    # --- events ---

    def _process_events(self, messages: Sequence[Message], done: Done) -> None:
        created = [entry for message in messages for entry in created_by(message.body)]
        try:
            for entry in created:
                if is_landing(entry.key):  # its payload's own event follows
                    self._services.landings.land(entry.key, entry.at)
            self._services.processor.process(report_ids_of(created))
        except Exception:
            if len(messages) == 1:
                _log.exception("an event failed: %.200s", messages[0].body)
                return  # comes back after its visibility, and ends in the dead letters
            for message in messages:  # one bad event must not hold up the others
                self._process_events([message], done)
            return
        done(messages)

    # --- tasks ---

    def _do_task(self, body: str) -> bool:
        """Do the task; False: it failed and is to come back."""
        try:
            task = tasks.decode(body)
            if task is not None:
                self._run(task)
        except Exception:
            _log.exception("a task failed: %.200s", tasks.for_log(body))
            self._services.metrics.count(Metric.TASKS_FAILED)
            return False
        return True

    def _run(self, task: Task) -> None:
        if isinstance(task, ExportReport):
            self._services.exports.run(task.report_id)
        elif isinstance(task, Place):
            Placing(self._services).run(task)
        elif isinstance(task, FinishDeletion):
            self._services.deletion.finish(task.app_id, task.report_ids)
            self._resymbolication.run(Settle(task.app_id))
        elif isinstance(task, ErasePerson):
            self._services.persons.run(task)
        elif isinstance(task, Expire):
            Retention(self._services).run(task)
        else:
            self._resymbolication.run(task)

    # --- giving up ---

    @property
    def _given_up(self) -> str:
        deliveries = self._services.settings.max_deliveries
        return f"given up after {deliveries} deliveries; the worker's log says why each failed"

    def _give_up_task(self, body: str) -> None:
        task: Task | None = None
        with suppress(FormatError):  # of another version of this service, say, that can read it
            task = tasks.decode(body)
        if isinstance(task, ExportReport):
            self._services.exports.give_up(task.report_id, self._given_up)
            return
        # Symbols that came, say: nobody else would ask for it again.
        _log.error("tried again later: %.200s", tasks.for_log(body))
        self._queue.send(body, delay_s=MAX_DELAY_S)

    def _give_up_report(self, report_id: int) -> None:
        if self._services.table.get(keys.report(report_id)) is not None:
            self._services.processor.tidy(report_id)
            return  # stored by its last delivery, which took too long to acknowledge
        received: Payload | None = None
        with suppress(BlobNotFound, FormatError):
            received = payload.read_as_stored(self._services.blobs, keys.raw_blob(report_id))
        letter = DeadLetter(
            report_id,
            self._given_up,
            clock.to_stored(clock.now()),
            app_id=received.app_id if received else None,
            door=received.door if received else None,
        )
        self._services.table.write([Put(letter.item())])
        self._services.metrics.count(Metric.FAILED, app_id=letter.app_id)


def created_by(body: str) -> list[Created]:
    """The blobs that an event announces; none for what is no event of the store."""
    try:
        return created_objects(body)
    except FormatError:
        _log.warning("no event of the store: %.200s", body)
        return []


def report_ids_of(created: Iterable[Created]) -> list[int]:
    """The reports whose payloads are among them; what is not ours is passed over."""
    ids = []
    for entry in created:
        try:
            ids.append(keys.report_id_of_raw_blob(entry.key))
        except ValueError:
            if not is_landing(entry.key):
                _log.warning("not the key of a payload or of a dump: %.200s", entry.key)
    return ids
