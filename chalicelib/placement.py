"""Where reports belong after what people decided about their groups, and how they come there.

Three notes say it, and each can be taken back by itself: a group that was
merged names the group it was merged into (`Group.merged_into`), a bucket names
its own group (`home`, where its pointer leads elsewhere), and so does a stack
that was taken out of its group. A report belongs to the group at the end of
that way: from its stack, or else from its stack's bucket, to a home, and on
from group to group.

Crashes that come look at none of this. For them the end of the way stands in
the pointers of stacks and buckets, which follow a decision (`lead`), as do the
reports that are there (`move`). Both look at one thing at a time and change
nothing that is right already: they may stop anywhere and be done again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar, cast

from chalicelib import deltas, keys
from chalicelib.bootstrap import Services
from chalicelib.ids import sortable
from chalicelib.left_groups import left
from chalicelib.records import Group, Merge, Split, StoredReport
from chalicelib.sampling import Weights
from chalicelib.storage.ports import (
    MAX_BATCH_ITEMS,
    ConditionFailed,
    Conflict,
    Item,
    Key,
    Operation,
    Update,
    Value,
    get_all,
    query_all,
)
from chalicelib.storage.schema import BY_GROUP

_TOGETHER = 40  # reports, or pointers, of one batch: with a delta and the notes of their groups
_MAX_ATTEMPTS = 10  # to move one report while others move or delete it

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Decisions:
    """What people decided about the groups of an app, as far as it was not undone, and the splits
    that were: those may be made again."""

    merges: tuple[Merge, ...]
    splits: tuple[Split, ...]

    def below(self, group_id: int) -> set[int]:
        """The group and all that were merged into it, or into those."""
        children: dict[int, list[int]] = {}
        for merge in self.merges:
            children.setdefault(merge.into, []).append(merge.group_id)
        for split in self.splits:
            if split.undone:
                children.setdefault(split.home, []).append(split.group_id)
        found = {group_id}
        waiting = [group_id]
        while waiting:
            for child in children.get(waiting.pop(), ()):
                if child not in found:
                    found.add(child)
                    waiting.append(child)
        return found


class Placement:
    """Tells and changes where reports of one app are. Remembers what it read: use one for a short
    time only."""

    def __init__(self, services: Services, app_id: str) -> None:
        self._services = services
        self._table = services.table
        self._app_id = app_id
        self._homes: dict[str, int] = {}
        self._ends: dict[int, int] = {}

    # --- telling ---

    def decisions(self) -> Decisions:
        """Reads every decision about the app's groups: as many as people made."""
        merges: list[Merge] = []
        splits: list[Split] = []
        for item in query_all(self._table, keys.merge(self._app_id, 0).pk):
            if str(item["sk"]).startswith("merge#"):
                merges.append(Merge.from_item(item))
            else:
                splits.append(Split.from_item(item))
        return Decisions(tuple(merges), tuple(splits))

    def home(self, fingerprint: str) -> int | None:
        """The group that a stack has but for merges; None where nothing tells."""
        self._look_up([fingerprint])
        return self._homes.get(fingerprint)

    def end(self, group_id: int) -> int:
        """The group that one was merged into in the end: itself where it was not."""
        if group_id not in self._ends:
            seen: set[int] = set()
            following = group_id
            while following not in seen:
                seen.add(following)
                item = self._table.get(keys.group(following)) or {}
                following = cast(int, item.get("merged_into", following))
            self._ends[group_id] = following
        return self._ends[group_id]

    def of_stacks(self, fingerprints: Sequence[str], current: int) -> dict[str, int]:
        """Where the reports of stacks belong that are in the group `current`."""
        self._look_up(fingerprints)
        return {name: self.end(self._homes.get(name, current)) for name in fingerprints}

    def _look_up(self, fingerprints: Iterable[str]) -> None:
        wanted = dict.fromkeys(name for name in fingerprints if name not in self._homes)
        for part in _in_parts(wanted, MAX_BATCH_ITEMS):
            places = {keys.stack_in_app(name, self._app_id): name for name in part}
            for key, pointer in self._table.batch_get(list(places)).items():
                if "home" in pointer:
                    self._homes[places[key]] = cast(int, pointer["home"])
            self._look_up_buckets([name for name in part if name not in self._homes])

    def _look_up_buckets(self, fingerprints: Sequence[str]) -> None:
        default = self._services.bucketing.default_threshold
        assigned = self._services.bucketing.assignments(fingerprints)
        places = {
            name: keys.group_of_bucket(found.buckets[default], self._app_id)
            for name, found in assigned.items()
        }
        pointers = get_all(self._table, places.values())
        for name, place in places.items():
            pointer = pointers.get(place)
            if pointer is not None:
                self._homes[name] = cast(int, pointer.get("home", pointer["group_id"]))

    # --- crashes that come ---

    def lead(self, group_id: int) -> int:
        """Have the stacks that lead to a group lead where they belong; how many did not.

        Of a bucket that leads to another group than its own only `lead_buckets` knows.
        """
        led = 0
        items = query_all(self._table, keys.stacks_of_group(group_id), index=BY_GROUP)
        for part in _in_parts(list(items), MAX_BATCH_ITEMS):
            belongs = self.of_stacks([str(item["group_sk"]) for item in part], group_id)
            for item in part:
                target = belongs[str(item["group_sk"])]
                if target != group_id:
                    place: dict[str, Value] = {
                        "group_id": target,
                        "group_pk": keys.stacks_of_group(target),
                    }
                    led += self._set(item, place)
        return led

    def lead_buckets(self, subject: int) -> int:
        """The same of the buckets of a group and of those that were merged into it."""
        below = self.decisions().below(subject)
        groups = map(Group.from_item, get_all(self._table, map(keys.group, below)).values())
        homes = {
            keys.group_of_bucket(group.bucket_id, self._app_id): group.group_id for group in groups
        }
        led = 0
        for key, item in get_all(self._table, homes).items():
            target = self.end(homes[key])
            if item["group_id"] != target and item.get("home", item["group_id"]) == homes[key]:
                led += self._set(item, {"group_id": target, "home": homes[key]})
        return led

    def _set(self, pointer: Item, values: Mapping[str, Value]) -> bool:
        """Change a pointer, unless another has done so; what is wrong then is found again."""
        key = Key(str(pointer["pk"]), str(pointer["sk"]))
        try:
            self._table.write([Update(key, set=values, require={"group_id": pointer["group_id"]})])
        except (ConditionFailed, Conflict):
            return False
        return True

    # --- reports that are there ---

    def move(self, reports: Iterable[StoredReport]) -> int:
        """Bring reports where they belong, with their counts; how many were elsewhere."""
        return sum(self._move_some(part) for part in _in_parts(reports, _TOGETHER))

    def _move_some(self, reports: Sequence[StoredReport]) -> int:
        astray = list(self._astray(reports))
        if not astray:
            return 0
        try:
            self._table.write(self._operations(astray))
        except (ConditionFailed, Conflict):  # one of them was moved or deleted by another
            return sum(self._move_again(report) for report, _ in astray)
        return len(astray)

    def _move_again(self, report: StoredReport) -> int:
        for _ in range(_MAX_ATTEMPTS):
            current = StoredReport.at(self._table.get(keys.report(report.report_id)))
            astray = list(self._astray([current])) if current is not None else []
            if not astray:
                return 0
            try:
                self._table.write(self._operations(astray))
            except (ConditionFailed, Conflict):
                continue
            return 1
        raise Conflict(f"report {report.report_id} keeps moving")

    def _astray(self, reports: Sequence[StoredReport]) -> Iterator[tuple[StoredReport, int]]:
        """Those of the reports that belong elsewhere, and where."""
        self._look_up(report.fingerprint for report in reports)
        for report in reports:
            target = self.end(self._homes.get(report.fingerprint, report.group_id))
            if target != report.group_id:
                yield report, target

    def _operations(self, astray: Sequence[tuple[StoredReport, int]]) -> list[Operation]:
        operations: list[Operation] = []
        rows: list[deltas.Row] = []
        left_by: dict[int, set[int]] = {}
        weights = Weights(self._table, self._app_id, [report for report, _ in astray])
        for report, target in astray:
            place = replace(report, group_id=target).item()
            operations.append(
                Update(
                    keys.report(report.report_id),
                    set={name: place[name] for name in ("group_id", "group_pk", "group_sk")},
                    require={"group_id": report.group_id, "fingerprint": report.fingerprint},
                )
            )
            operations += weights.moved(report, replace(report, group_id=target))
            # of its stack the app has as many as before: that is not counted
            row = deltas.row_of(target, report.version_id, report.date, "", weights.of(report))
            rows += [row, deltas.less(row._replace(group_id=report.group_id))]
            left_by.setdefault(report.group_id, set()).add(report.version_id)
        shard = astray[0][0].report_id % keys.DELTA_SHARDS
        batch = sortable(self._services.ids.next())
        counted = deltas.tally(rows)
        operations.append(deltas.delta_put(self._app_id, shard, batch, counted, 0, moved=True))
        operations += (left(self._app_id, group, versions) for group, versions in left_by.items())
        return operations


def _in_parts(values: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(values)
    while part := list(islice(rest, size)):
        yield part
