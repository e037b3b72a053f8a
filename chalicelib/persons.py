"""A person's data: found by what identifies them, shown as it is kept, and erased.

A report is found at once by its user's id and by its contact, which have
indexes. Its installation's id and what users wrote have none: those are found
by looking at every report of an app, a bounded part at a time, on demand.
Erasing is deletion (deletion.py); what is more than a request has time for is
a task, and a last look, when no crash is in work any more that was so before,
erases what came meanwhile and looks again until nothing is found.
"""

from __future__ import annotations

import heapq
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal, TypeAlias, cast, get_args

from chalicelib import keys
from chalicelib.belongings import blobs_of
from chalicelib.deletion import Deletion
from chalicelib.described import MAX_NAME_CHARS
from chalicelib.errors import FormatError, InvalidRequest
from chalicelib.export_json import shown_fields
from chalicelib.feedback import FeedbackBook
from chalicelib.formats.text import as_sent
from chalicelib.payload import MINIDUMP_DOORS, Payload, read_as_stored
from chalicelib.queries.crashes import CrashQueries
from chalicelib.queries.paging import Slice
from chalicelib.records import DeadLetter, StoredReport
from chalicelib.storage.ports import (
    MAX_BATCH_ITEMS,
    BlobNotFound,
    Blobs,
    Item,
    Queue,
    SortRange,
    Table,
    get_all,
    query_all,
)
from chalicelib.storage.schema import BY_APP, BY_USER
from chalicelib.tasks import ErasePerson, encode, settled_s, work_s

Where: TypeAlias = Literal["user", "contact", "install_id", "text"]
WHERE: tuple[Where, ...] = get_args(Where)
INDEXED: frozenset[Where] = frozenset({"user", "contact"})

MAX_IDENTIFIER_CHARS = MAX_NAME_CHARS  # as many as are kept of a user's id or a contact
MAX_PAGE = 100
BEHIND_ALL = "0"  # the place where a slice ended that had the oldest report
_PLACE = re.compile(r"0|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z#\d{16}", re.ASCII)
_MIN_CHARS_IN_LOG = 6  # a shorter number or name stands in logs that are of others
_MIN_TEXT_CHARS = 3  # less is in every text
_SCANNED = 2000  # reports that one request looks at: index items alone
_SCANNED_TEXTS = 200  # where each may need its payload
_ERASED_AT_ONCE = 100  # by a request; more of them are for a task


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom to look for, in one app, and where."""

    app_id: str
    identifier: str
    where: frozenset[Where] = INDEXED

    def checked(self) -> Wanted:
        """The same; raises `InvalidRequest` for what would find anything or nothing."""
        least = _MIN_TEXT_CHARS if "text" in self.where else 1
        if not least <= len(self.identifier) <= MAX_IDENTIFIER_CHARS:
            told = f"must have {least} to {MAX_IDENTIFIER_CHARS} characters"
            raise InvalidRequest({"identifier": [told]})
        unknown = self.where - set(WHERE)
        if unknown or not self.where:
            raise InvalidRequest({"in": [f"must be some of {', '.join(WHERE)}"]})
        return self


@dataclass(frozen=True, slots=True)
class Erased:
    """How many crashes went, and whether a task goes on with others."""

    crashes: int
    is_done: bool


class Persons:
    """Finds, shows and erases what is kept of a person."""

    def __init__(
        self,
        table: Table,
        blobs: Blobs,
        queue: Queue,
        crashes: CrashQueries,
        feedback: FeedbackBook,
        deletion: Deletion,
        visibility_s: int,
    ) -> None:
        self._table = table
        self._blobs = blobs
        self._queue = queue
        self._crashes = crashes
        self._feedback = feedback
        self._deletion = deletion
        self._visibility_s = visibility_s

    # --- finding ---

    def find(self, wanted: Wanted, limit: int, after: str | None = None) -> Slice[StoredReport]:
        """At most `limit` reports, the newest first, after the place where a slice ended; by a
        look at every report fewer, as a slice ends after a bounded number of them.

        Raises `InvalidRequest` for an `after` where none ended.
        """
        if after is not None and not _PLACE.fullmatch(after):
            raise InvalidRequest({"after": ["is not where a page ended"]})
        if wanted.where <= INDEXED:
            found = list(islice(self._indexed(wanted, after), limit + 1))
            return Slice(tuple(found[:limit]), found[limit - 1].place if found[limit:] else None)
        most = _SCANNED_TEXTS if "text" in wanted.where else _SCANNED
        matching: list[StoredReport] = []
        looked_at = 0
        last: str | None = None
        for report in self._every(wanted.app_id, after):
            if looked_at == most or len(matching) == limit:
                return Slice(tuple(matching), last)
            looked_at, last = looked_at + 1, report.place
            if self._is_of(report, wanted):
                matching.append(report)
        return Slice(tuple(matching), None)

    def dead_letters(self, wanted: Wanted) -> list[DeadLetter]:
        """Those of the app, or of all if none is named, whose payload names the person; looks at
        each, as they are few."""
        letters = self._crashes.dead_letters()
        of_app = (e for e in letters if not wanted.app_id or e.app_id == wanted.app_id)
        return [letter for letter in of_app if self._names(letter, wanted)]

    def _indexed(self, wanted: Wanted, after: str | None) -> Iterator[StoredReport]:
        """In the order of their places, from the newest; each once."""
        streams: list[Iterator[tuple[str, int]]] = []
        before = SortRange(high=after)
        if "user" in wanted.where:
            for partition in keys.reports_of_user(wanted.app_id, wanted.identifier):
                items = query_all(
                    self._table, partition, index=BY_USER, sort=before, descending=True
                )
                streams.append(_places(items, "user_sk"))
        if "contact" in wanted.where:
            for partition in keys.reports_of_contact(wanted.app_id, wanted.identifier):
                items = query_all(self._table, partition, sort=before, descending=True)
                streams.append(_places(items, "sk"))
        merged = heapq.merge(*streams, reverse=True)
        ids = (report_id for place, report_id in merged if place != after)
        seen: set[int] = set()
        while part := list(islice(ids, MAX_BATCH_ITEMS)):
            new = [report_id for report_id in dict.fromkeys(part) if report_id not in seen]
            seen.update(new)
            # From the table itself: an index may show what has gone.
            there = get_all(self._table, map(keys.report, new))
            for report_id in new:
                report = StoredReport.at(there.get(keys.report(report_id)))
                if report is not None:
                    yield report

    def _every(self, app_id: str, after: str | None) -> Iterator[StoredReport]:
        shards = [
            query_all(
                self._table, partition, index=BY_APP, sort=SortRange(high=after), descending=True
            )
            for partition in keys.reports_of_app(app_id)
        ]
        merged = heapq.merge(*shards, key=lambda item: str(item["app_sk"]), reverse=True)
        return (StoredReport.from_item(item) for item in merged if item["app_sk"] != after)

    def _is_of(self, report: StoredReport, wanted: Wanted) -> bool:
        said = {"user": report.user, "contact": report.contact, "install_id": report.install_id}
        if any(said.get(name) == wanted.identifier for name in wanted.where):
            return True
        return "text" in wanted.where and any(
            wanted.identifier.casefold() in text.casefold() for text in self._texts(report)
        )

    def _texts(self, report: StoredReport) -> Iterator[str]:
        """What its user wrote, with it and afterwards."""
        if report.has_description:
            received = self._received(report.report_id)
            if received is not None:
                yield as_sent(received.description)
        if report.door in MINIDUMP_DOORS:
            yield self._feedback.text(report.report_id)

    def _names(self, letter: DeadLetter, wanted: Wanted) -> bool:
        received = self._received(letter.report_id)
        if received is None:
            return False
        if any(received.fields.get(name) == wanted.identifier for name in wanted.where):
            return True
        # What could not be read cannot say whose it is; a dump's words are in its annotations.
        is_text = received.door not in MINIDUMP_DOORS
        if is_text and wanted.where - {"text"} and _stands_in(wanted.identifier, received.log):
            return True
        text = as_sent(received.description) + self._feedback.text(letter.report_id)
        return "text" in wanted.where and wanted.identifier.casefold() in text.casefold()

    def _received(self, report_id: int) -> Payload | None:
        with suppress(BlobNotFound, FormatError):
            return read_as_stored(self._blobs, keys.raw_blob(report_id))
        return None

    # --- showing ---

    def kept_of(self, report: StoredReport) -> dict[str, Any]:
        """What is kept beside the report's own item: JSON, in words that a person can read."""
        received = self._received(report.report_id)
        written = self._feedback.find(report.report_id) if report.door in MINIDUMP_DOORS else None
        log_key = received.log_key if received else None
        blobs = blobs_of(report.report_id, report.door, report.attachments, log_key)
        return {
            "install_id": report.install_id,
            "fields": shown_fields(received.fields) if received else {},
            "annotations": dict(received.annotations) if received else {},
            "description": as_sent(received.description) if received else "",
            "feedback": f"{written.summary}\n\n{written.description}" if written else "",
            "attachments": [entry.filename for entry in received.attachments] if received else [],
            "blobs": [key for key in blobs if self._blobs.size(key) is not None],
        }

    # --- erasing ---

    def erase(self, wanted: Wanted) -> Erased:
        """Erase what an index finds, if that is not too much; the rest is for a task, and so is
        a last look. Doing it again does no harm."""
        task = ErasePerson(wanted.app_id, wanted.identifier, tuple(sorted(wanted.where)))
        # First: whoever gets it erases what stops from here on.
        self._send(replace(task, is_last=True))
        found: Sequence[StoredReport] = ()
        is_done = False
        if wanted.where <= INDEXED:
            some = self.find(wanted, _ERASED_AT_ONCE)
            found, is_done = some.entries, some.after is None
        ids = [report.report_id for report in found]
        if is_done:
            ids += [letter.report_id for letter in self.dead_letters(wanted)]
        erased = self._deletion.delete(wanted.app_id, ids) if ids else 0
        if not is_done:
            self._send(task)
        return Erased(erased, is_done)

    def erase_later(self, wanted: Wanted) -> None:
        """The same, all of it by a task."""
        task = ErasePerson(wanted.app_id, wanted.identifier, tuple(sorted(wanted.where)))
        self._send(replace(task, is_last=True))
        self._send(task)

    def run(self, task: ErasePerson) -> None:
        """Erase a part, and send the rest on."""
        until = time.monotonic() + work_s(self._visibility_s)
        where = frozenset(cast(Iterable[Where], task.where))
        wanted = Wanted(task.app_id, task.identifier, where)
        after: str | None = task.after or None
        erased = task.erased
        while True:
            found = self.find(wanted, _ERASED_AT_ONCE, after)
            ids = [report.report_id for report in found.entries]
            erased += self._deletion.delete(wanted.app_id, ids) if ids else 0
            after = found.after
            if after is None or time.monotonic() > until:
                break
        if after is not None:
            self._send(replace(task, after=after, erased=erased))
            return
        letters = [letter.report_id for letter in self.dead_letters(wanted)]
        erased += self._deletion.delete(wanted.app_id, letters) if letters else 0
        if erased and task.is_last:  # nothing is to be found in the end
            self._send(replace(task, after="", erased=0))

    def _send(self, task: ErasePerson) -> None:
        """The rest at once; a last look when nothing is in work any more that was before."""
        is_begun = bool(task.after)
        delay_s = settled_s(self._visibility_s) if task.is_last and not is_begun else 0
        self._queue.send(encode(task), delay_s=delay_s)


def _stands_in(identifier: str, log: bytes) -> bool:
    """Whether it stands there by itself, not as a part of another user's id or address."""
    if len(identifier) < _MIN_CHARS_IN_LOG:
        return False
    told = re.escape(identifier.encode("utf-8", "replace"))
    return bool(re.search(rb"(?<![\w.@+\-\x80-\xff])%b(?!\.?[\w@+\-\x80-\xff])" % told, log))


def _places(items: Iterable[Item], name: str) -> Iterator[tuple[str, int]]:
    return ((str(item[name]), cast(int, item["report_id"])) for item in items)


def wanted_of(app_id: str, identifier: str | None, where: str | None) -> Wanted:
    """From what a person wrote: `where` is some of `WHERE` with commas between, or nothing."""
    if identifier is None:
        raise InvalidRequest({"identifier": ["is required"]})
    names = [name.strip() for name in where.split(",")] if where else INDEXED
    chosen = frozenset(cast(Iterable[Where], names))
    return Wanted(app_id, identifier, chosen).checked()
