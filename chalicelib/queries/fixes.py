"""Whether the cause of a crash is fixed: looked up in what is stored, before the crash is there.

For a door that answers with it and leaves the crash to the workers. The answer
is the one that the crash's group would give once the crash is counted.
"""

from __future__ import annotations

from typing import cast

from chalicelib import clock, keys
from chalicelib.bucketing.engine import Bucketing
from chalicelib.counts import Counts
from chalicelib.crash import Crash
from chalicelib.deltas import row_of
from chalicelib.queries.groups import GroupQueries
from chalicelib.records import RESOLVED, Version
from chalicelib.regressions import Regressions
from chalicelib.storage.ports import Table, get_all

_UNSTORED = -1  # the id of a version that nothing crashed in before: no stored one has it


class Fixes:
    """Looks up groups by crashes; writes nothing."""

    def __init__(
        self, table: Table, bucketing: Bucketing, groups: GroupQueries, counts: Counts
    ) -> None:
        self._table = table
        self._bucketing = bucketing
        self._groups = groups
        self._counts = counts
        self._regressions = Regressions(table)

    def is_fixed(self, crash: Crash) -> bool:
        """Whether the crash's group is resolved, and this crash does not open it again.

        False for a stack that is like stored ones but equals none: that would
        cost comparing them. Two reads for a stack that the app has in an open
        group, six at most for one that it has not; a resolved group's pending
        counts are read too. Raises `NotFound` where the group was just deleted.
        """
        group_id = self._group_id(crash)
        if group_id is None or self._groups.find(group_id).status != RESOLVED:
            return False
        version = self._version(crash)
        return self._counts.unfolded(
            crash.app.app_id, lambda: self._stays_resolved(crash, version, group_id)
        )

    def _group_id(self, crash: Crash) -> int | None:
        """The group that `commit.Batch` would put the crash into, unless it founds one."""
        app_id, own = crash.app.app_id, crash.stack.fingerprint
        pointer = self._table.get(keys.stack_in_app(own, app_id)) if own else None
        if pointer is None:
            seen = self._bucketing.recognise(crash.stack)
            if seen is None or seen.match is None:
                return None
            # Of a stack stored without its message, which a person took out of its group.
            moved = keys.stack_in_app(seen.match.fingerprint, app_id)
            bucket_id = seen.buckets[self._bucketing.default_threshold]
            of_bucket = keys.group_of_bucket(bucket_id, app_id) if bucket_id is not None else None
            found = get_all(self._table, filter(None, (moved if own else None, of_bucket)))
            pointer = found.get(moved)
            if (pointer is None or "home" not in pointer) and of_bucket is not None:
                pointer = found.get(of_bucket)
        return cast(int, pointer["group_id"]) if pointer else None

    def _version(self, crash: Crash) -> Version:
        app_id, build = crash.app.app_id, crash.report.app
        number, name = build.version or "", build.short_version or ""
        item = self._table.get(keys.version(app_id, number, name))
        if item is not None:
            return Version.from_item(item)
        return Version(_UNSTORED, app_id, number, name, clock.to_stored(crash.received.received_at))

    def _stays_resolved(self, crash: Crash, version: Version, group_id: int) -> bool:
        group = self._groups.find(group_id)
        waiting = self._counts.pending(crash.app.app_id).rows
        rows = [row for row in waiting if row.group_id == group.group_id]
        stack = crash.stack.fingerprint or ""
        rows.append(row_of(group.group_id, version.version_id, crash.date, stack))
        opened = self._regressions.among([group], {group.group_id: rows}, [version])
        return group.status == RESOLVED and not opened
