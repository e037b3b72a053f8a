"""An app with a past, whose crashes a test makes minute by minute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from chalicelib import bootstrap, clock
from chalicelib.activity import Activity
from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.deltas import Row, delta_put
from chalicelib.ids import sortable
from chalicelib.payload import Payload
from chalicelib.queries.paging import Paging
from chalicelib.records import StoredReport, Version
from chalicelib.schedule import every_minute
from chalicelib.sessions import Started
from chalicelib.storage.counting import CountingTable
from chalicelib.storage.embedded.store import open_store
from chalicelib.storage.ports import Put
from chalicelib.worker import Worker
from tests.crashes import android_log

START = datetime(2026, 11, 18, 10, tzinfo=UTC)


class Traffic:
    """Crashes are counted as a commit counts them, many in one row: a day of them is quick.

    `usual` crashes at a `rate` a minute and has done so for four weeks, in `version`.
    """

    def __init__(self, services: Services, table: CountingTable, rate: int = 1) -> None:
        self.rate = rate
        self.services = services
        self.table = table
        self.now = START
        self.app = services.accounts.create_app("Demo")
        self.told: list[Alert] = []

    @classmethod
    @contextmanager
    def begun(cls, folder: Path, *, days: int = 28, rate: int = 1) -> Iterator[Traffic]:
        """The service on a clock that the test turns, with so many days of the usual crashes."""
        store = open_store(folder, clock=lambda: clock.now().timestamp())
        table = CountingTable(store.table)
        with patch.object(clock, "now", lambda: START):
            services = bootstrap.build(
                Settings(), table, store.blobs, store.queue, notifications=store.notifications
            )
            traffic = cls(services, table, rate)
        with patch.object(clock, "now", lambda: traffic.now):
            traffic.have_past(days)
            yield traffic
        store.close()

    def have_past(self, days: int) -> None:
        self.now = START - timedelta(days=max(days, 1))
        self.usual, self.version = self.founded_by("usual", "1")
        self.look()
        for day in range(days):
            began = START - timedelta(days=days - day)
            hours = [began + timedelta(hours=hour, minutes=30) for hour in range(24)]
            last_hours = START - timedelta(hours=3)
            self.count(
                [self.row(self.usual, at, 60 * self.rate) for at in hours if at < last_hours]
            )
        self.now = START
        lately = [START - timedelta(minutes=minute) for minute in range(1, 181)]
        self.count([self.row(self.usual, at, self.rate) for at in lately])
        self.services.counts.fold_all(self.app.app_id)
        self.told = self.alerts()

    # --- crashes ---

    def founded_by(self, cause: str, version: str, at: datetime | None = None) -> tuple[int, int]:
        """The group and the version of a real crash, which is processed now."""
        report = self.crash(cause, version, at)
        return report.group_id, report.version_id

    def crash(self, cause: str, version: str = "1", at: datetime | None = None) -> StoredReport:
        received = Payload(self.app.app_id, "test", at or self.now, android_log(cause, version))
        report_id = self.services.intake.receive(received)
        Worker(self.services).drain()
        return self.services.crashes.report(report_id)

    def a_version(self, number: str) -> int:
        """A version that was made by a crash just now, without it."""
        made = Version(
            self.services.ids.next(), self.app.app_id, number, "", clock.to_stored(self.now)
        )
        self.services.table.write([Put(made.item()), Put(made.item_by_id())])
        return made.version_id

    def row(
        self, group_id: int, at: datetime, crashes: int = 1, version_id: int | None = None
    ) -> Row:
        moment = clock.to_stored(at)
        version = self.version if version_id is None else version_id
        return Row(group_id, version, moment[:10], "", crashes, moment, moment)

    def count(self, rows: list[Row], shard: int = 0) -> None:
        if rows:
            Activity(self.services.table).note(self.app.app_id)
            batch = sortable(self.services.ids.next())
            self.services.table.write([delta_put(self.app.app_id, shard, batch, rows, 0)])

    def have_sessions(self, hours: int, sessions: int, until: datetime | None = None) -> None:
        """So many in each of the hours before a moment, of the usual version."""
        ended = until or self.now
        for number in range(1, hours + 1):
            at = clock.to_stored(ended - timedelta(hours=number))
            started = Started("1", "1.1", at[:13], sessions)
            self.services.sessions.take(self.app.app_id, f"{number} before {ended}", [started])

    # --- minutes ---

    def pass_minute(
        self, *crashes: tuple[int, int], usual: int | None = None, look: bool = True
    ) -> None:
        """A minute with so many crashes of groups, and the job at its end."""
        usual = self.rate if usual is None else usual
        at = self.now + timedelta(seconds=20)
        rows = [self.row(group_id, at, many) for group_id, many in crashes if many]
        self.count([*rows, *([self.row(self.usual, at, usual)] if usual else [])])
        self.now += timedelta(minutes=1)
        if look:
            self.look()

    def pass_minutes(
        self, minutes: int, *crashes: tuple[int, int], usual: int | None = None
    ) -> None:
        for _ in range(minutes):
            self.pass_minute(*crashes, usual=usual)

    def look(self) -> None:
        every_minute(self.services)

    # --- what people are told ---

    def alerts(self) -> list[Alert]:
        """All that were opened, the oldest first."""
        found = self.services.alerts.list(
            self.app.app_id, open_only=False, paging=Paging(1, 100)
        ).entries
        return sorted(found, key=lambda alert: alert.alert_id)

    def new_alerts(self) -> list[Alert]:
        """Those that were opened since this was asked last."""
        known = {alert.alert_id for alert in self.told}
        self.told = self.alerts()
        return [alert for alert in self.told if alert.alert_id not in known]

    def spikes(self) -> dict[str, Alert]:
        """The spikes that were opened since alerts were asked for last, by their subjects."""
        told = [alert for alert in self.new_alerts() if alert.kind is AlertKind.SPIKE]
        assert len({alert.subject for alert in told}) == len(told)
        return {alert.subject: alert for alert in told}

    def lasting(self) -> list[Alert]:
        """Those that are not over."""
        return [a for a in self.alerts() if a.is_lasting and a.closed_at is None]
