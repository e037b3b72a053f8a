"""How far the telling of each alert to each receiver is: one item for each, so told once.

A receiver is a webhook, by its id, or `topic`. The item says when the next
attempt is due, and whoever makes it moves that moment on first, on condition
that nobody else has. So of two messages one makes the attempt, and the
attempt of a process that died is made again later.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from chalicelib import clock, keys
from chalicelib.alerts.book import KEPT
from chalicelib.storage.ports import (
    EXPIRES_AT,
    ConditionFailed,
    Delete,
    Item,
    Operation,
    Put,
    Table,
    Update,
    Value,
    query_all,
)

TOPIC = "topic"
WAITING, DELIVERED, QUIET, GONE, GIVEN_UP = "waiting", "delivered", "quiet", "gone", "given_up"
LEASE = timedelta(seconds=40)  # an attempt takes 10 seconds, and the look-up of a name


@dataclass(frozen=True, slots=True)
class Attempt:
    """The notification of one alert for one receiver; `due` is in milliseconds since 1970.

    `state`: `waiting`; `delivered`; `quiet` (acknowledged before it got there);
    `gone` (the receiver wants no more); `given_up` after `tries`, the last of
    which came to `problem`.
    """

    app_id: str
    alert_id: int
    receiver: str
    due: int
    state: str = WAITING
    tries: int = 0
    at: str | None = None
    problem: str | None = None


class Attempts:
    """Begins, claims and ends attempts; lists those that were given up."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def begin(self, app_id: str, alert_id: int, receiver: str) -> None:
        """Unless it was begun before."""
        now = clock.now()
        made = Attempt(app_id, alert_id, receiver, _ms(now))
        forgotten: dict[str, Value] = {EXPIRES_AT: int((now + KEPT).timestamp())}
        with suppress(ConditionFailed):
            self._table.write([Put(_item(made) | forgotten, if_absent=True)])

    def find(self, app_id: str, alert_id: int, receiver: str) -> Attempt | None:
        item = self._table.get(keys.delivery(app_id, alert_id, receiver))
        return _from_item(item) if item is not None else None

    def claim(self, attempt: Attempt) -> Attempt | None:
        """The attempt, once it is this process's to make; None: another one makes it."""
        now = clock.now()
        claimed = replace(
            attempt,
            due=_ms(now + LEASE),
            tries=attempt.tries + 1,
            at=clock.to_stored(now),
        )
        return claimed if self._write(claimed, attempt) else None

    def end(self, attempt: Attempt, state: str, problem: str | None = None) -> bool:
        """There is no further one. False: another process has gone on with it meanwhile."""
        return self._write(replace(attempt, state=state, problem=problem), attempt)

    def retry(self, attempt: Attempt, after: timedelta, problem: str) -> bool:
        due = _ms(clock.now() + after)
        return self._write(replace(attempt, due=due, problem=problem), attempt)

    def give_up(self, attempt: Attempt, problem: str) -> bool:
        """List it among what nobody got."""
        ended = replace(attempt, state=GIVEN_UP, problem=problem)
        key = keys.undelivered(attempt.app_id, attempt.alert_id, attempt.receiver)
        listed = {**_values(ended), "pk": key.pk, "sk": key.sk}
        listed[EXPIRES_AT] = int((clock.now() + KEPT).timestamp())
        return self._write(ended, attempt, Put(listed))

    def undelivered(self, app_id: str) -> list[Attempt]:
        """What was given up of an app's alerts, oldest alert first."""
        pk = keys.undelivered(app_id, 0, "").pk
        return [_from_item(item) for item in query_all(self._table, pk)]

    def begin_again(self, attempt: Attempt, also: Iterable[Operation]) -> bool:
        """From the first try on; False where it is not given up any more. `also` is written in
        the same batch."""
        again = replace(attempt, state=WAITING, tries=0, due=_ms(clock.now()))
        listed = keys.undelivered(attempt.app_id, attempt.alert_id, attempt.receiver)
        return self._write(again, attempt, Delete(listed), *also)

    def _write(self, after: Attempt, before: Attempt, *also: Operation) -> bool:
        values = _values(after)
        names = [each.name for each in fields(Attempt)]
        update = Update(
            keys.delivery(before.app_id, before.alert_id, before.receiver),
            set=values,
            remove=tuple(name for name in names if name not in values),
            require={"state": before.state, "due": before.due, "tries": before.tries},
            must_exist=True,
        )
        try:
            self._table.write([update, *also])
        except ConditionFailed:
            return False
        return True


def left_ms(attempt: Attempt) -> int:
    """How long it is until the attempt is due."""
    return attempt.due - _ms(clock.now())


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _values(attempt: Attempt) -> dict[str, Value]:
    values: dict[str, Value] = {e.name: getattr(attempt, e.name) for e in fields(attempt)}
    return {name: value for name, value in values.items() if value is not None}


def _item(attempt: Attempt) -> dict[str, Value]:
    key = keys.delivery(attempt.app_id, attempt.alert_id, attempt.receiver)
    return {**_values(attempt), "pk": key.pk, "sk": key.sk}


def _from_item(item: Item) -> Attempt:
    known: dict[str, Any] = {e.name: item[e.name] for e in fields(Attempt) if e.name in item}
    return Attempt(**known)
