"""Single crashes: the list of a group, one report, its log and attachments."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from itertools import islice

from chalicelib import keys, payload
from chalicelib.errors import FormatError, InvalidRequest, NotFound
from chalicelib.payload import Payload
from chalicelib.queries.paging import Listing, Paging, Slice
from chalicelib.records import DeadLetter, StoredReport
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


class CrashQueries:
    """Reads reports and their payloads."""

    def __init__(self, table: Table, blobs: Blobs) -> None:
        self._table = table
        self._blobs = blobs

    def report(self, report_id: int, app_id: str | None = None) -> StoredReport:
        """One report; raises `NotFound` also for a report of another app than `app_id`."""
        item = self._table.get(keys.report(report_id))
        if item is None or (app_id is not None and item["app_id"] != app_id):
            raise NotFound("crash", str(report_id))
        return StoredReport.from_item(item)

    def payload(self, report_id: int, *, with_attachments: bool = False) -> Payload:
        """What was received for a report: its log, its description, its attachments."""
        try:
            return payload.read(
                self._blobs, keys.raw_blob(report_id), with_attachments=with_attachments
            )
        except BlobNotFound as error:
            raise NotFound("payload of crash", str(report_id)) from error

    def of_group(self, group_id: int, total: int, paging: Paging) -> Listing[StoredReport]:
        """A page of a group's reports, newest first; `total` is the group's count."""
        page_size = min(1000, -(-paging.end // keys.REPORT_SHARDS) + 8)
        items = self._newest_first(keys.reports_of_group(group_id), BY_GROUP, "group_sk", page_size)
        entries = tuple(StoredReport.from_item(i) for i in islice(items, paging.start, paging.end))
        return Listing(entries, total, paging)

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
            keys.reports_of_group(group_id), BY_GROUP, "group_sk", page_size, after
        )
        following = (item for item in items if item["group_sk"] != after)
        reports = tuple(StoredReport.from_item(item) for item in islice(following, limit + 1))
        if len(reports) <= limit:
            return Slice(reports, None)
        return Slice(reports[:limit], reports[limit - 1].place)

    def all_of_group(self, group_id: int) -> Iterator[StoredReport]:
        """Every report of a group, newest first."""
        items = self._newest_first(keys.reports_of_group(group_id), BY_GROUP, "group_sk", 1000)
        return map(StoredReport.from_item, items)

    def is_waiting(self, report_id: int, app_id: str) -> bool:
        """Whether the app's payload of this id was accepted and is still to be processed."""
        if self.dead_letter(report_id) is not None:
            return False
        try:
            return payload.read_as_stored(self._blobs, keys.raw_blob(report_id)).app_id == app_id
        except (BlobNotFound, FormatError):
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
        until: str | None = None,
    ) -> Iterator[Item]:
        """The items of all shards of one list, merged; `until` is the first place they may have."""
        within = SortRange(high=until)
        shards = [
            query_all(
                self._table,
                partition,
                index=index,
                sort=within,
                descending=True,
                page_size=page_size,
            )
            for partition in partitions
        ]
        return heapq.merge(*shards, key=lambda item: str(item[sort]), reverse=True)
