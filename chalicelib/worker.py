"""Drain the intake queue: what a worker process and the queue's Lambda both run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from chalicelib import clock, keys, payload, tasks
from chalicelib.bootstrap import Services
from chalicelib.errors import FormatError
from chalicelib.landing import is_landing
from chalicelib.payload import Payload
from chalicelib.placing import Placing
from chalicelib.records import DeadLetter
from chalicelib.resymbolication import Resymbolication
from chalicelib.storage.events import Created, created_objects
from chalicelib.storage.ports import BlobNotFound, Message, Put
from chalicelib.tasks import MAX_DELAY_S, ExportReport, FinishDeletion, Place, Settle, Task

_log = logging.getLogger(__name__)

BATCH = 25  # messages at a time: what one commit takes of known crashes
_FOLD_EVERY = 24  # batches: a reader adds at most that many deltas a worker and app
_WAIT_S = 0.5  # of one look at an empty queue; a new message ends it at once
_GATHER_S = 0.03  # after a batch that was not full: one commit of many costs less than many
_QUIET_S = 0.05  # without a message, then it is time to fold
_AFTER_FAILURE_S = 1.0  # the store is busy, full or away: do not ask it without a pause
_SWEEP_EVERY_S = 3600.0  # exports that have expired: each look is at all that there are
_PART_FOR_TASKS = 0.25  # of a message's visibility, after which no other task is begun
_CAREFUL_VISIBILITIES = 3  # time in which what killed a worker comes back to it


class Worker:
    """Takes messages, has them processed, and acknowledges what is done.

    A `careful` one, started in the place of one that died, takes single
    messages for a while: should one of them have been what killed it, then it
    takes none of its neighbours along when it comes back.
    """

    def __init__(self, services: Services, *, careful: bool = False) -> None:
        self._services = services
        self._queue = services.queue
        self._resymbolication = Resymbolication(services)
        self._visibility_s = services.settings.visibility_s
        self._unfolded_batches = 0
        self._sweep_at = 0.0
        careful_s = self._visibility_s * _CAREFUL_VISIBILITIES if careful else 0
        self._careful_until = time.monotonic() + careful_s

    def run(self, stopping: Callable[[], bool]) -> None:
        """Work until told to stop; what is under way is finished first."""
        while not stopping():
            try:
                if 0 < self.step(wait_s=_WAIT_S) < BATCH:
                    time.sleep(_GATHER_S)
            except Exception:  # what is not acknowledged comes back
                _log.exception("the store did not do as it was told")
                time.sleep(_AFTER_FAILURE_S)
        self._tidy()

    def step(self, wait_s: float = 0.0) -> int:
        """Process one batch; how many messages it had. Tidies up when there is nothing to do."""
        messages = self._queue.receive(
            1 if time.monotonic() < self._careful_until else BATCH,
            visibility_s=self._visibility_s,
            wait_s=min(wait_s, _QUIET_S) if self._unfolded_batches else wait_s,
        )
        if messages:
            self._process(messages)
            self._unfolded_batches += 1
        if not messages or self._unfolded_batches >= _FOLD_EVERY:
            self._tidy()
        return len(messages)

    def drain(self) -> int:
        """Process until the queue is empty; how many messages that were."""
        total = 0
        while count := self.step():
            total += count
        return total

    def fold_what_was_left(self) -> None:
        """Fold the deltas of every app: a worker that was killed folds its own no more."""
        for app in self._services.accounts.apps():
            self._services.counts.fold_all(app.app_id)

    def _process(self, messages: Sequence[Message]) -> None:
        """Crashes first: a task may take a good part of the time that the messages have."""
        events = [message for message in messages if not tasks.is_task(message.body)]
        if events:
            self._process_events(events)
        self._run_messages([message for message in messages if tasks.is_task(message.body)])

    def _run_messages(self, messages: Sequence[Message]) -> None:
        """Do tasks for a part of the time that the messages are hidden from others. The rest goes
        back, as new messages: what was never tried must not count as given up."""
        until = time.monotonic() + self._visibility_s * _PART_FOR_TASKS
        for number, message in enumerate(messages):
            if number and time.monotonic() > until:
                self._queue.send(message.body)
                self._queue.ack([message])
            else:
                self._run_message(message)

    def _run_message(self, message: Message) -> None:
        """Do the task, or leave it to come back."""
        try:
            task = tasks.decode(message.body)
            if task is not None:
                self._run(task)
        except Exception:
            _log.exception("a task failed: %.200s", message.body)
            return
        self._queue.ack([message])

    def _run(self, task: Task) -> None:
        if isinstance(task, ExportReport):
            self._services.exports.run(task.report_id)
        elif isinstance(task, Place):
            Placing(self._services).run(task)
        elif isinstance(task, FinishDeletion):
            self._services.deletion.finish(task.app_id, task.report_ids)
            self._resymbolication.run(Settle(task.app_id))
        else:
            self._resymbolication.run(task)

    def _process_events(self, messages: Sequence[Message]) -> None:
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
                self._process_events([message])
            return
        self._queue.ack(messages)

    def _tidy(self) -> None:
        self._services.processor.fold()
        self._unfolded_batches = 0
        while given_up := self._queue.dead_letters.receive(BATCH, visibility_s=self._visibility_s):
            for message in given_up:
                self._give_up_message(message)
            self._queue.dead_letters.ack(given_up)
        if time.monotonic() >= self._sweep_at:
            self._services.exports.sweep()
            self._sweep_at = time.monotonic() + _SWEEP_EVERY_S

    def _give_up_message(self, message: Message) -> None:
        if tasks.is_task(message.body):
            task: Task | None = None
            with suppress(FormatError):  # of another version of this service, say, that can read it
                task = tasks.decode(message.body)
            if isinstance(task, ExportReport):
                self._services.exports.give_up(task.report_id, self._given_up)
                return
            # Symbols that came, say: nobody else would ask for it again.
            _log.error("tried again later: %.200s", message.body)
            self._queue.send(message.body, delay_s=MAX_DELAY_S)
            return
        created = created_by(message.body)
        for report_id in report_ids_of(created):
            self._give_up(report_id)
        for entry in created:
            if is_landing(entry.key):
                self._services.landings.give_up(entry.key, self._given_up)

    @property
    def _given_up(self) -> str:
        deliveries = self._services.settings.max_deliveries
        return f"given up after {deliveries} deliveries; the worker's log says why each failed"

    def _give_up(self, report_id: int) -> None:
        """Make a dead letter, which can be listed and replayed, of what the queue gave up."""
        if self._services.table.get(keys.report(report_id)) is not None:
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
