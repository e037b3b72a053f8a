"""Buckets at a threshold: the largest of a time, and what one of them holds."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from chalicelib import keys
from chalicelib.bucketing.engine import Bucketing
from chalicelib.counts import Counts, StackTotal
from chalicelib.errors import NotFound
from chalicelib.queries.query import Query
from chalicelib.queries.search import Search
from chalicelib.records import StoredReport
from chalicelib.storage.ports import MAX_BATCH_ITEMS, Item, Table, get_all, query_all
from chalicelib.storage.schema import BY_GROUP


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket's id, how many reports were counted, and the date of the earliest of all."""

    bucket_id: str
    total: int
    first_at: str


@dataclass(frozen=True, slots=True)
class BucketPage:
    """All that a bucket holds in some apps, and a part of it, newest first."""

    bucket_id: str
    total: int
    first_at: str
    reports: tuple[StoredReport, ...]


class BucketQueries:
    """Reads buckets; an app's reports are all that is seen of one."""

    def __init__(self, table: Table, counts: Counts, bucketing: Bucketing, search: Search) -> None:
        self._table = table
        self._counts = counts
        self._bucketing = bucketing
        self._search = search

    def top(
        self,
        app_ids: Sequence[str],
        threshold: str,
        since: datetime | None,
        until: datetime | None,
        query: Query | None = None,
        *,
        start: int = 0,
        size: int = 10,
    ) -> tuple[Bucket, ...]:
        """The buckets with the most reports of that time that match, largest first.

        `total` counts just these reports; `first_at` looks at the bucket's whole life.
        """
        reports = self._search.matching(app_ids, query, since, until)
        of_stacks = Counter(report.fingerprint for report in reports)
        bucket_of = self._buckets_of(list(of_stacks), threshold)
        totals: Counter[str] = Counter()
        for fingerprint, bucket_id in bucket_of.items():
            totals[bucket_id] += of_stacks[fingerprint]
        largest = heapq.nsmallest(start + size, totals, key=lambda b: (-totals[b], b))[start:]
        return tuple(
            Bucket(bucket_id, totals[bucket_id], self._first_at(app_ids, threshold, bucket_id))
            for bucket_id in largest
        )

    def bucket(
        self, app_ids: Sequence[str], threshold: str, bucket_id: str, start: int, size: int
    ) -> BucketPage:
        """What the apps have in the bucket; `NotFound` when that is nothing."""
        members = set(self._bucketing.members(threshold, bucket_id))
        totals = {app_id: self._counts.of_stacks(app_id, list(members)) for app_id in app_ids}
        counted = [total for of_app in totals.values() for total in of_app.values()]
        if not counted:
            raise NotFound("bucket", bucket_id)
        reports = self._newest_first(totals, members)
        return BucketPage(
            bucket_id,
            sum(total.reports for total in counted),
            min(total.first_at for total in counted),
            tuple(islice(reports, start, start + size)),
        )

    def _buckets_of(self, fingerprints: Sequence[str], threshold: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for start in range(0, len(fingerprints), MAX_BATCH_ITEMS):
            part = fingerprints[start : start + MAX_BATCH_ITEMS]
            for fingerprint, assignment in self._bucketing.assignments(part).items():
                found[fingerprint] = assignment.buckets[threshold]
        return found

    def _first_at(self, app_ids: Sequence[str], threshold: str, bucket_id: str) -> str:
        members = list(self._bucketing.members(threshold, bucket_id))
        return min(
            total.first_at
            for app_id in app_ids
            for total in self._counts.of_stacks(app_id, members).values()
        )

    def _newest_first(
        self, totals: Mapping[str, Mapping[str, StackTotal]], members: set[str]
    ) -> Iterator[StoredReport]:
        """The reports of the stacks, found in the groups that hold them."""
        places = [
            keys.stack_in_app(fingerprint, app_id)
            for app_id, of_app in totals.items()
            for fingerprint in of_app
        ]
        groups = {item["group_id"] for item in get_all(self._table, places).values()}
        shards = [
            query_all(self._table, partition, index=BY_GROUP, descending=True, page_size=200)
            for group_id in groups
            if isinstance(group_id, int)
            for partition in keys.reports_of_group(group_id)
        ]
        merged = heapq.merge(*shards, key=_place, reverse=True)
        return (StoredReport.from_item(item) for item in merged if item["fingerprint"] in members)


def _place(item: Item) -> str:
    return str(item["group_sk"])
