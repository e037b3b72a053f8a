"""An alert as JSON: what the API answers, and what webhooks carry."""

from __future__ import annotations

from typing import Any

from chalicelib import clock
from chalicelib.alerts.model import Alert


def alert(entry: Alert) -> dict[str, Any]:
    """`observed` crashes in `minutes`, where `expected` ones were to be expected. A percentage is
    what the group or the version makes of the increase."""
    return {
        "id": entry.alert_id,
        "kind": entry.kind.value,
        "subject": entry.subject,
        "title": entry.title,
        "state": "open" if entry.closed_at is None else "closed",
        "observed": entry.observed,
        "expected": entry.expected_milli / 1000,
        "minutes": entry.minutes,
        "crash_reason_id": entry.group_id,
        "crash_reason_percent": entry.group_percent,
        "app_version_id": entry.version_id,
        "app_version_percent": entry.version_percent,
        "part_of": entry.part_of,
        "opened_at": clock.stored_to_wire(entry.opened_at),
        "closed_at": _moment(entry.closed_at),
        "acknowledged_at": _moment(entry.acknowledged_at),
        "acknowledged_by": entry.acknowledged_by,
    }


def _moment(stored: str | None) -> str | None:
    return clock.stored_to_wire(stored) if stored else None
