"""Read stored reports again from their payloads, after a fix of what reads them.

Each comes where bucketing puts it now, with its counts (`regrouping`), and
what is stored of it besides is brought to what its payload says. Who it is of
(user, contact, installation), its version and its date stay: lists and counts
go by them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from chalicelib import keys
from chalicelib.bootstrap import Services
from chalicelib.commit import stored_report
from chalicelib.errors import NotFound
from chalicelib.records import StoredReport
from chalicelib.regrouping import Regrouping, Unreadable
from chalicelib.storage.ports import ConditionFailed, Update, Value
from chalicelib.symbols.source import SymbolsAway

_log = logging.getLogger(__name__)

_READ_AGAIN = (
    *("platform", "occurred_at", "exception_type", "reason", "oem", "model"),
    *("os_name", "os_version", "jail_break", "unread", "signature", "omaha_signature"),
)
_MAX_ATTEMPTS = 5  # while others move the report


@dataclass(frozen=True, slots=True)
class Reprocessed:
    """What a run did: reports read, those that came into another group, those of which something
    else changed, and those that cannot be read."""

    reports: int = 0
    moved: int = 0
    changed: int = 0
    unreadable: int = 0


class Reprocessing:
    """Crashes may come meanwhile, and several may be at it; doing it again changes nothing."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._regroupings: dict[str, Regrouping] = {}

    def run(
        self, reports: Iterable[StoredReport], progress: Callable[[], object] = lambda: None
    ) -> Reprocessed:
        """Read every one of the reports; `progress` is called for each."""
        done = Reprocessed()
        for report in reports:
            try:
                moved = self._regrouping(report.app_id).put_anew(report)
                changed = self._describe(report.report_id)
            except Unreadable as error:  # one bad report stops nothing
                _log.warning("%s", error)
                done = replace(done, unreadable=done.unreadable + 1)
            else:
                done = replace(
                    done, moved=done.moved + moved, changed=done.changed + (changed and not moved)
                )
            done = replace(done, reports=done.reports + 1)
            progress()
        return done

    def reports(self, report_ids: Iterable[int]) -> list[StoredReport]:
        """The reports of these ids; `NotFound` for one that there is none of."""
        found = []
        for report_id in report_ids:
            stored = self._at(report_id)
            if stored is None:
                raise NotFound("report", str(report_id))
            found.append(stored)
        return found

    def _regrouping(self, app_id: str) -> Regrouping:
        return self._regroupings.setdefault(app_id, Regrouping(self._services, app_id))

    def _describe(self, report_id: int) -> bool:
        """Bring what is stored of a report to what its payload says; whether that was another."""
        try:
            crash = self._services.processor.read_again(report_id)
        except SymbolsAway:
            raise
        except Exception as error:  # it was read a moment ago: deleted since, most likely
            raise Unreadable(f"report {report_id} cannot be read: {error!r}") from error
        for _ in range(_MAX_ATTEMPTS):
            stored = self._at(report_id)
            if stored is None:
                return False
            anew = stored_report(crash, stored.version_id, stored.group_id, stored.fingerprint)
            read = replace(stored, **{name: getattr(anew, name) for name in _READ_AGAIN})
            before, after = stored.item(), read.item()
            changed: dict[str, Value] = {
                name: value for name, value in after.items() if value != before.get(name)
            }
            gone = tuple(name for name in before if name not in after)
            if not (changed or gone):
                return False
            as_it_is: dict[str, Value] = {
                "group_id": stored.group_id,
                "fingerprint": stored.fingerprint,
            }
            try:
                self._services.table.write(
                    [Update(keys.report(report_id), set=changed, remove=gone, require=as_it_is)]
                )
            except ConditionFailed:
                continue
            return True
        return False

    def _at(self, report_id: int) -> StoredReport | None:
        return StoredReport.at(self._services.table.get(keys.report(report_id)))
