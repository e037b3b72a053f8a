"""Where a group stands in the lists of groups of an app and of a version.

Each list is an order of its own, over shards: each fold gives a group new places
in them. So a group is at one shard of each, by its id.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import cast

from chalicelib import keys
from chalicelib.ids import sortable
from chalicelib.storage.ports import Item, SortRange, Table, Value, query_all
from chalicelib.storage.schema import BY_APP


def places(
    owner: str | int, group_id: int, first_at: str, total: int, last_at: str
) -> dict[str, Value]:
    """A group's places in the lists of an app (its id) or a version: by its first crash, by how
    many it has, by its last one."""
    end = sortable(group_id)
    by_total = keys.groups_by_total(owner)[_shard(group_id)]
    return {
        **place_by_first(owner, group_id, first_at),
        "group_pk": by_total if total > 0 else keys.groups_without_crashes(owner),
        "group_sk": f"{max(total, 0):012d}#{end}",
        "user_pk": keys.groups_by_last(owner)[_shard(group_id)],
        "user_sk": f"{last_at}#{end}",
    }


def place_by_first(owner: str | int, group_id: int, first_at: str) -> dict[str, Value]:
    """The only place of a group whose first crash waits to be counted."""
    partition = keys.groups_by_first(owner)[_shard(group_id)]
    return {"app_pk": partition, "app_sk": f"{first_at}#{sortable(group_id)}"}


def listed(table: Table, owner: str | int, after: str = "") -> Iterator[Item]:
    """Every group of an app or a version by its first crash, behind the place (`app_sk`) of one."""
    behind = SortRange(low=f"{after}\0" if after else None)
    shards = [
        query_all(table, partition, index=BY_APP, sort=behind)
        for partition in keys.groups_by_first(owner)
    ]
    return heapq.merge(*shards, key=lambda item: cast(str, item["app_sk"]))


def _shard(group_id: int) -> int:
    return group_id % keys.ORDER_SHARDS
