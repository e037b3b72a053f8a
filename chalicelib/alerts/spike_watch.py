"""Judges the last minutes of an app, of its versions and of its groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from chalicelib import keys
from chalicelib.alerts.baseline import AppBaseline, Baseline, Daily, of_group
from chalicelib.alerts.joined import Window
from chalicelib.alerts.lately import APP, moment_of
from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.alerts.past import Past
from chalicelib.alerts.seen import Follower, Seen, Subject, name_of
from chalicelib.alerts.spikes import Verdict, judge, late_minutes
from chalicelib.records import IGNORED, Group, Version
from chalicelib.storage.ports import Table, get_all

_KIND = AlertKind.SPIKE


class SpikeWatch:
    """Reads of the past only what may be spiking: less than the policy's floor never is."""

    def __init__(self, table: Table, past: Past, follower: Follower) -> None:
        self._table = table
        self._past = past
        self._follower = follower

    def look(self, seen: Seen) -> None:
        if _KIND not in seen.policy.alerts:
            for name in seen.remembered.watches:
                if name.startswith(name_of(_KIND, "")):
                    self._follower.drop(seen, name)
            return
        subject = Subject(APP, "Crashes are spiking")
        if self._may_spike(seen, APP):
            verdicts = self._verdicts(seen, subject, lambda minute: self._of_app(seen, minute))
            self._follower.follow(seen, _KIND, subject, verdicts, self._explained)
        self._look_at_versions(seen)
        self._look_at_groups(seen)

    def _look_at_versions(self, seen: Seen) -> None:
        wanted = self._candidates(seen, "version")
        found = get_all(self._table, map(keys.version_by_id, wanted.values()))
        for name, version_id in wanted.items():
            item = found.get(keys.version_by_id(version_id))
            if item is None:
                self._follower.drop(seen, name_of(_KIND, name))
                continue
            told = _called(Version.from_item(item))
            subject = Subject(name, f"Crashes of {told} are spiking", version_id=version_id)
            self._follow(seen, subject, self._of_version(seen, version_id))

    def _look_at_groups(self, seen: Seen) -> None:
        wanted = self._candidates(seen, "group")
        found = get_all(self._table, map(keys.group, wanted.values())).values()
        groups = {group.group_id: group for group in map(Group.from_item, found)}
        told = {i: group for i, group in groups.items() if is_told_of(group)}
        days = self._past.of_groups(list(told.values()), moment_of(seen.last).date())
        for name, group_id in wanted.items():
            if group_id not in told:
                self._follower.drop(seen, name_of(_KIND, name))
                continue
            subject = Subject(name, f"Spiking: {titled(told[group_id])}", group_id=group_id)
            self._follow(seen, subject, self._of_group(seen, name, days[group_id]))

    def _follow(self, seen: Seen, subject: Subject, expected: Callable[[int], Baseline]) -> None:
        self._follower.follow(seen, _KIND, subject, self._verdicts(seen, subject, expected))

    def _verdicts(
        self, seen: Seen, subject: Subject, expected: Callable[[int], Baseline]
    ) -> list[tuple[int, Verdict]]:
        verdicts: list[tuple[int, Verdict]] = []
        for minute in self._follower.minutes(seen, name_of(_KIND, subject.name)):
            crashes = seen.series.hour_until(subject.name, minute)
            late = self._late(seen, minute)
            verdicts.append((minute, judge(expected(minute), crashes, minute, seen.policy, late)))
        return verdicts

    def _explained(self, alert: Alert, window: Window) -> Alert:
        """The app's alert, with the group and the version that are most of it."""
        of_group, of_version = window.cause("group"), window.cause("version")
        if of_version is not None:
            version_id, percent = of_version.identifier, of_version.percent
            alert = replace(alert, version_id=version_id, version_percent=percent)
        if of_group is not None:
            item = self._table.get(keys.group(of_group.identifier))
            if item is not None:
                title = f"{alert.title}, mostly {titled(Group.from_item(item))}"
                group_id, percent = of_group.identifier, of_group.percent
                alert = replace(alert, title=title, group_id=group_id, group_percent=percent)
        return alert

    # --- what may be spiking ---

    def _candidates(self, seen: Seen, kind: str) -> dict[str, int]:
        """The versions or the groups to look at, by name."""
        crashed = (name for name, _ in seen.series.subjects(kind) if self._may_spike(seen, name))
        prefix = name_of(_KIND, f"{kind}:")
        watched = (
            name.partition("#")[2] for name in seen.remembered.watches if name.startswith(prefix)
        )
        return {name: int(name.partition(":")[2]) for name in (*crashed, *watched)}

    def _may_spike(self, seen: Seen, name: str) -> bool:
        is_known = name_of(_KIND, name) in seen.remembered.watches
        return is_known or seen.series.most(name, seen.first) >= seen.policy.spike_floor

    # --- what is expected ---

    def _late(self, seen: Seen, minute: int) -> float:
        """What an outage of the app held back: that comes late, and is no spike."""
        crashes = seen.series.hour_until(APP, minute)
        return late_minutes(self._of_app(seen, minute), crashes, minute)

    def _of_app(self, seen: Seen, minute: int) -> AppBaseline:
        return self._past.of_app(seen.app.app_id, minute // 60, seen.hour)

    def _of_version(self, seen: Seen, version_id: int) -> Callable[[int], Baseline]:
        def expected(minute: int) -> Baseline:
            return self._past.of_version(self._of_app(seen, minute), version_id, seen.hour)

        return expected

    def _of_group(self, seen: Seen, name: str, past: Daily) -> Callable[[int], Baseline]:
        def expected(minute: int) -> Baseline:
            crashes = seen.series.hour_until(name, minute)
            return of_group(self._of_app(seen, minute), past, crashes, minute)

        return expected


def is_told_of(group: Group) -> bool:
    """Whether people want to hear of the group: it is not ignored, and still one by itself."""
    return group.status != IGNORED and group.merged_into is None


def titled(group: Group) -> str:
    """What a group is called, in a line."""
    function = ".".join(filter(None, [group.class_name, group.method])) or group.signature
    told = " in ".join(filter(None, [group.exception_type, function]))
    return told or group.reason or f"group {group.group_id}"


def _called(version: Version) -> str:
    names = [
        name for name in (version.name, f"({version.number})" if version.number else "") if name
    ]
    return f"version {' '.join(names)}" if names else "an unnamed version"
