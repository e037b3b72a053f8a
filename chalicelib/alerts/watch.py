"""When a spike opens an alert and when it is over: once each, without flapping.

A pure state machine, fed once a minute. It opens with the first spiking verdict
and closes when the rate was calm for half an hour. For some hours after that
only a clearly higher rate opens it again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from chalicelib.alerts.spikes import Verdict

CALM_PERCENT = 150  # of the expected: below it a minute is calm
CALM_SCORE = 2.0  # deviations: below it, more than that is chance
CALM_MINUTES = 30
COOL_DOWN_MINUTES = 3 * 60
_HIGHER_PERCENT = 150  # of the last spike's height: what opens it again while it cools down


class Event(Enum):
    """What a minute changed."""

    OPENED = "opened"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered of a series from minute to minute, in integers; minutes since the epoch.

    `opened` is set while a spike lasts, `closed` once one is over; `calm_since`
    is the first of the calm minutes while it lasts. `peak_percent` is the
    highest share of the expected that the last spike reached, `last` the last
    minute looked at. A series without a past is `Watch()`, and one that is
    `idle` need not be stored.
    """

    opened: int | None = None
    calm_since: int | None = None
    closed: int | None = None
    peak_percent: int = 0
    last: int = 0

    def idle(self, now: int) -> bool:
        """Nothing to remember: as good as `Watch()`."""
        cooled = self.closed is None or now - self.closed >= COOL_DOWN_MINUTES
        return self.opened is None and cooled


def step(watch: Watch, verdict: Verdict, now: int) -> tuple[Watch, Event | None]:
    """The state after the minute `now`, and what it changed.

    A minute that was looked at before changes nothing: ticks may come twice.
    """
    if now <= watch.last:
        return watch, None
    watch = replace(watch, last=now)
    percent = percent_of_expected(verdict)
    if watch.opened is None:
        return _while_closed(watch, verdict, percent, now)
    watch = replace(watch, peak_percent=max(watch.peak_percent, percent))
    if not _is_calm(verdict, percent):
        return replace(watch, calm_since=None), None
    if watch.calm_since is None:
        return replace(watch, calm_since=now), None
    if now - watch.calm_since < CALM_MINUTES:
        return watch, None
    return replace(watch, opened=None, calm_since=None, closed=now), Event.CLOSED


def _is_calm(verdict: Verdict, percent: int) -> bool:
    if verdict.is_spike:
        return False
    return percent < CALM_PERCENT or verdict.score < CALM_SCORE


def percent_of_expected(verdict: Verdict) -> int:
    """100: as expected."""
    return round(100 * verdict.observed / max(verdict.expected, 1.0))


def _while_closed(
    watch: Watch, verdict: Verdict, percent: int, now: int
) -> tuple[Watch, Event | None]:
    if not verdict.is_spike:
        return watch, None
    cooling = watch.closed is not None and now - watch.closed < COOL_DOWN_MINUTES
    if cooling and percent * 100 < watch.peak_percent * _HIGHER_PERCENT:
        return watch, None
    return Watch(opened=now, peak_percent=percent, last=now), Event.OPENED
