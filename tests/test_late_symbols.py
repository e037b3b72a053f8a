"""Symbols that come late, one course of events at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from chalicelib import clock, keys
from chalicelib.model import Report
from chalicelib.payload import Payload
from chalicelib.storage.counting import CountingTable
from chalicelib.storage.embedded.store import EmbeddedStore, open_store
from chalicelib.storage.ports import Conflict, Key, query_all
from tests.disturbances import READS, WRITES, die
from tests.late_symbols import BUILDS, Clock, NamedByBuilds, World

A, B, C, D = BUILDS
_MOST_CALLS = 400  # of one step of a worker, in these courses


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(clock, "now", moved.moment)
    return moved


@pytest.fixture
def store(tmp_path: Path, time: Clock) -> Iterator[EmbeddedStore]:
    opened = open_store(tmp_path, clock=time)
    yield opened
    opened.close()


@pytest.fixture
def world(store: EmbeddedStore, time: Clock) -> World:
    return World(store.table, store.blobs, store.queue, time)


def named(world: World, report_id: int) -> str | None:
    """What its group is named by."""
    inside = world.onlooker.services
    report = inside.crashes.report(report_id)
    return inside.groups.group(report.app_id, report.group_id).group.method


def missing(world: World) -> dict[str, int]:
    listed = world.onlooker.services.missing_symbols.of_app(world.apps[0].app_id)
    return {entry.module.debug_id: entry.crashes for entry in listed}


def rest(world: World) -> None:
    world.come_to_rest()
    differences = world.differences()
    assert not differences, "\n".join(differences)


def test_a_crash_that_still_lacks_another_build_waits_for_that(world: World) -> None:
    report_id = world.crash(world.apps[0], [(A, 0), (B, 0)])
    rest(world)
    assert missing(world) == {A: 1, B: 1}
    world.symbols_arrive(0, world.apps[0], B)
    rest(world)
    assert missing(world) == {A: 1}
    world.symbols_arrive(0, world.apps[0], A)
    rest(world)
    assert missing(world) == {}
    assert named(world, report_id) == "Aa::part0"


def test_crashes_of_a_group_that_was_led_elsewhere_get_one_of_their_own(world: World) -> None:
    """They are alike without symbols; with those of one build its crash is quite another."""
    app = world.apps[0]
    common = [(C, place) for place in range(4)]
    first = world.crash(app, [(A, 0), (A, 2), (A, 4), (A, 1), *common])
    rest(world)
    other = world.crash(app, [(A, 0), (A, 2), (A, 4), (B, 1), *common])
    rest(world)
    crashes = world.onlooker.services.crashes
    assert crashes.report(first).group_id == crashes.report(other).group_id
    world.symbols_arrive(0, app, A)
    rest(world)
    third = world.crash(app, [(A, 0), (A, 2), (A, 4), (B, 1), *common])
    rest(world)
    assert crashes.report(third).group_id == crashes.report(other).group_id


def test_symbols_that_were_deleted_before_the_second_round_are_waited_for_again(
    world: World, time: Clock
) -> None:
    app = world.apps[0]
    world.crash(app, [(A, 0)])
    world.step(0)
    world.symbols_arrive(0, app, A)
    world.symbols_leave(app, A)
    late = world.crash(app, [(A, 0)])
    rest(world)
    world.symbols_arrive(0, app, A)
    rest(world)
    assert named(world, late) == "Aa::part0"
    assert missing(world) == {}


def test_a_crash_that_breaks_the_reader_stays_as_it_is_and_stops_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [world.crash(world.apps[0], [(A, 0), (A, place)]) for place in range(1, 4)]
    rest(world)
    crash = NamedByBuilds.crash

    def breaking(self: NamedByBuilds, received: Payload) -> Report:
        report = crash(self, received)
        if report.stack[1].offset == 2 and report.stack[0].function:
            raise ZeroDivisionError("one bad report")
        return report

    monkeypatch.setattr(NamedByBuilds, "crash", breaking)
    world.symbols_arrive(0, world.apps[0], A)
    world.come_to_rest()
    crashes = world.onlooker.services.crashes
    signatures = [crashes.report(report_id).signature for report_id in ids]
    assert signatures == ["Aa::part0", "a", "Aa::part0"]


def test_a_store_that_fails_meanwhile_only_delays_it(world: World) -> None:
    def fail() -> None:
        raise Conflict("others write to it")

    app = world.apps[0]
    for place in range(40):
        report_id = world.crash(app, [(A, 0), (B, place)])
        rest(world)
        world.symbols_arrive(0, app, A)
        world.processes[0].disturbance.arm(place + 1, fail, counted=READS | WRITES)
        world.step(0)
        world.step(0)
        rest(world)
        assert named(world, report_id) == "Aa::part0"
        world.symbols_leave(app, A)


@pytest.mark.parametrize("owner", [0, None])
def test_much_is_done_in_many_parts(
    store: EmbeddedStore, time: Clock, monkeypatch: pytest.MonkeyPatch, owner: int | None
) -> None:
    monkeypatch.setattr("chalicelib.tasks._PART_OF_VISIBILITY", 0)
    monkeypatch.setattr("chalicelib.resymbolication._STACKS_A_MESSAGE", 2)
    world = World(store.table, store.blobs, store.queue, time, apps=4)
    for app in world.apps[:3]:
        for place in range(7):
            world.crash(app, [(A, place), (A, place + 20)])
    rest(world)
    world.symbols_arrive(0, None if owner is None else world.apps[owner], A)
    rest(world)
    reached = [app for app in world.apps[:3] if not world.lacks(app, A)]
    assert reached == (world.apps[:3] if owner is None else [world.apps[owner]])


def died(world: World, at: int, *, after: bool) -> bool:
    """Whether the worker made so many writes in a step, and died at the last."""
    armed = world.processes[0].disturbance
    armed.arm(at, die, after=after)
    world.step(0)
    return world.processes[0].disturbance is not armed


@pytest.mark.parametrize("after", [False, True])
def test_a_worker_may_die_at_any_write_of_reading_anew(world: World, after: bool) -> None:
    app = world.apps[0]
    at = 1
    for at in range(1, _MOST_CALLS):
        for place in range(3):
            world.crash(app, [(A, at), (B, at), (B, place)], version=str(place))
        rest(world)
        world.symbols_arrive(0, app, A)
        world.step(0)  # whom it concerns
        is_dead = died(world, at, after=after)
        rest(world)
        world.symbols_leave(app, A)
        if not is_dead:
            break
    assert at > 5


WHILE = ("erase", "arrive", "rebucket", "step")


@pytest.mark.parametrize("what", WHILE)
def test_anything_may_happen_between_two_calls_of_a_worker(world: World, what: str) -> None:
    """While it commits crashes that are known and new, and then while it reads them anew."""
    app = world.apps[0]
    meanwhile: dict[str, Callable[[], None]] = {
        "erase": partial(world.erase, 1, app),
        "arrive": partial(world.symbols_arrive, 1, app, A),
        "rebucket": partial(world.rebucket, 1, app),
        "step": partial(world.step, 1),
    }
    calls = 0
    for at in range(1, _MOST_CALLS, 3):  # every one takes half a minute
        known = [(A, at), (B, 0)]
        world.crash(app, known)
        world.step(0)
        world.crash(app, known)
        world.crash(app, [(A, at), (B, 1)], version="new")
        disturbance = world.processes[0].disturbance
        disturbance.arm(at, meanwhile[what], counted=READS | WRITES)
        world.step(0)
        is_over = disturbance.calls < at
        disturbance.arm(at, meanwhile[what], counted=READS | WRITES)
        world.symbols_arrive(1, app, A)
        world.step(0)
        world.step(0)
        is_over = is_over and disturbance.calls < at
        disturbance.disarm()
        rest(world)
        world.symbols_leave(app, A)
        world.erase(1, app)  # the next one begins with an empty app
        calls = at
        if is_over:
            break
    assert 20 < calls < _MOST_CALLS - 3


def test_a_known_stack_that_lacks_eight_builds_costs_no_more_writes(
    store: EmbeddedStore, time: Clock
) -> None:
    table = CountingTable(store.table)
    world = World(table, store.blobs, store.queue, time)

    def cost(builds: int, crashes: int) -> tuple[int, int]:
        places = [(f"{letter}" * 32 + "0", 1) for letter in "123456789abc"[:builds]]
        world.crash(world.apps[0], [(A, 7), *places])
        world.processes[0].worker.step()
        table.reset()
        for _ in range(crashes):
            world.crash(world.apps[0], [(A, 7), *places])
        world.processes[0].worker.step()
        counted = table.snapshot()
        return counted.items_written, counted.write_units

    assert cost(11, 20) == cost(0, 20)


def test_new_stacks_that_lack_a_known_build_do_not_write_to_its_item(
    store: EmbeddedStore, time: Clock
) -> None:
    """In a storm of new stacks it would be a hot key: all of an app's lie in one partition."""
    table = CountingTable(store.table)
    world = World(table, store.blobs, store.queue, time)
    world.crash(world.apps[0], [(A, 0), (B, 0)])
    world.step(0)
    table.reset()
    for place in range(1, 20):
        world.crash(world.apps[0], [(A, place), (B, place)])
        world.step(0)
    partition = keys.missing(world.apps[0].app_id, "").pk
    written = {
        key.pk if isinstance(key, Key) else key[1] for key in table.snapshot().writes_per_key
    }
    assert partition not in written
    assert len(list(query_all(table, partition))) == 2


def test_the_list_of_what_is_missing_reads_no_more_than_its_limit(
    store: EmbeddedStore, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(store.table, store.blobs, store.queue, time)
    for place in range(9):
        world.crash(world.apps[0], [(A, place), (B, place)])
    world.step(0)
    assert missing(world) == {A: 9, B: 9}
    monkeypatch.setattr("chalicelib.queries.missing_symbols._MAX_STACKS", 8)
    assert missing(world) == {A: 4, B: 4}
    monkeypatch.setattr("chalicelib.queries.missing_symbols._MAX_BUILDS", 1)
    assert missing(world) == {A: 8}
