"""What an owner decided about one app: quota, retention, alerts."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.alerts.model import AlertKind


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
