"""What an alert is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class AlertKind(Enum):
    """Why people are told."""

    SPIKE = "spike"
    NEW_GROUP = "new_group"
    REGRESSED_GROUP = "regressed_group"
    CRASH_FREE_DROP = "crash_free_drop"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that people are told, and may acknowledge.

    `subject` is what it is about: `app`, `version:ID` or `group:ID`. Times
    are as stored (`clock.to_stored`). `observed` crashes came in the `minutes`
    before `opened_at`, where the past lets expect `expected_milli` / 1000.
    `key` is the same for the same alert found twice (a tick that ran again), so
    that it opens once. An alert is over at `closed_at`; `acknowledged_at` keeps
    it quiet until then. `alert_id` is given when it opens.

    `group_id` and `version_id` are what it is about; or, with `group_percent`
    and `version_percent`, what makes so much of the increase. People were told
    of the event by another alert where it is `part_of` that one.
    """

    app_id: str
    kind: AlertKind
    subject: str
    key: str
    opened_at: str
    title: str
    observed: int = 0
    expected_milli: int = 0
    minutes: int = 0
    group_id: int | None = None
    version_id: int | None = None
    group_percent: int | None = None
    version_percent: int | None = None
    part_of: int | None = None
    acknowledged_at: str | None = None
    acknowledged_by: str | None = None
    closed_at: str | None = None
    alert_id: int = 0

    @property
    def is_lasting(self) -> bool:
        """Whether it goes on until it is over; the others tell of a moment."""
        return self.kind in _LASTING


_LASTING = frozenset({AlertKind.SPIKE, AlertKind.CRASH_FREE_DROP})
