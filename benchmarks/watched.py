"""One simulated app under the detector's eyes, a tick a minute."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from benchmarks.traffic import DAY, HOUR, MONTH, START, App, Noise, Spike, Subject
from chalicelib.alerts import baseline, spikes, watch
from chalicelib.alerts.baseline import AppBaseline, Baseline, Daily, Hourly
from chalicelib.alerts.watch import Event, Watch
from chalicelib.policies import AppPolicy

LAG = 20 / 60  # minutes from a minute's end until the tick that looks at it
AFTERWARDS = 60  # minutes in which a window still holds the end of a spike


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alert that opened at `minute`; `cause` says which spike it is about, if any."""

    subject: Subject
    minute: int
    cause: Spike | None
    again: bool  # the spike had opened one before


@dataclass(frozen=True, slots=True)
class Injected:
    """A spike, the crashes a minute it came upon, and the minutes until its alert opened."""

    spike: Spike
    rate: float
    found_after: float | None


@dataclass(frozen=True, slots=True)
class Result:
    size: float
    noise: Noise
    months: float
    spikes: list[Injected]
    alarms: list[Alarm]
    verdicts: int


@dataclass(slots=True)
class _Series:
    """What the detector would read of an app, a version or a group."""

    first: int  # the minute of its first crash
    minutes: list[int]
    hours: list[int] = field(default_factory=list)
    days: list[int] = field(default_factory=list)
    state: Watch = field(default_factory=Watch)
    within: Baseline | None = None  # of the hour that runs


def watched(seed: int, months: float, policy: AppPolicy, size: float | None = None) -> Result:
    return _Watched(App(seed, months, size), policy).result()


class _Watched:
    def __init__(self, app: App, policy: AppPolicy) -> None:
        self._app = app
        self._policy = policy
        self._series: dict[Subject, _Series] = {}
        self._alarms: list[Alarm] = []
        self._rates: dict[Spike, tuple[float, float]] = {}
        self._verdicts = 0

    def result(self) -> Result:
        app = self._app
        for minute, cells, unspiked in app.run():
            if minute % HOUR == 0:
                self._new_hour(minute)
            counts: dict[Subject, int] = defaultdict(int)
            for cell in cells:
                counts["app", 0] += cell.count
                counts["version", cell.version] += cell.count
                if cell.group >= 0:
                    counts["group", cell.group] += cell.count
            self._add(minute, counts)
            for spike in app.spikes:
                if spike.start < minute + 1 and minute < spike.end and spike.subject in unspiked:
                    total, minutes = self._rates.get(spike, (0.0, 0.0))
                    self._rates[spike] = (total + unspiked[spike.subject], minutes + 1)
            self._tick(minute)
        return Result(
            app.size,
            app.noise,
            app.minutes / MONTH,
            [self._injected(spike) for spike in app.spikes],
            self._alarms,
            self._verdicts,
        )

    def _new_hour(self, minute: int) -> None:
        for series in self._series.values():
            if minute > START:
                series.hours.append(sum(series.minutes[-HOUR:]))
            series.within = None
            del series.minutes[:-HOUR]
            if minute % DAY == 0:
                series.days.append(0)

    def _add(self, minute: int, counts: dict[Subject, int]) -> None:
        for subject, count in counts.items():
            if subject not in self._series:
                self._series[subject] = _Series(minute, [0] * HOUR, days=[0])
            self._series[subject].days[-1] += count
        for subject, series in self._series.items():
            series.minutes.append(counts.get(subject, 0))

    def _tick(self, minute: int) -> None:
        late: float | None = None
        for subject, series in self._series.items():
            latest = series.minutes[-HOUR:]
            if series.state.opened is None and sum(latest) < self._policy.spike_floor:
                continue  # nothing it could be
            expected = self._baseline(subject, series, latest, minute)
            if series.state.opened is None and self._is_ordinary(expected, latest):
                continue
            if late is None:
                whole = self._series["app", 0].minutes[-HOUR:]
                late = spikes.late_minutes(self._of_app(minute), whole, minute)
            verdict = spikes.judge(expected, latest, minute, self._policy, late)
            self._verdicts += 1
            series.state, event = watch.step(series.state, verdict, minute)
            if event is Event.OPENED:
                self._opened(subject, minute)

    def _baseline(
        self, subject: Subject, series: _Series, latest: list[int], minute: int
    ) -> Baseline:
        if series.within is None:
            hour = minute // HOUR
            if subject[0] == "app":
                series.within = baseline.of_app(_hourly(series, hour), hour)
            else:
                app = self._of_app(minute)
                if subject[0] == "version":
                    series.within = baseline.of_version(app, _hourly(series, hour))
                else:
                    days = series.days[-30:]
                    past = Daily(minute // DAY - len(days) + 1, days, series.first)
                    series.within = baseline.of_group(app, past, latest, minute)
        return series.within

    def _of_app(self, minute: int) -> AppBaseline:
        app = self._baseline(("app", 0), self._series["app", 0], [], minute)
        assert isinstance(app, AppBaseline)
        return app

    def _is_ordinary(self, expected: Baseline, latest: list[int]) -> bool:
        """What `judge` would say too, sooner: the simulation has to look at months of minutes."""
        least = min(expected.rates) / HOUR * spikes.LEAST * self._policy.spike_percent / 100
        return all(
            sum(latest[-window:]) < max(self._policy.spike_floor, least * window)
            for window in spikes.WINDOWS
        )

    def _opened(self, subject: Subject, minute: int) -> None:
        cause = next((s for s in self._app.spikes if _explains(s, subject, minute)), None)
        again = cause is not None and any(
            alarm.cause is cause and alarm.subject == subject for alarm in self._alarms
        )
        self._alarms.append(Alarm(subject, minute, cause, again))

    def _injected(self, spike: Spike) -> Injected:
        total, minutes = self._rates.get(spike, (0.0, 1.0))
        found = next(
            (a for a in self._alarms if a.cause is spike and a.subject == spike.subject), None
        )
        after = None if found is None else found.minute + 1 + LAG - spike.start
        return Injected(spike, total / minutes, after)


def _explains(spike: Spike, subject: Subject, minute: int) -> bool:
    """Crashes of one group are in other versions' and the app's counts, not in other groups'."""
    if not spike.start <= minute + 1 <= spike.end + AFTERWARDS:
        return False
    return not (spike.subject[0] == subject[0] == "group" and spike.subject != subject)


def _hourly(series: _Series, hour: int) -> Hourly:
    hours = series.hours[-baseline.HOURS :]
    return Hourly(hour - len(hours), hours)
