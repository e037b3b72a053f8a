"""A crash between being read and being committed."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib import clock, keys
from chalicelib.bucketing.stack import Stack
from chalicelib.companions import Companions
from chalicelib.model import Report
from chalicelib.payload import KEPT, Payload
from chalicelib.quota import minute_of
from chalicelib.records import Alias, App
from chalicelib.sampling import sample_digest
from chalicelib.storage.ports import Key
from chalicelib.waiting import Notes, lacking_of


@dataclass(frozen=True, slots=True)
class Crash:
    """A payload that could be read, with the report read from it."""

    report_id: int
    received: Payload
    companions: Companions
    report: Report
    app: App
    stack: Stack

    @property
    def database_id(self) -> str:
        """The id its client gave it, else ours."""
        return self.received.fields.get("database_id") or str(self.report_id)

    @property
    def alias(self) -> Alias | None:
        """What keeps the id its client gave it from being taken twice."""
        given = self.received.fields.get("database_id")
        return Alias(given, self.report_id, self.app.app_id) if given else None

    def notes(self, fingerprint: str) -> Notes:
        """What its stack, stored under that fingerprint, waits for."""
        return Notes(self.app.app_id, fingerprint, lacking_of(self.report))

    @property
    def forced_bucket(self) -> str | None:
        return self.received.fields.get("force_bucket")

    @property
    def date(self) -> str:
        """The canonical time, as stored: the report's own where it carries one."""
        return clock.to_stored(self.report.date or self.received.received_at)

    @property
    def minute(self) -> str:
        """When it was received: the minute that its app's quota counts it in."""
        return minute_of(clock.to_stored(self.received.received_at))

    @property
    def is_always_kept(self) -> bool:
        """Its client holds its id and asks for it, or a person brought it in."""
        fields = self.received.fields
        return "database_id" in fields or KEPT in fields

    def sample_key(self, fingerprint: str) -> Key:
        """Where the report is noted that stands for others of the stack."""
        build = self.report.app
        number, name = build.version or "", build.short_version or ""
        digest = sample_digest(fingerprint, number, name, self.date)
        return keys.sample(self.app.app_id, digest)
