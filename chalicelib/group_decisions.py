"""What people decide about which crashes belong together: merge groups, split a stack off, undo.

- A *merge* puts a group into another. Its crashes, those to come, and its id
  lead there. Its status, ticket and annotation rest with it.
- A *split* gives a stack of a group a group of its own, open and with nothing
  noted. Stacks that come later and are like it go where their bucket goes:
  to the group it was taken from, and may be taken out as well.
- Either can be undone, a merge as long as one likes: the group has its id,
  what was noted and its crashes again, with those that came meanwhile. The
  group of a split that is undone waits, merged into that of its stack's
  bucket; the same stack split off again is that group again.

A decision is one atomic batch; moving what is there is the workers' work
(placing.py). Buckets and what bucketing knows of stacks do not change: these
are decisions about an app's groups, and other thresholds have none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar, cast

from chalicelib import clock, keys, placing
from chalicelib.bootstrap import Services
from chalicelib.described import titled
from chalicelib.errors import CrashbucketError, InvalidRequest, NotFound, Refused
from chalicelib.left_groups import left
from chalicelib.placement import Placement
from chalicelib.records import (
    NO_FIRST,
    NO_LAST,
    OPEN,
    Alias,
    Group,
    Merge,
    Split,
    stack_pointer,
)
from chalicelib.storage.ports import (
    ConditionFailed,
    Conflict,
    Delete,
    Operation,
    Put,
    Update,
    Value,
    query_all,
)
from chalicelib.storage.schema import BY_GROUP
from chalicelib.tasks import Place

T = TypeVar("T")
Decision = TypeVar("Decision", Merge, Split)

_MAX_ATTEMPTS = 10  # to write a decision while crashes are counted in its groups
_MAX_SEARCHED = 1000  # crashes of a group, for one of a stack whose first crash is deleted
_MAX_STACKS = 1000  # of a group, that a person is shown


@dataclass(frozen=True, slots=True)
class StackInGroup:
    """A stack of a group: its crashes, and the topmost functions by which a person knows it."""

    fingerprint: str
    total: int
    first_at: str
    last_at: str
    functions: tuple[str, ...]


class GroupDecisions:
    """Decides about the groups of one app; those of another are `NotFound`."""

    def __init__(self, services: Services, app_id: str) -> None:
        self._services = services
        self._table = services.table
        self._app_id = app_id

    # --- merging ---

    def merge(self, group_id: int, into: int) -> None:
        """Put a group into another one, or into the one that was merged into.

        Raises `InvalidRequest` when there is no such group to put it into,
        `Refused` when it is a part of another already. Again it changes nothing.
        """
        self._again(lambda: self._merge(group_id, into))

    def _merge(self, group_id: int, into: int) -> None:
        group = self._group(group_id)
        try:
            target = self._services.groups.group(self._app_id, into).group
        except NotFound as error:
            raise InvalidRequest({"into": ["is no crash reason of this app"]}) from error
        task = Place(self._app_id, group_id, group_id)
        if group.merged_into is not None:
            if self._placement().end(group_id) != target.group_id:
                raise Refused("crash_reason", _merged(group.merged_into))
            placing.begin(self._services, task)
            return
        if target.group_id == group_id:
            problem = "is the crash reason itself"
            if into != group_id:
                problem = f"is merged into crash reason {group_id}: undo that first"
            raise Refused("into", problem)
        now = _now()
        merge = Merge(self._app_id, group_id, target.group_id, now)
        placing.announce(self._services, task)
        self._table.write([
            Update(
                keys.group(group_id),
                set={"merged_into": target.group_id, "updated_at": now},
                require={"merged_into": None},
                must_exist=True,
            ),
            self._relied_on(target.group_id, now),
            Put(merge.item()),
            left(self._app_id, group_id, ()),
        ])  # fmt: skip
        placing.begin(self._services, task)

    def undo_merge(self, group_id: int) -> None:
        """Let a merged group be one of its own again; raises `NotFound` where it is not merged."""
        self._again(lambda: self._undo_merge(group_id))

    def _undo_merge(self, group_id: int) -> None:
        group = self._group(group_id)
        item = self._table.get(keys.merge(self._app_id, group_id))
        if item is None:
            raise NotFound("merge", str(group_id))
        merge = Merge.from_item(item)
        end = self._placement().end(group_id)
        task = Place(self._app_id, end, group_id)
        placing.announce(self._services, task)
        self._table.write([
            *self._own_again(group),
            Delete(merge.key(), require={"into": merge.into, "at": merge.at}),
            self._relied_on_less(merge.into),
            left(self._app_id, end, ()),
        ])  # fmt: skip
        placing.begin(self._services, task)

    # --- splitting ---

    def split(self, group_id: int, fingerprint: str) -> int:
        """Take a stack out of a group; the id of the group that it has now.

        Raises `NotFound` for a stack that the group does not have, `Refused`
        for the only one, and for one that has its own group, which is merged.
        """
        return self._again(lambda: self._split(group_id, fingerprint))

    def _split(self, group_id: int, fingerprint: str) -> int:
        entry = self._services.groups.group(self._app_id, group_id)
        group = entry.group
        pointer = self._table.get(keys.stack_in_app(fingerprint, self._app_id))
        total = self._services.counts.of_stacks(self._app_id, [fingerprint]).get(fingerprint)
        if pointer is None or total is None or pointer["group_id"] != group.group_id:
            raise NotFound("stack", fingerprint)
        own = cast("int | None", pointer.get("home"))
        if own == group.group_id or total.reports >= entry.total:
            raise Refused("stack", "is all that the crash reason has")
        if own is not None:
            return self._split_again(group.group_id, own, fingerprint)
        home = self._placement().home(fingerprint)
        if home is None:
            raise NotFound("stack", fingerprint)
        now = _now()
        made = self._founded(group, fingerprint, now)
        split = Split(self._app_id, made.group_id, fingerprint, group.group_id, home, now)
        task = Place(self._app_id, group.group_id, made.group_id)
        placing.announce(self._services, task)
        self._table.write([
            Put(made.item(), if_absent=True),
            Put(made.by_class()),
            Update(keys.totals(keys.app_partition(self._app_id)), add={"groups": 1}),
            Put(split.item(), if_absent=True),
            Update(keys.group(home), add={"kept": 1}, must_exist=True),
            self._leading(fingerprint, made.group_id, group.group_id, None),
            left(self._app_id, group.group_id, ()),
        ])  # fmt: skip
        placing.begin(self._services, task)
        return made.group_id

    def _split_again(self, source: int, own_id: int, fingerprint: str) -> int:
        """The group that the stack had before the split was undone."""
        split = self._find_split(own_id)
        if split is None or not split.undone:
            raise Refused("stack", f"is in crash reason {own_id}, which is merged: undo that")
        own = self._group(own_id)
        task = Place(self._app_id, source, own_id)
        placing.announce(self._services, task)
        again = replace(split, source=source, at=_now(), undone=False)
        self._table.write([
            *self._own_again(own),
            Update(
                split.key(),
                set={"source": source, "at": again.at, "undone": False},
                require={"undone": True, "at": split.at},
            ),
            self._leading(fingerprint, own_id, source, own_id),
            left(self._app_id, source, ()),
        ])  # fmt: skip
        placing.begin(self._services, task)
        return own_id

    def undo_split(self, group_id: int) -> None:
        """Put a stack back that was taken out, with all that came into its group meanwhile.

        Raises `NotFound` for a group that no split made, `Refused` while it is
        merged, or what it would go back to is merged into it.
        """
        self._again(lambda: self._undo_split(group_id))

    def _undo_split(self, group_id: int) -> None:
        own = self._group(group_id)
        split = self._find_split(group_id)
        if split is None or split.undone:
            raise NotFound("split", str(group_id))
        if own.merged_into is not None:
            raise Refused("crash_reason", _merged(own.merged_into))
        if self._placement().end(split.home) == group_id:
            told = f"has crash reason {split.home}, where its stack came from: undo that merge"
            raise Refused("crash_reason", told)
        task = Place(self._app_id, group_id, group_id)
        placing.announce(self._services, task)
        now = _now()
        kept = own.kept or 0
        self._table.write([
            Update(
                keys.group(group_id),
                set={"merged_into": split.home, "updated_at": now, "kept": kept - 1},
                require={"merged_into": None, "kept": own.kept},
                must_exist=True,
            ),
            Update(split.key(), set={"undone": True}, require={"undone": False, "at": split.at}),
            left(self._app_id, group_id, ()),
        ])  # fmt: skip
        placing.begin(self._services, task)

    def undo(self, group_id: int) -> str:
        """Undo the latest that was decided about a group: `merge` or `split`."""
        if self._table.get(keys.merge(self._app_id, group_id)) is not None:
            self.undo_merge(group_id)
            return "merge"
        self.undo_split(group_id)
        return "split"

    # --- telling ---

    def stacks(self, group_id: int) -> list[StackInGroup]:
        """The stacks of a group, those with the most crashes first, of at most `_MAX_STACKS`.

        Crashes without frames have none.
        """
        group = self._services.groups.group(self._app_id, group_id).group
        listed = query_all(self._table, keys.stacks_of_group(group.group_id), index=BY_GROUP)
        names = [str(item["group_sk"]) for item in islice(listed, _MAX_STACKS)]
        totals = self._services.counts.of_stacks(self._app_id, names)
        known = list(totals)
        functions: dict[str, tuple[str, ...]] = {}
        for start in range(0, len(known), 100):
            part = self._services.bucketing.functions(known[start : start + 100])
            functions.update({name: tuple(frames[:3]) for name, frames in part.items()})
        found = [
            StackInGroup(name, t.reports, t.first_at, t.last_at, functions.get(name, ()))
            for name, t in totals.items()
        ]
        return sorted(found, key=lambda stack: (-stack.total, stack.fingerprint))

    def of_group(self, group_id: int) -> tuple[list[Merge], list[Split]]:
        """The merges into a group, through others too, and the splits from and to it.

        Reads every decision about the app's groups.
        """
        group = self._services.groups.group(self._app_id, group_id).group
        decided = self._placement().decisions()
        below = decided.below(group.group_id)
        merges = [merge for merge in decided.merges if merge.group_id in below]
        splits = [s for s in decided.splits if not s.undone and {s.source, s.group_id} & below]
        merges = [merge for merge in merges if merge.group_id != group.group_id]
        return _latest(merges), _latest(splits)

    # --- helpers ---

    def _again(self, decide: Callable[[], T]) -> T:
        """Decide anew on what is there, while others write to the same groups."""
        for _ in range(_MAX_ATTEMPTS):
            with suppress(ConditionFailed, Conflict):
                return decide()
        raise Conflict("others keep writing to these groups")

    def _group(self, group_id: int) -> Group:
        """The group of that id itself, whatever it was merged into."""
        item = self._table.get(keys.group(group_id))
        if item is None or item["app_id"] != self._app_id:
            raise NotFound("crash reason", str(group_id))
        return Group.from_item(item)

    def _placement(self) -> Placement:
        return Placement(self._services, self._app_id)

    def _find_split(self, group_id: int) -> Split | None:
        item = self._table.get(keys.split(self._app_id, group_id))
        return Split.from_item(item) if item is not None else None

    def _relied_on(self, group_id: int, now: str) -> Update:
        """The group stays: another is merged into it. It must be one of its own: so no two groups
        can be merged into each other."""
        return Update(
            keys.group(group_id),
            add={"kept": 1},
            set={"updated_at": now},
            require={"merged_into": None},
            must_exist=True,
        )

    def _relied_on_less(self, group_id: int) -> Update:
        return Update(keys.group(group_id), add={"kept": -1}, must_exist=True)

    def _own_again(self, group: Group) -> list[Operation]:
        """What makes a merged group one of its own, listed again if it is in no list any more. It
        stays though its crashes are still on their way."""
        set_: dict[str, Value] = {"updated_at": _now()}
        require: dict[str, Value] = {"merged_into": group.merged_into, "unlisted": group.unlisted}
        again: list[Operation] = [left(self._app_id, group.group_id, ())]
        if group.unlisted:
            places = group.orders()
            set_ |= places
            require |= {name: getattr(group, name) for name in ("total", "created_at", "last_at")}
            again.append(Put(group.by_class()))
            totals = keys.totals(keys.app_partition(self._app_id))
            again.append(Update(totals, add={"groups": 1}))
        gone = ("merged_into", "unlisted")
        own = Update(
            keys.group(group.group_id), add={"kept": 1}, set=set_, remove=gone, require=require,
            must_exist=True,
        )  # fmt: skip
        return [own, *again]

    def _leading(
        self, fingerprint: str, group_id: int, source: int, home_before: int | None
    ) -> Update:
        """The stack leads to its own group, if it leads where it was read to."""
        place = stack_pointer(fingerprint, self._app_id, group_id)
        values = {name: place[name] for name in ("group_id", "group_pk", "group_sk")}
        return Update(
            keys.stack_in_app(fingerprint, self._app_id),
            set={**values, "home": group_id},
            require={"group_id": source, "home": home_before},
        )

    def _founded(self, source: Group, fingerprint: str, now: str) -> Group:
        """A new group for a stack, named by a crash of it where one can be read."""
        return replace(
            source,
            group_id=self._services.ids.next(),
            bucket_id=f"split-{fingerprint}",
            created_at=NO_FIRST,
            last_at=NO_LAST,
            total=0,
            sampled=None,
            status=OPEN,
            updated_at=now,
            ticket_url=None,
            resolved_at=None,
            resolved_in_version_id=None,
            regressed_at=None,
            regressed_in_version_id=None,
            merged_into=None,
            unlisted=None,
            kept=1,
            **self._titles(source, fingerprint),
        )

    def _titles(self, source: Group, fingerprint: str) -> dict[str, Any]:
        for report_id in self._crashes_of(source.group_id, fingerprint):
            with suppress(CrashbucketError):
                received = self._services.crashes.payload(report_id)
                return titled(self._services.reader.crash(received))
        return {}

    def _crashes_of(self, group_id: int, fingerprint: str) -> Iterable[int]:
        """The crash that brought the stack, if it is the app's and there; else some that has it."""
        assigned = self._services.bucketing.assignments([fingerprint]).get(fingerprint)
        if assigned is not None and assigned.founder.app_id == self._app_id:
            database_id = assigned.founder.database_id
            item = self._table.get(keys.database_id(database_id))
            if item is not None:
                yield Alias.from_item(item).report_id
            elif database_id.isascii() and database_id.isdigit():
                yield int(database_id)
        for report in islice(self._services.crashes.newest_first(group_id), _MAX_SEARCHED):
            if report.fingerprint == fingerprint:
                yield report.report_id
                return


def _latest(decided: list[Decision]) -> list[Decision]:
    return sorted(decided, key=lambda decision: decision.at, reverse=True)


def _merged(into: int) -> str:
    return f"is merged into crash reason {into}: undo that first"


def _now() -> str:
    return clock.to_stored(clock.now())
