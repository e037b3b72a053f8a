"""The crashes of several apps as one list, oldest first, and what was sent with each."""

from __future__ import annotations

import heapq
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from chalicelib import keys, payload
from chalicelib.companions import Companions
from chalicelib.counts import Counts
from chalicelib.errors import FormatError
from chalicelib.queries.by_day import beginning, reports_by_day
from chalicelib.queries.paging import Listing, Paging
from chalicelib.records import Sent, StoredReport
from chalicelib.storage.ports import (
    BlobNotFound,
    Blobs,
    Item,
    SortRange,
    Table,
    get_all,
    query_all,
)
from chalicelib.storage.schema import BY_APP

_MAX_INFLATED_BYTES = 2_000_000  # of annotations; a door takes an eighth of that
_MAX_PAGE = 1000  # items of one query


class AllCrashes:
    """Reads a page of the reports of any number of apps."""

    def __init__(self, table: Table, blobs: Blobs, counts: Counts) -> None:
        self._table = table
        self._blobs = blobs
        self._counts = counts

    def oldest_first(self, app_ids: Sequence[str], paging: Paging) -> Listing[StoredReport]:
        """A page of the apps' reports by their dates, and how many there are.

        The counts by day say on which day the page begins, so that a late
        page reads no more than the reports of that day before it.
        """
        days = {app_id: self._reports_by_day(app_id) for app_id in dict.fromkeys(app_ids)}
        together = sum(days.values(), Counter[str]())
        total = sum(together.values())
        begin = beginning(together, paging.start, newest_first=False)
        if begin is None:
            return Listing((), total, paging)
        apps = [app_id for app_id, counted in days.items() if max(counted, default="") >= begin.day]
        last = begin.skipped + paging.per_page
        found = self._from(apps, begin.day, last)
        entries = tuple(StoredReport.from_item(i) for i in islice(found, begin.skipped, last))
        return Listing(entries, total, paging)

    def companions(self, reports: Sequence[StoredReport]) -> dict[int, Companions]:
        """What came with each of the reports, by their ids."""
        wanted = {report.report_id for report in reports if report.door in payload.MINIDUMP_DOORS}
        items = get_all(self._table, map(keys.sent, wanted)).values()
        found = {sent.report_id: self._companions(sent) for sent in map(Sent.from_item, items)}
        return {report.report_id: found.get(report.report_id, Companions()) for report in reports}

    def _companions(self, sent: Sent) -> Companions:
        if sent.annotations is None:
            annotations = self._in_payload(sent.report_id)
        else:
            inflater = zlib.decompressobj()
            annotations = json.loads(inflater.decompress(sent.annotations, _MAX_INFLATED_BYTES))
        return Companions(
            sent.has_dump, sent.has_archive, sent.appid, sent.userid, annotations or {}
        )

    def _in_payload(self, report_id: int) -> Mapping[str, str]:
        try:
            return payload.read_as_stored(self._blobs, keys.raw_blob(report_id)).annotations
        except (BlobNotFound, FormatError):
            return {}

    def _reports_by_day(self, app_id: str) -> Counter[str]:
        pending = self._counts.pending(app_id).rows
        return reports_by_day(self._table, keys.app_partition(app_id), pending)

    def _from(self, app_ids: Sequence[str], day: str, wanted: int) -> Iterator[Item]:
        """The reports of a day and all later ones."""
        shards = [
            query_all(
                self._table,
                partition,
                index=BY_APP,
                sort=SortRange(low=day, high="\U0010ffff"),
                page_size=min(_MAX_PAGE, -(-wanted // keys.REPORT_SHARDS) + 8),
            )
            for app_id in app_ids
            for partition in keys.reports_of_app(app_id)
        ]
        return heapq.merge(*shards, key=lambda item: str(item["app_sk"]))
