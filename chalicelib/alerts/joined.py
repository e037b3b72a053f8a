"""One event, one message: what a spike mostly is, and whether people were told of it already.

A group that spikes makes its app and a version spike, each at its own minute.
Shares are of an *increase*: what a window has above the rate of the hour
before it, which the log of the last two hours tells of everything in an app
alike, so that those of an app's groups add up to the app's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from chalicelib import clock
from chalicelib.alerts.baseline import MINUTES
from chalicelib.alerts.lately import APP, Series
from chalicelib.alerts.model import Alert, AlertKind

MOST = 0.6  # of an increase: what makes as much of it is what it mostly is
_TOGETHER = timedelta(minutes=15)  # parts of one event pass their thresholds one after the other


@dataclass(frozen=True, slots=True)
class Cause:
    """What makes most of an increase: the id of a group or of a version, and its share."""

    identifier: int
    percent: int


@dataclass(frozen=True, slots=True)
class Window:
    """The minutes that an alert opened for: so many, the last of them `last` (since the epoch)."""

    series: Series
    last: int
    minutes: int

    def increase(self, subject: str) -> float:
        """Crashes in the window above the rate of the hour before it."""
        counts = self.series.counts.get(subject)
        if counts is None:
            return 0.0
        end = max(0, self.last - self.series.first + 1)
        begin = max(0, end - self.minutes)
        before = counts[max(0, begin - MINUTES) : begin]
        usual = sum(before) / len(before) if before else 0.0
        return sum(counts[begin:end]) - usual * (end - begin)

    def share(self, subjects: Iterable[str], whole: str) -> float:
        """Of the increase of `whole`, at most what these, which have nothing in common, make."""
        increase = self.increase(whole)
        if increase <= 0:
            return 0.0
        return sum(max(0.0, self.increase(subject)) for subject in subjects) / increase

    def cause(self, kind: str) -> Cause | None:
        """The version, or the group, that makes most of the app's increase."""
        whole = self.increase(APP)
        of_kind = self.series.subjects(kind)
        most = max(((self.increase(name), number) for name, number in of_kind), default=(0.0, 0))
        if whole <= 0 or most[0] < MOST * whole:
            return None
        return Cause(most[1], min(100, round(100 * most[0] / whole)))


def part_of(alert: Alert, told: Sequence[Alert], window: Window) -> Alert | None:
    """The alert that told people of this one's event; None: they do not know of it yet.

    `told` are those that are open and that people were told of.
    """
    of_kind = [other for other in told if other.kind is alert.kind]
    of_app = next((other for other in of_kind if other.subject == APP), None)
    if of_app is not None and _is_within(alert, of_app, window):
        return of_app
    if alert.kind is not AlertKind.SPIKE:
        return None
    for kind in ("group:", "version:"):
        if alert.subject.startswith(kind):  # groups have no crash in common, and versions neither
            continue
        known = [other for other in of_kind if other.subject.startswith(kind)]
        if known and window.share([it.subject for it in known], alert.subject) >= MOST:
            return max(known, key=lambda other: window.increase(other.subject))
    return None


def _is_within(alert: Alert, of_app: Alert, window: Window) -> bool:
    """Whether a version or a group is what people know by the app's alert.

    Not where it is most of what the app has more now, long after they were
    told of something else.
    """
    named = {alert.group_id, alert.version_id} & {of_app.group_id, of_app.version_id} - {None}
    if named:
        return True
    since = clock.from_stored(alert.opened_at) - clock.from_stored(of_app.opened_at)
    if since <= _TOGETHER:
        return True
    if alert.kind is not AlertKind.SPIKE:
        return False
    return window.increase(alert.subject) < MOST * window.increase(APP)
