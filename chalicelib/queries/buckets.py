"""Buckets at a threshold: the largest of a time, and what one of them holds."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import cast

from chalicelib import keys
from chalicelib.bucketing.engine import Bucketing
from chalicelib.counts import Counts, StackTotal
from chalicelib.errors import NotFound
from chalicelib.formats.partycrasher_rules import is_possible_id
from chalicelib.queries.query import Query
from chalicelib.queries.search import Search
from chalicelib.records import StoredReport
from chalicelib.sampling import Weights
from chalicelib.storage.ports import MAX_BATCH_ITEMS, Item, Table, get_all, query_all
from chalicelib.storage.schema import BY_GROUP

_PAGE_SIZE = 200  # reports of a group's shard that are read ahead


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

        `total` counts just these reports; `first_at` looks at the bucket's
        whole life. Reads every report of that time once, and no payload unless
        the query asks for one.
        """
        of_stacks: Counter[str] = Counter()
        first_at: dict[str, str] = {}
        found = self._search.matching(app_ids, query, since, until)
        while part := list(islice(found, MAX_BATCH_ITEMS)):
            for report, weight in self._weighed(part):
                of_stacks[report.fingerprint] += 1 + weight
                first_at[report.fingerprint] = report.date  # newest first: the oldest stays
        totals: Counter[str] = Counter()
        earliest: dict[str, str] = {}
        for fingerprint, bucket_id in self._buckets_of(list(of_stacks), threshold).items():
            totals[bucket_id] += of_stacks[fingerprint]
            known = earliest.get(bucket_id, first_at[fingerprint])
            earliest[bucket_id] = min(known, first_at[fingerprint])
        largest = heapq.nsmallest(start + size, totals, key=lambda b: (-totals[b], b))[start:]
        members = {name: list(self._bucketing.members(threshold, name)) for name in largest}
        stacks = self._totals(app_ids, {name for names in members.values() for name in names})
        for name in largest:
            earliest[name] = min([earliest[name], *_first_dates(stacks, members[name])])
        return tuple(Bucket(name, totals[name], earliest[name]) for name in largest)

    def bucket(
        self, app_ids: Sequence[str], threshold: str, bucket_id: str, start: int, size: int
    ) -> BucketPage:
        """What the apps have in the bucket; `NotFound` when that is nothing."""
        if not is_possible_id(bucket_id):
            raise NotFound("bucket", bucket_id)
        members = set(self._bucketing.members(threshold, bucket_id))
        stacks = self._totals(app_ids, members)
        if not stacks:
            raise NotFound("bucket", bucket_id)
        reports = self._newest_first(stacks, members)
        return BucketPage(
            bucket_id,
            sum(total.reports for total in stacks.values()),
            min(_first_dates(stacks, members)),
            tuple(islice(reports, start, start + size)),
        )

    def _weighed(self, reports: Sequence[StoredReport]) -> Iterator[tuple[StoredReport, int]]:
        """The reports in their order, each with how many others it stands for."""
        app_ids = dict.fromkeys(report.app_id for report in reports)
        of_app = {app_id: Weights(self._table, app_id, reports) for app_id in app_ids}
        return ((report, of_app[report.app_id].of(report)) for report in reports)

    def _buckets_of(self, fingerprints: Sequence[str], threshold: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for start in range(0, len(fingerprints), MAX_BATCH_ITEMS):
            part = fingerprints[start : start + MAX_BATCH_ITEMS]
            for fingerprint, assignment in self._bucketing.assignments(part).items():
                found[fingerprint] = assignment.buckets[threshold]
        return found

    def _totals(
        self, app_ids: Iterable[str], fingerprints: Collection[str]
    ) -> dict[tuple[str, str], StackTotal]:
        """What the apps have of the stacks, by app and fingerprint."""
        if not fingerprints:
            return {}
        return {
            (app_id, fingerprint): total
            for app_id in app_ids
            for fingerprint, total in self._counts.of_stacks(app_id, fingerprints).items()
        }

    def _newest_first(
        self, stacks: Iterable[tuple[str, str]], members: Collection[str]
    ) -> Iterator[StoredReport]:
        """The reports of the stacks, out of the groups that hold them."""
        shards = [
            query_all(self._table, partition, index=BY_GROUP, descending=True, page_size=_PAGE_SIZE)
            for group_id in sorted(self._groups_of(list(stacks)))
            for partition in keys.reports_of_group(group_id)
        ]
        merged = heapq.merge(*shards, key=_place, reverse=True)
        return (StoredReport.from_item(item) for item in merged if item["fingerprint"] in members)

    def _groups_of(self, stacks: Sequence[tuple[str, str]]) -> set[int]:
        """The groups in which apps have stacks, given as (app, fingerprint).

        A crash without frames has no place of its own in its app: its bucket leads to its group.
        """
        places = {keys.stack_in_app(name, app_id): (app_id, name) for app_id, name in stacks}
        found = get_all(self._table, places)
        without_frames = [place for key, place in places.items() if key not in found]
        default = self._bucketing.default_threshold
        bucket_ids = self._buckets_of([name for _, name in without_frames], default)
        buckets = [
            keys.group_of_bucket(bucket_ids[name], app_id)
            for app_id, name in without_frames
            if name in bucket_ids
        ]
        pointers = (*found.values(), *get_all(self._table, buckets).values())
        return {cast(int, item["group_id"]) for item in pointers}


def _first_dates(
    stacks: Mapping[tuple[str, str], StackTotal], members: Collection[str]
) -> list[str]:
    wanted = set(members)
    return [total.first_at for (_, name), total in stacks.items() if name in wanted]


def _place(item: Item) -> str:
    return str(item["group_sk"])
