"""Judges how many sessions went without a crash, hour by hour, where sessions are known."""

from __future__ import annotations

from collections.abc import Iterator

from chalicelib import keys
from chalicelib.alerts.crash_free import judge_sessions
from chalicelib.alerts.lately import APP
from chalicelib.alerts.model import AlertKind
from chalicelib.alerts.past import Past
from chalicelib.alerts.seen import Follower, Seen, Subject, name_of
from chalicelib.alerts.spikes import Verdict

SETTLED_MINUTES = 15  # after an hour: then its sessions have been sent
_KIND = AlertKind.CRASH_FREE_DROP
_NOTHING = Verdict(0, 0.0, 60, 0.0, is_spike=False)  # too few sessions are known: that is no drop


class SessionWatch:
    """Looks at the last hour whose sessions have come."""

    def __init__(self, past: Past, follower: Follower) -> None:
        self._past = past
        self._follower = follower

    def look(self, seen: Seen) -> None:
        if _KIND not in seen.policy.alerts:
            for name in seen.remembered.watches:
                if name.startswith(name_of(_KIND, "")):
                    self._follower.drop(seen, name)
            return
        settled = settled_hour(seen.last)
        read_at = settled * 60 + 60 + SETTLED_MINUTES
        app = self._past.hours(keys.app_partition(seen.app.app_id), read_at)
        if not app.has_sessions(settled) and not self._watched(seen):
            return
        for subject, partition in self._subjects(seen):
            name = name_of(_KIND, subject.name)
            minutes = self._follower.minutes(seen, name)
            if not minutes:
                continue
            hours = self._past.hours(partition, read_at)
            verdict = None
            if hours.has_sessions(settled):  # else the last of them is another hour
                verdict = judge_sessions(hours.sessions(settled), seen.policy)
            self._follower.follow(seen, _KIND, subject, [(seen.last, verdict or _NOTHING)])

    def _subjects(self, seen: Seen) -> Iterator[tuple[Subject, str]]:
        """The app, and its versions that crashed enough to have dropped."""
        told = "Fewer sessions go without a crash"
        yield Subject(APP, told), keys.app_partition(seen.app.app_id)
        for name, version_id in seen.series.subjects("version"):
            is_watched = name_of(_KIND, name) in seen.remembered.watches
            if is_watched or seen.series.most(name, seen.series.first) >= seen.policy.spike_floor:
                subject = Subject(name, f"{told} in a version", version_id=version_id)
                yield subject, keys.version_partition(version_id)

    def _watched(self, seen: Seen) -> bool:
        return any(name.startswith(name_of(_KIND, "")) for name in seen.remembered.watches)


def settled_hour(minute: int) -> int:
    """The last hour (since the epoch) that is over for long enough."""
    return (minute + 1 - SETTLED_MINUTES) // 60 - 1
