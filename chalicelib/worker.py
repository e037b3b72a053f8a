"""Drain the intake queue: what a worker process of the embedded server runs."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from typing import TypeAlias

from chalicelib.bootstrap import Services
from chalicelib.deliveries import Deliveries
from chalicelib.tasks import BATCH

_log = logging.getLogger(__name__)

_FOLD_EVERY = 24  # batches: a reader adds at most that many deltas a worker and app
_WAIT_S = 0.5  # of one look at an empty queue; a new message ends it at once
_GATHER_S = 0.03  # after a batch that was not full: one commit of many costs less than many
_QUIET_S = 0.05  # without a message, then it is time to fold
_AFTER_FAILURE_S = 1.0  # the store is busy, full or away: do not ask it without a pause
_PART_FOR_TASKS = 0.25  # of a message's visibility, after which no other task is begun
_CAREFUL_VISIBILITIES = 3  # time in which what killed a worker comes back to it

_Chance: TypeAlias = Callable[[int], int]
"""A whole number from 0 to below the one given."""


class Worker:
    """Takes messages, has them processed, and acknowledges what is done.

    A `careful` one, started in the place of one that died, takes single
    messages for a while: should one of them have been what killed it, then it
    takes none of its neighbours along when it comes back.
    """

    def __init__(
        self, services: Services, *, careful: bool = False, chance: _Chance = secrets.randbelow
    ) -> None:
        self._services = services
        self._queue = services.queue
        self._deliveries = Deliveries(services)
        self._visibility_s = services.settings.visibility_s
        self._chance = chance
        self._unfolded_batches = 0
        self._fold_after = self._first_fold()
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
            tasks_until = time.monotonic() + self._visibility_s * _PART_FOR_TASKS
            self._deliveries.process(messages, self._queue.ack, tasks_until=tasks_until)
            self._unfolded_batches += 1
        if not messages:
            self._tidy()
            self._fold_after = self._first_fold()
        elif self._unfolded_batches >= self._fold_after:
            self._tidy()
            self._fold_after = _FOLD_EVERY
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

    def _first_fold(self) -> int:
        """After how many batches: workers that begin at one moment do not all fold at another."""
        return _FOLD_EVERY - self._chance(_FOLD_EVERY)

    def _tidy(self) -> None:
        self._services.processor.fold()
        self._unfolded_batches = 0
        dead_letters = self._queue.dead_letters
        while given_up := dead_letters.receive(BATCH, visibility_s=self._visibility_s):
            for message in given_up:
                self._deliveries.give_up(message.body)
            dead_letters.ack(given_up)
