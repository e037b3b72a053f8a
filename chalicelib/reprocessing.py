"""Read stored reports again from their payloads, after a fix of what reads them.

Each comes where bucketing puts it now, with its counts (`regrouping`), and
what is stored of it besides is brought to what its payload says. Who it is of
(user, contact, installation), its version and its date stay: lists and counts
go by them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from chalicelib import keys
from chalicelib.bootstrap import Services
from chalicelib.described import stored_report
from chalicelib.errors import NotFound
from chalicelib.records import StoredReport
from chalicelib.regrouping import Regrouping, Unreadable
from chalicelib.storage.ports import MAX_BATCH_ITEMS, ConditionFailed, Update, Value
from chalicelib.symbols.source import SymbolsAway

_log = logging.getLogger(__name__)

_READ_AGAIN = (
    *("platform", "occurred_at", "exception_type", "reason", "oem", "model"),
    *("os_name", "os_version", "jail_break", "unread", "signature", "omaha_signature"),
)
_LOOKED_AT = MAX_BATCH_ITEMS // 2  # payloads: two keys each
_MAX_ATTEMPTS = 5  # while others move the report


@dataclass(frozen=True, slots=True)
class Reprocessed:
    """What a run did: reports read, those that came into another group, those of which something
    else changed, and those that cannot be read."""

    reports: int = 0
    moved: int = 0
    changed: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a run over all payloads did: how many there are, and what those without a report
    became."""

    payloads: int = 0
    stored: int = 0
    dead: int = 0


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

    def run_missing(self, progress: Callable[[int], object] = lambda _: None) -> Recovered:
        """Process every payload that has no report, as after a restore of the table; `progress`
        is called with how many payloads were looked at."""
        done = Recovered()
        processor = self._services.processor
        for looked_at, wanted in self._without_report():
            outcome = processor.process(wanted)
            done = replace(
                done,
                payloads=done.payloads + looked_at,
                stored=done.stored + len(outcome.stored),
                dead=done.dead + len(outcome.dead),
            )
            progress(looked_at)
        processor.fold()
        return done

    def _without_report(self) -> Iterator[tuple[int, list[int]]]:
        """Payloads by the part: how many were looked at, and the ids of those without a report,
        a dead letter, or a note that the report was deleted."""
        names = iter(self._services.blobs.keys(keys.RAW))
        while part := list(islice(names, _LOOKED_AT)):
            ids = [report_id for name in part if (report_id := _id_of(name)) is not None]
            places = [key for i in ids for key in (keys.report(i), keys.deadletter(i))]
            found = self._services.table.batch_get(places) if places else {}
            yield (
                len(part),
                [i for i in ids if keys.report(i) not in found and keys.deadletter(i) not in found],
            )

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


def _id_of(blob_key: str) -> int | None:
    try:
        return keys.report_id_of_raw_blob(blob_key)
    except ValueError:  # none of ours
        return None
