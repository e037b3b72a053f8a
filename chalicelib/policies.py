"""What an owner decided about one app: quota, retention, alerts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

from chalicelib import keys
from chalicelib.alerts.model import AlertKind
from chalicelib.config import Settings
from chalicelib.errors import InvalidRequest
from chalicelib.storage.ports import Item, Table, Update, Value
from chalicelib.ttl_cache import TtlCache

_KNOWN_POLICY_S = 5.0  # how long a process may go on with a policy as it was

MAX_RETENTION_DAYS = 36_500
MAX_A_MINUTE = 1_000_000_000
MIN_SPIKE_PERCENT, MAX_SPIKE_PERCENT = 101, 100_000
MAX_SPIKE_FLOOR = 1_000_000

# Of each number that may be decided: the least and the largest one, and whether 0 is one too.
BOUNDS: Mapping[str, tuple[int, int, bool]] = {
    "retention_days": (1, MAX_RETENTION_DAYS, True),
    "stored_per_minute": (1, MAX_A_MINUTE, True),
    "refused_above_per_minute": (1, MAX_A_MINUTE, True),
    "spike_percent": (MIN_SPIKE_PERCENT, MAX_SPIKE_PERCENT, False),
    "spike_floor": (1, MAX_SPIKE_FLOOR, False),
}
QUOTAS = frozenset({"stored_per_minute", "refused_above_per_minute"})
RETENTION = "retention_days"
ALERTS = "alerts"
ALERT_KINDS = tuple(kind.value for kind in AlertKind)


@dataclass(frozen=True, slots=True)
class AppPolicy:
    """The decisions that hold for an app; those nobody made are the service's settings.

    `retention_days` None: kept for ever. `stored_per_minute` None: every
    report is kept; else those above it are counted, and a sample of them kept.
    `refused_above_per_minute` None: none is refused. A spike is `spike_percent`
    of what was to be expected, and at least `spike_floor` crashes in its window.
    """

    retention_days: int | None = None
    stored_per_minute: int | None = 6000
    refused_above_per_minute: int | None = None
    alerts: frozenset[AlertKind] = frozenset(AlertKind)
    spike_percent: int = 200
    spike_floor: int = 20


NAMES = tuple(field.name for field in fields(AppPolicy))


def default_policy(settings: Settings) -> AppPolicy:
    """What holds for an app about which nobody decided anything."""
    return AppPolicy(
        retention_days=settings.retention_days or None,
        stored_per_minute=settings.stored_per_minute or None,
        refused_above_per_minute=settings.refused_above_per_minute or None,
    )


class Policies:
    """Reads and changes what was decided about apps; a process sees a change after some seconds."""

    def __init__(
        self,
        table: Table,
        defaults: AppPolicy,
        changed: Callable[[str], object] = lambda _: None,
        now: Callable[[], float] | None = None,
    ) -> None:
        """`changed` is told the app whose item is another one now."""
        self._table = table
        self._changed = changed
        self._defaults = defaults
        self._known: TtlCache[str, AppPolicy] = TtlCache(_KNOWN_POLICY_S, now)

    def of(self, app_id: str) -> AppPolicy:
        """What holds for an app, as it was some seconds ago at the most."""
        known = self._known.get(app_id)
        if known is None:
            known = self._effective(self.decided(app_id))
            self._known.put(app_id, known)
        return known

    def decided(self, app_id: str) -> dict[str, Value]:
        """What was decided about the app, by name, as it is stored (0: without a limit)."""
        item = self._table.get(keys.policy(app_id)) or {}
        return {name: item[name] for name in NAMES if name in item}

    def now(self, app_id: str) -> tuple[AppPolicy, dict[str, Value]]:
        """What holds at this moment, and what of it was decided for this app."""
        decided = self.decided(app_id)
        return self._effective(decided), decided

    def change(self, app_id: str, changes: Mapping[str, object]) -> AppPolicy:
        """Decide what is named; None goes back to the default. What holds then.

        Numbers are whole, 0 is no limit; `alerts` is a list of the names of
        kinds. Raises `InvalidRequest` naming each field that cannot be.
        """
        checked = checked_changes(changes)
        values = {name: value for name, value in checked.items() if value is not None}
        removed = tuple(name for name, value in checked.items() if value is None)
        if checked:
            writes = [Update(keys.policy(app_id), set=values, remove=removed)]
            if QUOTAS & checked.keys():
                writes.append(_on_app(app_id, values, removed))
            if RETENTION in checked:
                writes.append(_on_list(app_id, checked[RETENTION]))
            self._table.write(writes)
            self._changed(app_id)
        found = self._effective(self.decided(app_id))
        self._known.put(app_id, found)
        return found

    def _effective(self, decided: Item) -> AppPolicy:
        values: dict[str, Any] = {name: getattr(self._defaults, name) for name in NAMES}
        for name, value in decided.items():
            if name == ALERTS:
                told = set(cast(Sequence[str], value))
                values[name] = frozenset(kind for kind in AlertKind if kind.value in told)
            else:
                values[name] = value or None
        return AppPolicy(**values)


def _on_app(app_id: str, values: Mapping[str, Value], removed: Sequence[str]) -> Update:
    """Quotas stand in the app's own item too, which is read with every crash."""
    return Update(
        keys.app(app_id),
        set={name: value for name, value in values.items() if name in QUOTAS},
        remove=tuple(name for name in removed if name in QUOTAS),
        must_exist=True,
    )


def _on_list(app_id: str, days: Value) -> Update:
    """So that who looks at every app knows how long its reports are kept."""
    return Update(
        keys.apps_entry(app_id),
        set={} if days is None else {RETENTION: days},
        remove=(RETENTION,) if days is None else (),
        must_exist=True,
    )


def checked_changes(changes: Mapping[str, object]) -> dict[str, Value]:
    """The changes as they are stored; raises `InvalidRequest` with a message for each field."""
    wrong: dict[str, list[str]] = {}
    checked: dict[str, Value] = {}
    for name, value in changes.items():
        problem: str | None = None
        if name not in NAMES:
            problem = f"is none of {', '.join(NAMES)}"
        elif value is None:
            checked[name] = None
        elif name == ALERTS:
            problem = _wrong_alerts(value)
            if problem is None:
                checked[name] = sorted({str(kind) for kind in cast(Sequence[object], value)})
        else:
            problem = _wrong_number(value, *BOUNDS[name])
            if problem is None:
                checked[name] = cast(int, value)
        if problem is not None:
            wrong[name[:100]] = [problem]
    if wrong:
        raise InvalidRequest(wrong)
    return checked


def _wrong_number(value: object, least: int, largest: int, may_be_zero: bool) -> str | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole and (least <= cast(int, value) <= largest or (may_be_zero and value == 0)):
        return None
    no_limit = ", 0 (no limit)" if may_be_zero else ""
    return f"must be a whole number from {least} to {largest}{no_limit}, or null (the default)"


def _wrong_alerts(value: object) -> str | None:
    is_list = isinstance(value, list | tuple)
    if is_list and all(kind in ALERT_KINDS for kind in cast(Sequence[object], value)):
        return None
    return f"must be a list of {', '.join(ALERT_KINDS)}, or null (the default)"


def told_policy(policy: AppPolicy) -> dict[str, Any]:
    """The policy for people and programs: what has no limit is 0."""
    told: dict[str, Any] = {name: getattr(policy, name) or 0 for name in BOUNDS}
    return {**told, ALERTS: sorted(kind.value for kind in policy.alerts)}
