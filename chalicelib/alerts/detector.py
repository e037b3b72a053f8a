"""The job of every minute: is an app spiking, what is new, what is back?

It looks at the apps that somebody noted as active (activity.py), and reads
nothing of others. Doing it twice, late, or in two processes at once opens no
alert twice: an alert has the key of what it is about and of the minute, and
what is remembered is written only as it was read.
"""

from __future__ import annotations

import logging
import random
import time
from datetime import timedelta

from chalicelib import clock
from chalicelib.accounts import Accounts
from chalicelib.activity import Active, Activity
from chalicelib.alerts.baseline import MINUTES
from chalicelib.alerts.book import AlertBook
from chalicelib.alerts.group_watch import GroupWatch
from chalicelib.alerts.lately import Lately, Series, minute_of
from chalicelib.alerts.past import Past
from chalicelib.alerts.seen import Follower, Seen
from chalicelib.alerts.session_watch import SessionWatch, settled_hour
from chalicelib.alerts.spike_watch import SpikeWatch
from chalicelib.alerts.watches import WatchBook
from chalicelib.counts import Counts
from chalicelib.policies import Policies
from chalicelib.storage.ports import Table

_log = logging.getLogger(__name__)

WITHIN_S = 45.0  # apps that are not reached then come first in the next minute
_LINGERS = timedelta(minutes=20)  # after its last crash an app is looked after for that long
_QUIET = timedelta(minutes=3)  # after which nothing can come any more that was committed before


class Detector:
    """Looks at apps. One that is kept from minute to minute reads only what is new."""

    def __init__(
        self,
        table: Table,
        counts: Counts,
        accounts: Accounts,
        policies: Policies,
        alerts: AlertBook,
    ) -> None:
        self._counts = counts
        self._accounts = accounts
        self._policies = policies
        self._activity = Activity(table)
        self._lately = Lately(table)
        self._watches = WatchBook(table)
        past = Past(table)
        self._follower = Follower(self._watches, alerts)
        self._spikes = SpikeWatch(table, past, self._follower)
        self._sessions = SessionWatch(past, self._follower)
        self._groups = GroupWatch(table, self._watches, alerts)

    def tick(self, within_s: float = WITHIN_S) -> None:
        """Look at every active app, in no certain order; what fails for one app is tried again."""
        until = time.monotonic() + within_s
        active = self._activity.apps()
        random.shuffle(active)
        for entry in active:
            if time.monotonic() > until:
                _log.warning("there was no time for all of %d active apps", len(active))
                return
            try:
                self._look(entry)
            except Exception:  # of other apps people want to hear
                _log.exception("app %s could not be looked at", entry.app_id)

    def _look(self, active: Active) -> None:
        now = clock.now()
        last = minute_of(now) - 1
        app = self._accounts.find_app(active.app_id)
        if app is None:
            self._activity.forget(active)
            return
        is_quiet = active.minute < clock.to_stored(now - _QUIET)[:16]
        known = self._lately.known(app.app_id)
        if not (is_quiet and known is not None and _says_nothing_new(known, last)):
            self._counts.fold_all(app.app_id)
            series = self._lately.read(app.app_id, now)
            seen = Seen(
                app,
                self._policies.of(app.app_id),
                series,
                self._watches.read(app.app_id),
                _first_to_judge(series, last),
                last,
            )
            self._follower.drop_future(seen)
            self._groups.look(seen)
            self._spikes.look(seen)
            self._sessions.look(seen)
            series.was_looked_at(last, is_watched=seen.is_watched)
            known = series
        if active.minute < clock.to_stored(now - _LINGERS)[:16] and not known.is_watched:
            self._activity.forget(active)
            self._lately.forget(app.app_id)


def _says_nothing_new(known: Series, last: int) -> bool:
    """Whether the last look found nothing to go on with, and no hour's sessions came since."""
    looked = known.looked
    return (
        not known.is_watched and looked is not None and settled_hour(looked) == settled_hour(last)
    )


def _first_to_judge(series: Series, last: int) -> int:
    """The first minute whose hour has changed since somebody judged it: an hour back at most."""
    earliest = last - MINUTES + 1
    if series.looked is None:
        return earliest
    changed = series.looked + 1
    if series.touched is not None:
        changed = min(changed, series.touched)
    return max(earliest, changed)
