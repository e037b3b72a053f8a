"""Whatever comes in whatever order, and whoever dies at any write: in the end all is right.

`CRASHBUCKET_STATEFUL_EXAMPLES` sets how many courses of events are tried (4),
`CRASHBUCKET_STATEFUL_STEPS` how long each may be (150); with
`CRASHBUCKET_STATEFUL_SHRINK` a failing one is shortened, which takes minutes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from chalicelib import clock
from chalicelib.storage.embedded.store import open_store
from tests.disturbances import READS, WRITES, die
from tests.late_symbols import BUILDS, Clock, World

EXAMPLES = int(os.environ.get("CRASHBUCKET_STATEFUL_EXAMPLES", "4"))
STEPS = int(os.environ.get("CRASHBUCKET_STATEFUL_STEPS", "150"))
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
SHRINKING = (Phase.shrink,) if os.environ.get("CRASHBUCKET_STATEFUL_SHRINK") else ()
_UNDISTURBED = 20  # steps between two looks at everything, and between two erasures

_place = st.tuples(st.sampled_from(BUILDS), st.integers(0, 5))
_places = st.lists(_place, min_size=1, max_size=4)
_apps = st.integers(0, 1)
_processes = st.integers(0, 1)
_owners = st.sampled_from([0, 1, None])
_builds = st.sampled_from(BUILDS)
_deaths = st.tuples(st.just("death"), st.integers(1, 25), st.booleans())
_meanwhile = st.tuples(
    st.just("meanwhile"),
    st.integers(1, 40),
    st.sampled_from(["step", "arrive", "leave", "rebucket", "erase"]),
    _apps,
    _builds,
)
_disturbances = st.one_of(st.none(), st.none(), _deaths, _meanwhile)


class LateSymbols(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._patch = pytest.MonkeyPatch()
        self._folder = tempfile.TemporaryDirectory()
        time = Clock()
        self._patch.setattr(clock, "now", time.moment)
        self._patch.setattr("chalicelib.resymbolication._STACKS_A_MESSAGE", 2)
        self._store = open_store(Path(self._folder.name), clock=time)
        self.world = World(self._store.table, self._store.blobs, self._store.queue, time)
        self._since_look = self._since_erasure = 0

    def teardown(self) -> None:
        try:
            self._look()
        finally:
            self._store.close()
            self._folder.cleanup()
            self._patch.undo()

    # --- crashes ---

    @rule(
        app=_apps,
        places=_places,
        reason=st.sampled_from(["", "", "", *"abcdefghijkl"]),
        version=st.sampled_from("12"),
        times=st.integers(1, 3),
    )
    def crashes_come(
        self, app: int, places: list[Any], reason: str, version: str, times: int
    ) -> None:
        self._count()
        for _ in range(times):
            self.world.crash(self.world.apps[app], places, reason=reason, version=version)

    @rule(app=_apps, places=_places, bucket=st.sampled_from(["x", "y"]))
    def a_crash_is_forced_into_a_bucket(self, app: int, places: list[Any], bucket: str) -> None:
        self._count()
        self.world.crash(self.world.apps[app], places, forced=f"{bucket}{app}")

    @rule(app=_apps)
    def a_damaged_one_comes(self, app: int) -> None:
        self._count()
        self.world.crash(self.world.apps[app], [], is_broken=True)

    @rule(which=st.integers(0, 1000))
    def an_event_is_delivered_again(self, which: int) -> None:
        self._count()
        if self.world.accepted:
            known = sorted(self.world.accepted)
            self.world.deliver_again(known[which % len(known)])

    # --- work ---

    @rule(process=_processes, disturbance=_disturbances, is_hasty=st.booleans())
    def a_worker_works(self, process: int, disturbance: Any, is_hasty: bool) -> None:
        self._count()
        self._disturb(process, disturbance)
        share = 0.0 if is_hasty else 0.25
        with self._patch.context() as patch:
            patch.setattr("chalicelib.tasks._PART_OF_VISIBILITY", share)
            self.world.step(process)

    @rule(process=_processes, app=_apps, disturbance=_disturbances)
    def an_app_is_rebucketed(self, process: int, app: int, disturbance: Any) -> None:
        self._count()
        self._disturb(process, disturbance)
        self.world.rebucket(process, self.world.apps[app])

    # --- symbols ---

    @rule(process=_processes, owner=_owners, build=_builds, disturbance=_disturbances)
    def symbols_arrive(self, process: int, owner: int | None, build: str, disturbance: Any) -> None:
        self._count()
        self._disturb(process, disturbance)
        self.world.symbols_arrive(process, self._owner(owner), build)

    @rule(owner=_owners, build=_builds)
    def symbols_are_deleted(self, owner: int | None, build: str) -> None:
        self._count()
        self.world.symbols_leave(self._owner(owner), build)

    # --- the rest ---

    @rule(seconds=st.sampled_from([1, 6, 61, 121]))
    def time_passes(self, seconds: int) -> None:
        self._count()
        self.world.time.now += seconds

    @precondition(lambda self: self._since_erasure > _UNDISTURBED)
    @rule(process=_processes, app=_apps, disturbance=_disturbances)
    def an_app_is_erased(self, process: int, app: int, disturbance: Any) -> None:
        self._since_erasure = 0
        self._disturb(process, disturbance)
        self.world.erase(process, self.world.apps[app])

    @precondition(lambda self: self._since_look > _UNDISTURBED)
    @rule()
    def everything_comes_to_rest(self) -> None:
        self._look()

    # --- helpers ---

    def _count(self) -> None:
        self._since_look += 1
        self._since_erasure += 1

    def _look(self) -> None:
        self._since_look = 0
        self.world.come_to_rest()
        differences = self.world.differences()
        assert not differences, "\n".join(differences)

    def _owner(self, owner: int | None) -> Any:
        return None if owner is None else self.world.apps[owner]

    def _disturb(self, process: int, disturbance: Any) -> None:
        if disturbance is None:
            return
        armed = self.world.processes[process].disturbance
        if disturbance[0] == "death":
            _, at, after = disturbance
            armed.arm(at, die, after=after)
            return
        _, at, what, app, build = disturbance
        other = 1 - process
        owner = self.world.apps[app]
        actions: dict[str, Callable[[], None]] = {
            "step": partial(self.world.step, other),
            "arrive": partial(self.world.symbols_arrive, other, owner, build),
            "leave": partial(self.world.symbols_leave, owner, build),
            "rebucket": partial(self.world.rebucket, other, owner),
            "erase": partial(self.world.erase, other, owner),
        }
        armed.arm(at, actions[what], counted=READS | WRITES)


def test_in_the_end_all_is_right() -> None:
    run_state_machine_as_test(
        LateSymbols,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            phases=PHASES + SHRINKING,
            suppress_health_check=list(HealthCheck),
        ),
    )
