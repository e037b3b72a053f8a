"""Single crashes: the list of a group, one report, its log and attachments."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from chalicelib import keys, payload
from chalicelib.counts import Counts
from chalicelib.errors import FormatError, InvalidRequest, NotFound
from chalicelib.payload import Payload
from chalicelib.queries.by_day import Beginning, beginning, reports_by_day
from chalicelib.queries.groups import CountedGroup
from chalicelib.queries.paging import Listing, Paging, Slice
from chalicelib.records import DeadLetter, Deleted, StoredReport
from chalicelib.storage.ports import (
    BlobNotFound,
    Blobs,
    Index,
    Item,
    SortRange,
    Table,
    query_all,
)
from chalicelib.storage.schema import BY_APP, BY_GROUP

_PLACE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z#\d{16}", re.ASCII)
_AFTER_ALL_DAYS = "9999"
_MAX_PAGE = 1000  # items of one query
_AHEAD = 50  # items of a group's shard that are read ahead, where a few may be enough


class CrashQueries:
    """Reads reports and their payloads."""

    def __init__(self, table: Table, blobs: Blobs, counts: Counts) -> None:
        self._table = table
        self._blobs = blobs
        self._counts = counts

    def report(self, report_id: int, app_id: str | None = None) -> StoredReport:
        """One report, or the one through which it is counted where it was not kept; raises
        `NotFound` also for a report of another app than `app_id`."""
        item = self._table.get(keys.report(report_id))
        note = Deleted.at(item)
        if note is not None and note.counted_by is not None:
            item = self._table.get(keys.report(note.counted_by))
        found = StoredReport.at(item)
        if found is None or app_id not in {None, found.app_id}:
            raise NotFound("crash", str(report_id))
        return found

    def payload(self, report_id: int, *, with_attachments: bool = False) -> Payload:
        """What was received for a report: its log, its description, its attachments; or for the
        one through which it is counted."""
        try:
            return payload.read(
                self._blobs, keys.raw_blob(report_id), with_attachments=with_attachments
            )
        except BlobNotFound as error:
            note = Deleted.at(self._table.get(keys.report(report_id)))
            if note is not None and note.counted_by is not None:
                return self.payload(note.counted_by, with_attachments=with_attachments)
            raise NotFound("payload of crash", str(report_id)) from error

    def of_group(self, entry: CountedGroup, paging: Paging) -> Listing[StoredReport]:
        """A page of a group's reports, newest first.

        The counts by day say where a late page begins, so that it reads no
        more than the reports of that day before it.
        """
        group = entry.group
        begin = Beginning(_AFTER_ALL_DAYS, paging.start)
        if paging.start > 0:
            pending = self._counts.pending(group.app_id).rows
            partition = keys.group_partition(group.group_id)
            rows = (row for row in pending if row.group_id == group.group_id)
            days = reports_by_day(self._table, partition, rows)
            found = beginning(days, paging.start, newest_first=True)
            if found is None:
                return Listing((), entry.kept, paging)
            begin = found
        last = begin.skipped + paging.per_page
        items = self._newest_first(
            keys.reports_of_group(group.group_id),
            BY_GROUP,
            "group_sk",
            min(_MAX_PAGE, -(-last // keys.REPORT_SHARDS) + 8),
            SortRange(high=f"{begin.day}\U0010ffff"),
        )
        entries = tuple(StoredReport.from_item(i) for i in islice(items, begin.skipped, last))
        return Listing(entries, entry.kept, paging)

    def of_group_in_version(
        self, group_id: int, version_id: int, total: int, paging: Paging
    ) -> Listing[StoredReport]:
        """A page of a group's reports of one version; `total` is how many those are."""
        items = self._newest_first(keys.reports_of_group(group_id), BY_GROUP, "group_sk", 200)
        ours = (item for item in items if item["version_id"] == version_id)
        entries = tuple(StoredReport.from_item(i) for i in islice(ours, paging.start, paging.end))
        return Listing(entries, total, paging)

    def newest_of_group(
        self, group_id: int, limit: int, after: str | None = None
    ) -> Slice[StoredReport]:
        """At most `limit` reports of a group, newest first, after the place where a slice ended.

        Costs what is returned, however late the slice is. Raises
        `InvalidRequest` for a place that is none.
        """
        if after is not None and not _PLACE.fullmatch(after):
            raise InvalidRequest({"after": ["is not where a page ended"]})
        page_size = min(1000, -(-limit // keys.REPORT_SHARDS) + 8)
        items = self._newest_first(
            keys.reports_of_group(group_id), BY_GROUP, "group_sk", page_size, SortRange(high=after)
        )
        following = (item for item in items if item["group_sk"] != after)
        reports = tuple(StoredReport.from_item(item) for item in islice(following, limit + 1))
        if len(reports) <= limit:
            return Slice(reports, None)
        return Slice(reports[:limit], reports[limit - 1].place)

    def newest_first(self, group_id: int) -> Iterator[StoredReport]:
        """The reports of a group, the newest first, read as they are asked for."""
        items = self._newest_first(keys.reports_of_group(group_id), BY_GROUP, "group_sk", _AHEAD)
        return map(StoredReport.from_item, items)

    def oldest_first(self, group_id: int, since: str | None = None) -> Iterator[StoredReport]:
        """The same from the other end, or from a date (as stored) on."""
        shards = [
            query_all(
                self._table, partition, index=BY_GROUP, sort=SortRange(low=since), page_size=_AHEAD
            )
            for partition in keys.reports_of_group(group_id)
        ]
        merged = heapq.merge(*shards, key=lambda item: str(item["group_sk"]))
        return map(StoredReport.from_item, merged)

    def unprocessed(self, report_id: int) -> Payload:
        """What was received for a crash that has no report: it waits, or is a dead letter.

        Without a log that is a blob by itself. Raises `NotFound` also for a
        crash that was deleted, while its payload is still there.
        """
        if Deleted.at(self._table.get(keys.report(report_id))) is None:
            with suppress(BlobNotFound, FormatError):
                return payload.read_as_stored(self._blobs, keys.raw_blob(report_id))
        raise NotFound("crash", str(report_id))

    def is_waiting(self, report_id: int, app_id: str) -> bool:
        """Whether the app's payload of this id was accepted and is still to be processed."""
        if self.dead_letter(report_id) is not None:
            return False
        try:
            return self.unprocessed(report_id).app_id == app_id
        except NotFound:
            return False

    def of_app(self, app_id: str) -> Iterator[StoredReport]:
        """Every report of an app, newest first."""
        items = self._newest_first(keys.reports_of_app(app_id), BY_APP, "app_sk", 1000)
        return map(StoredReport.from_item, items)

    def dead_letter(self, report_id: int) -> DeadLetter | None:
        """Why a payload could not be made into a report; None where it is no dead letter."""
        item = self._table.get(keys.deadletter(report_id))
        return DeadLetter.from_item(item) if item else None

    def dead_letters(self) -> Iterator[DeadLetter]:
        for partition in keys.deadletters():
            yield from map(DeadLetter.from_item, query_all(self._table, partition))

    def _newest_first(
        self,
        partitions: tuple[str, ...],
        index: Index,
        sort: str,
        page_size: int,
        places: SortRange = SortRange(),
    ) -> Iterator[Item]:
        """The items of all shards of one list, merged."""
        shards = [
            query_all(
                self._table, partition, index=index, sort=places, descending=True,
                page_size=page_size,
            )
            for partition in partitions
        ]  # fmt: skip
        return heapq.merge(*shards, key=lambda item: str(item[sort]), reverse=True)
