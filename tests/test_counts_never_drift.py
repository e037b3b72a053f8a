"""Whatever happens to reports, in whatever order: every count is what a recount says.

10,000 operations in all with CRASHBUCKET_ALL_OPERATIONS=1 (`make drift`); a tenth without.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chalicelib import clock, hours, keys, recent
from chalicelib.errors import InvalidRequest, NotFound, Refused
from chalicelib.group_decisions import GroupDecisions
from chalicelib.left_groups import left_groups
from chalicelib.placement import Placement
from chalicelib.queries.paging import Paging
from chalicelib.rebucketing import Rebucketing
from chalicelib.records import RESOLVED, Group
from chalicelib.recount import recount_app
from chalicelib.resymbolication import Resymbolication
from chalicelib.sessions import Started
from chalicelib.storage.embedded.store import open_store
from chalicelib.tasks import SymbolsArrived
from chalicelib.worker import Worker
from tests.disturbances import Died, Disturbance, Disturbed, die
from tests.named_by_builds import ENGINE, GAME, LATER_S, Clock, NamedByBuilds, crash, services_over

ALL = os.environ.get("CRASHBUCKET_ALL_OPERATIONS") == "1"
OPERATIONS = 50  # of one run
RUNS = 200 if ALL else 20

HALF_AN_HOUR_S = 1800  # the log keeps two days: more than all steps of a run

_CAUSES, _DEPTHS = 5, 3
_WHICH = st.integers(min_value=0, max_value=10**6)


class Service(RuleBasedStateMachine):
    """One app with two builds whose symbols come and change, and people who regroup its crashes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.time = Clock()
        now = patch.object(clock, "now", lambda: datetime.fromtimestamp(self.time(), UTC))
        now.start()
        self.undo_patch = now.stop
        self.store = open_store(self.folder / "data", clock=self.time)
        self.reader = NamedByBuilds()
        store = self.store
        self.services = services_over(store.table, store.blobs, store.queue, self.reader)
        self.app = self.services.accounts.create_app("Demo")
        self.decisions = GroupDecisions(self.services, self.app.app_id)
        self.worker = Worker(self.services)
        self.ids: list[int] = []
        self.never: set[int] = set()  # those that were deleted before they were counted
        self.batches: dict[int, int] = {}  # sessions
        self.groups: list[int] = []  # all that ever were
        self.decided: list[int] = []  # those that were merged or made by a split

    @initialize()
    def begin(self) -> None:
        for cause in range(4):
            self.crash(cause, 0, 1, GAME)
        self.worker.drain()

    # --- crashes ---

    @rule(
        cause=st.integers(0, _CAUSES - 1),
        depth=st.integers(0, _DEPTHS - 1),
        version=st.integers(1, 3),
        build=st.sampled_from([GAME, ENGINE]),
    )
    def crash(self, cause: int, depth: int, version: int, build: str) -> None:
        places = [(build, 100 * cause + step) for step in range(3 + depth)]
        self.time.now += 0.001
        self.ids.append(crash(self.services, self.app, *places, version=str(version)))

    @rule(which=_WHICH)
    def deliver_again(self, which: int) -> None:
        self.services.processor.process([self.ids[which % len(self.ids)]])

    @rule(reports=st.integers(0, 4))
    def limit(self, reports: int) -> None:
        """As many are kept in a minute; of those above a sample is."""
        self.services.policies.change(self.app.app_id, {"stored_per_minute": reports})

    @rule(many=st.integers(2, 8), build=st.sampled_from([GAME, ENGINE]))
    def storm(self, many: int, build: str) -> None:
        for _ in range(many):
            self.crash(0, 0, 1, build)

    @rule(which=_WHICH, at=st.integers(1, 12), after=st.booleans())
    def die_at_work(self, which: int, at: int, after: bool) -> None:
        """A worker is killed at one of its writes; what it had comes again."""
        disturbance = Disturbance()
        table, blobs = self.services.table, self.services.blobs
        dying = services_over(
            Disturbed(table, disturbance),  # type: ignore[arg-type]
            Disturbed(blobs, disturbance),  # type: ignore[arg-type]
            self.store.queue,
            self.reader,
        )
        start = which % len(self.ids)
        disturbance.arm(at, die, after=after)
        with suppress(Died):
            dying.processor.process(self.ids[start : start + 6])
            dying.processor.fold()

    @rule(which=_WHICH, many=st.integers(1, 3))
    def delete(self, which: int, many: int) -> None:
        start = which % len(self.ids)
        chosen = self.ids[start : start + many]
        self.never.update(i for i in chosen if self._waits(i))
        self.services.deletion.delete(self.app.app_id, chosen)

    def _waits(self, report_id: int) -> bool:
        """Whether a crash was taken, and nobody has processed or deleted it."""
        is_known = self.store.table.get(keys.report(report_id)) is not None
        return not is_known and self.store.blobs.size(keys.raw_blob(report_id)) is not None

    @rule(batch=st.integers(1, 5), version=st.integers(1, 3), many=st.integers(1, 9))
    def sessions_begin(self, batch: int, version: int, many: int) -> None:
        hour = clock.to_stored(clock.now())[:13]
        started = [Started(str(version), "", hour, many), Started(str(version), "b", hour, 1)]
        if self.services.sessions.take(self.app.app_id, str(batch), started):
            assert batch not in self.batches
            self.batches[batch] = many + 1

    # --- the workers ---

    @rule()
    def work(self) -> None:
        self.worker.step()

    @rule(seconds=st.sampled_from([1, 61, LATER_S, HALF_AN_HOUR_S]))
    def wait(self, seconds: int) -> None:
        self.time.now += seconds
        self.worker.drain()

    @rule()
    def fold(self) -> None:
        self.services.counts.fold_all(self.app.app_id)

    # --- bucketing ---

    @rule(build=st.sampled_from([GAME, ENGINE]), edition=st.integers(0, 2))
    def symbols_arrive(self, build: str, edition: int) -> None:
        self.reader.symbols[build] = {
            100 * cause + step: f"{build[0]}::f{(cause + edition) % _CAUSES}_{step}"
            for cause in range(_CAUSES)
            for step in range(3 + _DEPTHS)
        }
        Resymbolication(self.services).announce(SymbolsArrived(build, self.app.app_id))

    @rule()
    def rebucket(self) -> None:
        Rebucketing(self.services, self.app.app_id).run()

    # --- people ---

    @precondition(lambda self: self.groups)
    @rule(which=_WHICH, into=_WHICH)
    def merge(self, which: int, into: int) -> None:
        group_id = self._group(which)
        if self._decided(self.decisions.merge, group_id, self._group(into)):
            self.decided.append(group_id)

    @precondition(lambda self: self.groups)
    @rule(which=_WHICH, stack=_WHICH)
    def split(self, which: int, stack: int) -> None:
        try:
            known = self.decisions.stacks(self._group(which))
        except NotFound:
            return
        if known:
            chosen = known[stack % len(known)].fingerprint
            self._decided(self._split, self._group(which), chosen)

    def _split(self, group_id: int, stack: str) -> None:
        self.decided.append(self.decisions.split(group_id, stack))

    @precondition(lambda self: self.decided)
    @rule(which=_WHICH)
    def undo(self, which: int) -> None:
        self._decided(self.decisions.undo, self.decided[which % len(self.decided)])

    @precondition(lambda self: self.groups)
    @rule(which=_WHICH)
    def resolve(self, which: int) -> None:
        self._decided(self._resolve, self._group(which))

    def _resolve(self, group_id: int) -> None:
        self.services.triage.update(self.app.app_id, group_id, status=RESOLVED)

    def _group(self, which: int) -> int:
        return self.groups[which % len(self.groups)]

    def _decided(self, decide: Any, *asked: object) -> bool:
        try:
            decide(*asked)
        except (NotFound, Refused, InvalidRequest):
            return False
        return True

    # --- what holds ---

    @invariant()
    def a_recount_agrees(self) -> None:
        found = recount_app(self.services, self.app.app_id)
        assert found.differences == ()
        listed = self._listed()
        self.groups += [group_id for group_id in listed if group_id not in self.groups]
        assert sum(listed.values()) == found.reports

    def teardown(self) -> None:
        try:
            self._all_comes_to_rest()
        finally:
            self.store.close()
            self.undo_patch()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _all_comes_to_rest(self) -> None:
        """Everything asked for gets done: then each report is where it belongs, no group waits to
        be settled, and those that were merged are in no list."""
        for _ in range(14):
            self.time.now += LATER_S
            self.worker.drain()
        self.a_recount_agrees()
        app_id = self.app.app_id
        placement = Placement(self.services, app_id)
        for report in self.services.crashes.of_app(app_id):
            belongs = placement.of_stacks([report.fingerprint], report.group_id)
            assert belongs[report.fingerprint] == report.group_id
        assert left_groups(self.services.table, app_id) == []
        self._each_is_logged_once()
        listed = self._listed()
        for group_id in self.groups:
            item = self.services.table.get(keys.group(group_id))
            if item is not None and Group.from_item(item).merged_into is not None:
                assert "app_pk" not in item
                assert group_id not in listed
                assert self.services.groups.find(group_id).merged_into is None

    def _each_is_logged_once(self) -> None:
        """New crashes, and no report that was moved or deleted; and each batch of sessions."""
        app_id = self.app.app_id
        self.services.counts.fold_all(app_id)
        began = datetime.fromtimestamp(0, UTC)
        logged = sum(
            row.crashes
            for shard in range(keys.RECENT_SHARDS)
            for entry in recent.entries(self.store.table, app_id, shard, began, 100).entries
            for row in entry.rows
        )
        assert logged == len(self.ids) - len(self.never)
        today = clock.now().date()
        found = hours.read(
            self.store.table, keys.app_partition(app_id), today - timedelta(days=5), today
        )
        assert sum(hour.sessions for hour in found.values()) == sum(self.batches.values())

    def _listed(self) -> dict[int, int]:
        everything = Paging(1, 1000)
        found = self.services.groups.of_app(self.app.app_id, everything, "date", True).entries
        return {entry.group.group_id: entry.total for entry in found}


TestCountsNeverDrift = Service.TestCase
TestCountsNeverDrift.settings = settings(
    max_examples=RUNS,
    stateful_step_count=OPERATIONS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
