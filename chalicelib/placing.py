"""What a decision about groups asks of the workers: bring over what is there, a part at a time.

A decision holds at once for who reads by id; the crashes that are there follow
in the background, and each counts where it is at the moment. One round does
it, but crashes that were in work when it was decided come to where they would
have gone before, and may have led a stack there. So there are three more: the
first one leads every stack and bucket; when the second begins, no crash is in
work that knew other ways, so none is led astray after it; and when the third
begins, none that was is still in work, so it brings the last ones over. They
are sent for before anything is decided: whoever stops in between, it is done.
"""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import islice

from chalicelib.bootstrap import Services
from chalicelib.placement import Placement
from chalicelib.tasks import Place, Settle, Task, encode, settled_s, work_s

LAST_ROUND = 3

_PART = 200  # reports between two looks at the clock


def announce(services: Services, task: Place) -> None:
    """Have the rounds done that need time; to be sent before what they follow is written."""
    _send(services, replace(task, round=1), later=True)


def begin(services: Services, task: Place) -> None:
    """Have what is there brought over now."""
    _send(services, replace(task, round=0))


def _send(services: Services, task: Task, *, later: bool = False) -> None:
    delay_s = settled_s(services.settings.visibility_s) if later else 0
    services.queue.send(encode(task), delay_s=delay_s)


class Placing:
    """Does the rounds. Doing one again, or in another order, changes nothing that is right."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._work_s = work_s(services.settings.visibility_s)

    def run(self, task: Place) -> None:
        until = time.monotonic() + self._work_s
        placement = Placement(self._services, task.app_id)
        if not task.after:
            placement.lead_buckets(task.subject)
            placement.lead(task.group_id)
        since = f"{task.after}\0" if task.after else None
        reports = self._services.crashes.oldest_first(task.group_id, since)
        while part := list(islice(reports, _PART)):
            placement.move(part)
            if time.monotonic() > until:
                self._fold(task)
                _send(self._services, replace(task, after=part[-1].place))
                return
        self._fold(task)
        if 0 < task.round < LAST_ROUND:
            _send(self._services, replace(task, round=task.round + 1, after=""), later=True)
        elif task.round == LAST_ROUND:
            _send(self._services, Settle(task.app_id), later=True)

    def _fold(self, task: Place) -> None:
        self._services.counts.fold_all(task.app_id)
