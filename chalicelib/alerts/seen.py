"""What one look at an app goes by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from chalicelib import clock
from chalicelib.alerts.baseline import MINUTES
from chalicelib.alerts.book import AlertBook
from chalicelib.alerts.joined import Window, part_of
from chalicelib.alerts.lately import Series, moment_of
from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.alerts.spikes import Verdict
from chalicelib.alerts.watch import Event, Watch, step
from chalicelib.alerts.watches import Remembered, WatchBook, kept
from chalicelib.policies import AppPolicy
from chalicelib.records import App
from chalicelib.storage.ports import Operation

Explained: TypeAlias = Callable[[Alert, Window], Alert]


@dataclass(frozen=True, slots=True)
class Subject:
    """What an alert is about: `name` as in `Alert.subject`, `told` as people call it."""

    name: str
    told: str
    group_id: int | None = None
    version_id: int | None = None


@dataclass
class Seen:
    """The last minutes of an app and all that is known of it, at the moment of the look.

    The minutes from `first` to `last` (since the epoch) are to be judged;
    `is_watched`: something is not over, and has to be looked at again. `told`
    are the alerts that people know of and that were open when it began, or were
    opened since; None while nobody has asked.
    """

    app: App
    policy: AppPolicy
    series: Series
    remembered: Remembered
    first: int
    last: int
    is_watched: bool = field(default=False)
    told: list[Alert] | None = field(default=None)

    def watch(self, name: str) -> Watch:
        return self.remembered.watches.get(name, Watch())

    @property
    def hour(self) -> int:
        """The beginning of the hour that runs, as a minute: how fresh the past has to be."""
        return (self.last + 1) // 60 * 60


class Follower:
    """Takes a watch on from minute to minute, and opens and closes its alerts."""

    def __init__(self, watches: WatchBook, alerts: AlertBook) -> None:
        self._watches = watches
        self._alerts = alerts

    def minutes(self, seen: Seen, name: str) -> range:
        """The minutes that a watch has not seen; of an open one those since it was stored."""
        watch = seen.watch(name)
        first = seen.first if watch.opened is None else seen.last - MINUTES + 1
        return range(max(first, watch.last + 1), seen.last + 1)

    def follow(
        self,
        seen: Seen,
        kind: AlertKind,
        subject: Subject,
        verdicts: list[tuple[int, Verdict]],
        explained: Explained = lambda alert, _: alert,
    ) -> None:
        """Feed a watch the verdicts on its minutes, oldest first; `explained` completes an alert
        that opens."""
        name = name_of(kind, subject.name)
        before = watch = seen.watch(name)
        for minute, verdict in verdicts:
            earlier = watch
            watch, event = step(watch, verdict, minute)
            if event is Event.OPENED:
                window = Window(seen.series, minute, verdict.window_minutes)
                alert = explained(_alert(seen, kind, subject, minute, verdict), window)
                stored = kept(seen.app.app_id, name, before, watch, minute)
                if not self._open(seen, alert, window, stored):
                    seen.is_watched = True  # another process is further: look again
                    return
                before = watch
            elif event is Event.CLOSED and earlier.opened is not None:
                self._alerts.close(seen.app.app_id, key_of(name, earlier.opened))
        self._keep(seen, name, before, watch)

    def drop(self, seen: Seen, name: str) -> None:
        """Nobody wants to know of it any more."""
        watch = seen.watch(name)
        if watch.opened is not None:
            self._alerts.close(seen.app.app_id, key_of(name, watch.opened))
        self._keep(seen, name, watch, Watch())

    def drop_future(self, seen: Seen) -> None:
        """Watches of a time that is yet to come: somebody's clock was wrong."""
        for name, watch in seen.remembered.watches.items():
            if watch.last > seen.last + MINUTES:
                self.drop(seen, name)

    def _open(self, seen: Seen, alert: Alert, window: Window, also: Operation) -> bool:
        """Have people told, unless they know of the event by another alert. The watch is kept in
        the same batch: an alert that it does not know of would never be over."""
        if seen.told is None:
            seen.told = self._told(seen)
        known = part_of(alert, seen.told, window)
        if known is not None:
            alert = replace(alert, part_of=known.alert_id)
        is_opened = self._alerts.open(alert, [also])
        seen.told += _told_of(self._alerts.opened(alert.app_id, [alert.key]))  # by whomever
        return is_opened

    def _told(self, seen: Seen) -> list[Alert]:
        watches = seen.remembered.watches.items()
        wanted = [key_of(name, it.opened) for name, it in watches if it.opened is not None]
        return _told_of(self._alerts.opened(seen.app.app_id, wanted))

    def _keep(self, seen: Seen, name: str, before: Watch, after: Watch) -> None:
        """A minute that changed nothing else is not written: it is judged again the same."""
        if after.opened is not None:
            seen.is_watched = True
        if _matter(before) != _matter(after) or (name in seen.remembered.watches) != (
            not after.idle(seen.last)
        ):
            self._watches.write(seen.app.app_id, name, before, after, seen.last)


def _told_of(alerts: Iterable[Alert]) -> list[Alert]:
    return [alert for alert in alerts if alert.part_of is None]


def name_of(kind: AlertKind, subject: str) -> str:
    return f"{kind.value}#{subject}"


def key_of(name: str, opened: int) -> str:
    return f"{name}#{opened}"


def _matter(watch: Watch) -> tuple[int | None, ...]:
    return (watch.opened, watch.calm_since, watch.closed, watch.peak_percent)


def _alert(seen: Seen, kind: AlertKind, subject: Subject, minute: int, verdict: Verdict) -> Alert:
    return Alert(
        app_id=seen.app.app_id,
        kind=kind,
        subject=subject.name,
        key=key_of(name_of(kind, subject.name), minute),
        opened_at=clock.to_stored(moment_of(minute + 1)),
        title=subject.told,
        observed=verdict.observed,
        expected_milli=round(verdict.expected * 1000),
        minutes=verdict.window_minutes,
        group_id=subject.group_id,
        version_id=subject.version_id,
    )
