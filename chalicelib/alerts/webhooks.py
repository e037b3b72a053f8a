"""Webhooks: addresses that are told of alerts, of one app or of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

from chalicelib import clock, keys
from chalicelib.alerts import addresses
from chalicelib.alerts.model import AlertKind
from chalicelib.alerts.signing import secret_of
from chalicelib.config import Settings
from chalicelib.errors import InvalidRequest, NotFound
from chalicelib.ids import IdSource
from chalicelib.storage.ports import (
    ConditionFailed,
    Delete,
    Item,
    Put,
    Table,
    Update,
    Value,
    query_all,
)

KINDS = tuple(kind.value for kind in AlertKind)
MAX_WEBHOOKS = 20  # of an app: each is one more POST for each alert
EVERY_APP = "all"
OF_SETTING = 0  # the id of the one that CRASHBUCKET_ALERT_WEBHOOK sets
_FAILING_AFTER = timedelta(days=2)  # a receiver may be down over a weekend's first days


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address, and what it is told: `kinds` of alerts, of the app or (None) of every app.

    `base_url` is the URL under which this service was reached when it was
    made. Its deliveries have failed, with `failure` the last time, since
    `failing_since`; `switched_off` says why it is not `active`, unless a person
    switched it off.
    """

    webhook_id: int
    url: str
    created_at: str
    app_id: str | None = None
    kinds: Sequence[str] = KINDS
    active: bool = True
    base_url: str | None = None
    failing_since: str | None = None
    failure: str | None = None
    switched_off: str | None = None

    @property
    def state(self) -> str:
        """`active`, `off`, or `failing`: nothing has got there for two days."""
        if not self.active:
            return "off"
        if self.failing_since is None:
            return "active"
        failed_for = clock.now() - clock.from_stored(self.failing_since)
        return "failing" if failed_for > _FAILING_AFTER else "active"

    @property
    def scope(self) -> str:
        return EVERY_APP if self.app_id is None else self.app_id

    def item(self) -> Item:
        key = keys.webhook(self.scope, self.webhook_id)
        values: dict[str, Value] = {each.name: getattr(self, each.name) for each in fields(self)}
        told = {name: value for name, value in values.items() if value is not None}
        return {**told, "pk": key.pk, "sk": key.sk, "kinds": list(self.kinds)}

    @classmethod
    def from_item(cls, item: Item) -> Webhook:
        known: dict[str, Any] = {e.name: item[e.name] for e in fields(cls) if e.name in item}
        return cls(**{**known, "kinds": tuple(known["kinds"])})


class Webhooks:
    """Makes, finds, changes and marks webhooks; `key` is what their secrets are made of."""

    def __init__(
        self, table: Table, ids: IdSource, settings: Settings, key: Callable[[], bytes]
    ) -> None:
        self._table = table
        self._ids = ids
        self._settings = settings
        self._key = key

    def create(
        self,
        url: str,
        *,
        app_id: str | None,
        kinds: Sequence[str] = KINDS,
        active: bool = True,
        base_url: str | None = None,
    ) -> Webhook:
        """A new one, for all apps without `app_id`. Raises `InvalidRequest`."""
        self._check(url, kinds)
        if len(self.listed(app_id)) >= MAX_WEBHOOKS:
            raise InvalidRequest({"webhooks": [f"there may be {MAX_WEBHOOKS} at most"]})
        made = Webhook(
            self._ids.next(),
            url,
            clock.to_stored(clock.now()),
            app_id,
            tuple(dict.fromkeys(kinds)),
            active,
            base_url,
        )
        self._table.write([Put(made.item(), if_absent=True)])
        return made

    def secret(self, webhook: Webhook) -> str:
        """What the webhook's posts are signed with."""
        return secret_of(self._key(), webhook.webhook_id)

    def listed(self, app_id: str | None) -> list[Webhook]:
        """Those of the app alone, or those of every app; oldest first."""
        pk = keys.webhook(EVERY_APP if app_id is None else app_id, 0).pk
        return [Webhook.from_item(item) for item in query_all(self._table, pk)]

    def every(self, app_id: str) -> list[Webhook]:
        """All that are told of the app's alerts, if they are active and want to."""
        of_setting = self._of_setting()
        return [*self.listed(app_id), *self.listed(None), *([of_setting] if of_setting else [])]

    def wanting(self, app_id: str, kind: AlertKind) -> list[Webhook]:
        return [hook for hook in self.every(app_id) if hook.active and kind.value in hook.kinds]

    def find(self, app_id: str, webhook_id: int) -> Webhook | None:
        """One of those that are told of the app's alerts."""
        if webhook_id == OF_SETTING:
            return self._of_setting()
        for scope in (app_id, EVERY_APP):
            item = self._table.get(keys.webhook(scope, webhook_id))
            if item is not None:
                return Webhook.from_item(item)
        return None

    def known(self, app_id: str | None, webhook_id: int) -> Webhook:
        """As `webhook`, and that of the setting. Raises `NotFound`."""
        of_setting = self._of_setting() if webhook_id == OF_SETTING else None
        return of_setting or self.webhook(app_id, webhook_id)

    def webhook(self, app_id: str | None, webhook_id: int) -> Webhook:
        """One of the app alone, or of every app. Raises `NotFound`."""
        scope = EVERY_APP if app_id is None else app_id
        item = self._table.get(keys.webhook(scope, webhook_id))
        if item is None:
            raise NotFound("webhook", str(webhook_id))
        return Webhook.from_item(item)

    def change(
        self,
        webhook: Webhook,
        *,
        url: str | None = None,
        kinds: Sequence[str] | None = None,
        active: bool | None = None,
    ) -> Webhook:
        """What is None stays. What had failed is forgotten; the secret is the same.

        Raises `InvalidRequest`, or `NotFound` where it was deleted meanwhile.
        """
        changed = replace(
            webhook,
            url=webhook.url if url is None else url,
            kinds=tuple(dict.fromkeys(webhook.kinds if kinds is None else kinds)),
            active=webhook.active if active is None else active,
            failing_since=None,
            failure=None,
            switched_off=None if active is not None else webhook.switched_off,
        )
        self._check(url, changed.kinds)
        self._update(changed, ("url", "kinds", "active", "switched_off", *_FAILURE))
        return self.webhook(changed.app_id, changed.webhook_id)

    def delete(self, webhook: Webhook) -> None:
        self._table.write([Delete(keys.webhook(webhook.scope, webhook.webhook_id))])

    # --- marks ---

    def has_worked(self, webhook: Webhook) -> None:
        if webhook.failing_since is not None:
            self._mark(replace(webhook, failing_since=None, failure=None), _FAILURE)

    def has_failed(self, webhook: Webhook, problem: str) -> None:
        since = webhook.failing_since or clock.to_stored(clock.now())
        self._mark(replace(webhook, failing_since=since, failure=problem), _FAILURE)

    def switch_off(self, webhook: Webhook, reason: str) -> None:
        """Its receiver wants no more."""
        self._mark(replace(webhook, active=False, switched_off=reason), ("active", "switched_off"))

    def _mark(self, webhook: Webhook, names: Sequence[str]) -> None:
        """Write only what is meant: a person may have changed the rest during the delivery."""
        if webhook.webhook_id == OF_SETTING:
            return  # there is no item of it
        with suppress(NotFound):
            self._update(webhook, names)

    def _update(self, webhook: Webhook, names: Sequence[str]) -> None:
        item = webhook.item()
        update = Update(
            keys.webhook(webhook.scope, webhook.webhook_id),
            set={name: item[name] for name in names if name in item},
            remove=tuple(name for name in names if name not in item),
            must_exist=True,
        )
        try:
            self._table.write([update])
        except ConditionFailed as error:
            raise NotFound("webhook", str(webhook.webhook_id)) from error

    def _of_setting(self) -> Webhook | None:
        url = self._settings.alert_webhook
        return Webhook(OF_SETTING, url, "2020-01-01T00:00:00.000000Z") if url else None

    def _check(self, url: str | None, kinds: Sequence[str]) -> None:
        wrong: dict[str, list[str]] = {}
        try:
            if url is not None:
                addresses.check(url, allow_private=bool(self._settings.allow_private_webhooks))
        except addresses.WrongAddress as error:
            wrong["url"] = [str(error)]
        if not kinds or any(kind not in KINDS for kind in kinds):
            wrong["kinds"] = [f"must be some of {', '.join(KINDS)}"]
        if wrong:
            raise InvalidRequest(wrong)


_FAILURE = ("failing_since", "failure")
