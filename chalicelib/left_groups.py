"""Notes of groups that lost reports: their dates may be others now, or they may be empty.

A note is written in the batch that takes the reports away, so that whoever
settles the group (settling.py) finds it also after a stop.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from chalicelib import clock, keys
from chalicelib.storage.ports import Item, Key, SortRange, Table, Update, Value, query_all

_VERSION = "v"  # before the id of a version, in the name of an attribute: notes add up


@dataclass(frozen=True, slots=True)
class LeftGroup:
    """A group that lost reports of these versions, the last ones at the time `at` (as stored).

    `mark` is another one whenever it loses more. `is_closed`: nothing leads to
    the group any more since then.
    """

    key: Key
    group_id: int
    version_ids: tuple[int, ...]
    at: str
    mark: str
    is_closed: bool


def left(app_id: str, group_id: int, version_ids: Iterable[int]) -> Update:
    """Note that reports of these versions left the group. Whether it was closed does not matter
    any more: it has had reports since."""
    told: dict[str, Value] = {f"{_VERSION}{version_id}": True for version_id in version_ids}
    told |= {"group_id": group_id, **_now()}
    return Update(keys.left_by_regrouping(app_id, group_id), set=told, remove=("closed",))


def closed(note: LeftGroup) -> Update:
    """Note that nothing leads to the group any more from now on, unless it has lost more."""
    return Update(note.key, set={"closed": True, **_now()}, require={"mark": note.mark})


def left_groups(table: Table, app_id: str) -> list[LeftGroup]:
    """The groups of an app that are to be settled."""
    first = keys.left_by_regrouping(app_id, 0)
    notes = SortRange.beginning_with(first.sk.rstrip("0"))
    return [_of_item(item) for item in query_all(table, first.pk, sort=notes)]


def _now() -> dict[str, Value]:
    return {"at": clock.to_stored(clock.now()), "mark": secrets.token_hex(8)}


def _of_item(item: Item) -> LeftGroup:
    versions = (name.removeprefix(_VERSION) for name in item if name.startswith(_VERSION))
    return LeftGroup(
        Key(str(item["pk"]), str(item["sk"])),
        cast(int, item["group_id"]),
        tuple(sorted(int(version) for version in versions if version.isdigit())),
        str(item.get("at", "")),
        str(item.get("mark", "")),
        bool(item.get("closed", False)),
    )
