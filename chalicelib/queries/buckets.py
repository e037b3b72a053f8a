"""Buckets at a threshold: the largest of a time, and what one of them holds."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from chalicelib.bucketing.engine import Bucketing
from chalicelib.errors import NotFound
from chalicelib.queries.query import Query
from chalicelib.queries.search import Search
from chalicelib.records import StoredReport
from chalicelib.storage.ports import MAX_BATCH_ITEMS


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
    """Reads buckets; of one, only what is in the given apps is seen."""

    def __init__(self, bucketing: Bucketing, search: Search) -> None:
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
        totals: Counter[str] = Counter()
        for fingerprint, bucket_id in self._buckets_of(list(of_stacks), threshold).items():
            totals[bucket_id] += of_stacks[fingerprint]
        largest = heapq.nsmallest(start + size, totals, key=lambda b: (-totals[b], b))[start:]
        first_at: dict[str, str] = {}
        for report, bucket_id in self._all(app_ids, threshold):
            first_at[bucket_id] = report.date  # newest first, so the last one stays
        return tuple(Bucket(b, totals[b], first_at[b]) for b in largest)

    def bucket(
        self, app_ids: Sequence[str], threshold: str, bucket_id: str, start: int, size: int
    ) -> BucketPage:
        """What the apps have in the bucket; `NotFound` when that is nothing."""
        reports = [r for r, b in self._all(app_ids, threshold) if b == bucket_id]
        if not reports:
            raise NotFound("bucket", bucket_id)
        page = tuple(reports[start : start + size])
        return BucketPage(bucket_id, len(reports), reports[-1].date, page)

    def _all(self, app_ids: Sequence[str], threshold: str) -> Iterator[tuple[StoredReport, str]]:
        reports = list(self._search.matching(app_ids))
        buckets = self._buckets_of(list({r.fingerprint for r in reports}), threshold)
        for report in reports:
            if report.fingerprint in buckets:
                yield report, buckets[report.fingerprint]

    def _buckets_of(self, fingerprints: Sequence[str], threshold: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for start in range(0, len(fingerprints), MAX_BATCH_ITEMS):
            part = fingerprints[start : start + MAX_BATCH_ITEMS]
            for fingerprint, assignment in self._bucketing.assignments(part).items():
                found[fingerprint] = assignment.buckets[threshold]
        return found
