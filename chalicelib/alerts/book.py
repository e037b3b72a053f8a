"""The alerts of each app: opened once, told of, acknowledged, over."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from datetime import timedelta
from itertools import islice
from typing import Any, cast

from chalicelib import clock, keys
from chalicelib.alerts.messages import Tell, encode
from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.alerts.outbox import Outbox, Waiting
from chalicelib.errors import NotFound
from chalicelib.ids import IdSource
from chalicelib.metrics import Metric, Metrics
from chalicelib.queries.paging import MAX_PAGES, PER_PAGE_CHOICES, Listing, Paging, cut
from chalicelib.storage.ports import (
    EXPIRES_AT,
    ConditionFailed,
    Delete,
    Item,
    Key,
    Operation,
    Put,
    Table,
    Update,
    Value,
    get_all,
    query_all,
)

_log = logging.getLogger(__name__)

KEPT = timedelta(days=90)  # after an alert is over
_MAX_LISTED = MAX_PAGES * PER_PAGE_CHOICES[-1]  # what the pages of a list reach
_TRIES = 10  # ids that another process made at the same moment
_TAKEN_ID = 1  # of the operations: where a second alert of an id is refused


class AlertBook:
    """Opens, closes, acknowledges and lists alerts."""

    def __init__(self, table: Table, ids: IdSource, outbox: Outbox, metrics: Metrics) -> None:
        self._table = table
        self._ids = ids
        self._outbox = outbox
        self._metrics = metrics

    def open(self, alert: Alert, also: Sequence[Operation] = ()) -> bool:
        """Write the alert and have people told of it, unless it is a part of what they were told;
        False where its `key` was there before, or something that is written `also`, in the same
        batch, was not as required."""
        for _ in range(_TRIES):
            made = replace(alert, alert_id=self._ids.next())
            message = self._outbox.message(encode(Tell(made.app_id, made.alert_id)))
            is_told = made.part_of is None
            try:
                self._table.write([*_opening(made), *also, *([message.put()] if is_told else ())])
            except ConditionFailed as failed:
                if any(index != _TAKEN_ID for index in failed.indexes):
                    return False
                continue
            if is_told:
                self._send(message, made)
            return True
        raise AssertionError("every id was taken")

    def close(self, app_id: str, key: str) -> bool:
        """The alert is over; False where there is none of that key, or it was over before."""
        pointer = self._table.get(keys.alert_by_key(app_id, key))
        if pointer is None:
            return False
        return self._end(app_id, cast(int, pointer["alert_id"]), key, {})

    def acknowledge(self, app_id: str, alert_id: int, by: str) -> Alert:
        """Somebody looks after it: no more is told of it. The first one to say so stays.

        An alert that tells of a moment is over with that. Raises `NotFound`.
        """
        alert = self.alert(app_id, alert_id)
        said: dict[str, Value] = {
            "acknowledged_at": clock.to_stored(clock.now()),
            "acknowledged_by": by,
        }
        if not alert.is_lasting and alert.closed_at is None:
            self._end(app_id, alert_id, alert.key, said)
        else:
            update = Update(
                keys.alert(app_id, alert_id),
                set=said,
                require={"acknowledged_at": None},
                must_exist=True,
            )
            with suppress(ConditionFailed):
                self._table.write([update])
        return self.alert(app_id, alert_id)

    def alert(self, app_id: str, alert_id: int) -> Alert:
        """Raises `NotFound`."""
        found = self.find(app_id, alert_id)
        if found is None:
            raise NotFound("alert", str(alert_id))
        return found

    def find(self, app_id: str, alert_id: int) -> Alert | None:
        item = self._table.get(keys.alert(app_id, alert_id))
        return _from_item(item) if item is not None else None

    def opened(self, app_id: str, wanted: Iterable[str]) -> Sequence[Alert]:
        """Those of the keys wanted that are not over."""
        pointers = get_all(self._table, (keys.alert_by_key(app_id, key) for key in wanted))
        ids = [cast(int, pointer["alert_id"]) for pointer in pointers.values()]
        found = get_all(self._table, (keys.alert(app_id, alert_id) for alert_id in ids))
        alerts = map(_from_item, found.values())
        return [alert for alert in alerts if alert.closed_at is None]

    def list(self, app_id: str, *, open_only: bool, paging: Paging) -> Listing[Alert]:
        """An app's alerts, the newest first; of very many the newest ones."""
        if not open_only:
            return cut([*islice(self._all(app_id), _MAX_LISTED)], paging)
        pointers = query_all(self._table, keys.open_alert(app_id, 0).pk, descending=True)
        listed = cut([cast(int, item["alert_id"]) for item in pointers], paging)
        wanted = [keys.alert(app_id, alert_id) for alert_id in listed.entries]
        found = get_all(self._table, wanted)
        alerts = tuple(_from_item(found[key]) for key in wanted if key in found)
        return Listing(alerts, listed.total_entries, paging)

    def _all(self, app_id: str) -> Iterator[Alert]:
        pk = keys.alert(app_id, 0).pk
        return map(_from_item, query_all(self._table, pk, descending=True))

    def _send(self, message: Waiting, alert: Alert) -> None:
        self._metrics.count(Metric.ALERTS, app_id=alert.app_id)
        try:
            self._outbox.send(message)
        except Exception:  # it is written: the sweep sends it
            _log.exception("alert %d is told of later", alert.alert_id)

    def _end(self, app_id: str, alert_id: int, key: str, said: dict[str, Value]) -> bool:
        now = clock.now()
        forgotten = int((now + KEPT).timestamp())
        place = keys.alert(app_id, alert_id)
        ended: list[Operation] = [
            Update(
                place,
                set={"closed_at": clock.to_stored(now), EXPIRES_AT: forgotten, **said},
                require={"closed_at": None},
                must_exist=True,
            ),
            Update(keys.alert_by_key(app_id, key), set={EXPIRES_AT: forgotten}, must_exist=True),
            Delete(keys.open_alert(app_id, alert_id)),
        ]
        try:
            self._table.write(ended)
        except ConditionFailed:
            return False
        return True


def _opening(alert: Alert) -> list[Operation]:
    """The alert's items; the first one is what there can be only one of."""
    forgotten: dict[str, Value] = {}
    if not alert.is_lasting or alert.closed_at is not None:
        forgotten[EXPIRES_AT] = int((clock.now() + KEPT).timestamp())
    place = keys.alert(alert.app_id, alert.alert_id)
    pointer: dict[str, Value] = {"alert_id": alert.alert_id, **forgotten}
    by_key = keys.alert_by_key(alert.app_id, alert.key)
    operations: list[Operation] = [
        Put(_placed(by_key, pointer), if_absent=True),
        Put(_placed(place, {**_attributes(alert), **forgotten}), if_absent=True),
    ]
    if alert.closed_at is None:
        operations.append(Put(_placed(keys.open_alert(alert.app_id, alert.alert_id), pointer)))
    return operations


def _placed(key: Key, attributes: dict[str, Value]) -> Item:
    return {"pk": key.pk, "sk": key.sk, **attributes}


def _attributes(alert: Alert) -> dict[str, Value]:
    values = {each.name: getattr(alert, each.name) for each in fields(alert)}
    values["kind"] = alert.kind.value
    return {name: value for name, value in values.items() if value is not None}


def _from_item(item: Item) -> Alert:
    known: dict[str, Any] = {e.name: item[e.name] for e in fields(Alert) if e.name in item}
    return Alert(**{**known, "kind": AlertKind(known["kind"])})
