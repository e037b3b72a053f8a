"""Drain the intake queue: what a worker process and the queue's Lambda both run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from chalicelib import clock, keys
from chalicelib.errors import CrashbucketError, FormatError
from chalicelib.processing import Processor
from chalicelib.records import DeadLetter
from chalicelib.storage.events import created_keys
from chalicelib.storage.ports import Message, Put, Queue, Table

_log = logging.getLogger(__name__)

BATCH = 25  # messages at a time: what one commit takes of known crashes
_FOLD_EVERY = 8  # batches: a reader adds at most that many deltas a worker and app
_WAIT_S = 0.5  # of one look at an empty queue; a new message ends it at once


class Worker:
    """Takes messages, has them processed, and acknowledges what is done."""

    def __init__(
        self, queue: Queue, processor: Processor, table: Table, *, visibility_s: int
    ) -> None:
        self._queue = queue
        self._processor = processor
        self._table = table
        self._visibility_s = visibility_s
        self._unfolded_batches = 0

    def run(self, stopping: Callable[[], bool]) -> None:
        """Work until told to stop; what is under way is finished first."""
        while not stopping():
            try:
                if not self.step(wait_s=_WAIT_S):
                    self._bury_given_up()
            except CrashbucketError:  # the store is busy or away: what is not done comes back
                _log.exception("a batch was left to be delivered again")
        self._fold()

    def step(self, wait_s: float = 0.0) -> int:
        """Process one batch; how many messages it had. Folds when there is nothing to do."""
        messages = self._queue.receive(
            BATCH,
            visibility_s=self._visibility_s,
            wait_s=0.0 if self._unfolded_batches else wait_s,
        )
        if not messages:
            self._fold()
            return 0
        self._process(messages)
        self._unfolded_batches += 1
        if self._unfolded_batches >= _FOLD_EVERY:
            self._fold()
        return len(messages)

    def drain(self) -> int:
        """Process until the queue is empty; how many messages that were."""
        total = 0
        while count := self.step():
            total += count
        return total

    def _process(self, messages: Sequence[Message]) -> None:
        try:
            self._processor.process([i for message in messages for i in report_ids(message.body)])
            self._queue.ack(messages)
        except Exception:
            if len(messages) == 1:
                _log.exception("an event failed: %.200s", messages[0].body)
                return  # comes back after its visibility, and ends in the dead letters
            for message in messages:  # one bad event must not hold up the others
                self._process([message])

    def _bury_given_up(self) -> None:
        """Make dead letters, which can be listed and replayed, of events given up by the queue."""
        dead = self._queue.dead_letters
        for message in dead.receive(10):
            for report_id in report_ids(message.body):
                reason = "processing failed each time it was tried; see the worker's log"
                letter = DeadLetter(report_id, reason, clock.to_stored(clock.now()))
                self._table.write([Put(letter.item())])
            dead.ack([message])

    def _fold(self) -> None:
        self._processor.fold()
        self._unfolded_batches = 0


def report_ids(body: str) -> list[int]:
    """The reports whose payloads an event announces; what is not ours is passed over."""
    try:
        created = created_keys(body)
    except FormatError:
        _log.warning("no event of the store: %.200s", body)
        return []
    ids = []
    for key in created:
        try:
            ids.append(keys.report_id_of_raw_blob(key))
        except ValueError:
            _log.warning("not the key of a payload: %.200s", key)
    return ids
