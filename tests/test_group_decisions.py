"""Groups as people put them together: merged, split and back, with every count exact."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chalicelib import clock, keys
from chalicelib.bootstrap import Services
from chalicelib.errors import InvalidRequest, NotFound, Refused
from chalicelib.group_decisions import GroupDecisions
from chalicelib.placing import Placing
from chalicelib.queries.paging import Paging
from chalicelib.rebucketing import Rebucketing
from chalicelib.records import RESOLVED, App
from chalicelib.recount import recount_app
from chalicelib.resymbolication import Resymbolication
from chalicelib.storage.embedded.store import open_store
from chalicelib.storage.ports import query_all
from chalicelib.tasks import Place, SymbolsArrived
from chalicelib.worker import Worker
from tests.named_by_builds import ENGINE, GAME, Clock, NamedByBuilds, crash, let_pass, services_over

ONE, OTHER, THIRD = ((100 * n, 100 * n + 1, 100 * n + 2) for n in (1, 2, 3))
ONE_AGAIN = (*ONE, 999)  # another stack with nearly the same frames: of one bucket


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(moved(), UTC))
    return moved


@pytest.fixture
def reader() -> NamedByBuilds:
    return NamedByBuilds()


@pytest.fixture
def services(tmp_path: Path, time: Clock, reader: NamedByBuilds) -> Iterator[Services]:
    store = open_store(tmp_path / "data", clock=time)
    yield services_over(store.table, store.blobs, store.queue, reader)
    store.close()


@pytest.fixture
def decisions(services: Services, app: App) -> GroupDecisions:
    return GroupDecisions(services, app.app_id)


def came(services: Services, app: App, places: tuple[int, ...], version: str = "1") -> int:
    """A crash that is processed."""
    made = crash(services, app, *((GAME, offset) for offset in places), version=version)
    Worker(services).drain()
    return made


def group_of(services: Services, report_id: int) -> int:
    return services.crashes.report(report_id).group_id


def two_groups(services: Services, app: App) -> tuple[int, int]:
    a, b = came(services, app, ONE), came(services, app, OTHER, "2")
    return group_of(services, a), group_of(services, b)


def totals(services: Services, app: App) -> dict[int, int]:
    listed = services.groups.of_app(app.app_id, Paging(per_page=100), "date", True)
    found = {entry.group.group_id: entry.total for entry in listed.entries}
    assert listed.total_entries == len(found)
    return found


def settled(services: Services, app: App, time: Clock) -> dict[int, int]:
    """The crashes of each group once all is done; nothing is left to do then."""
    exact(services, app)
    for _ in range(8):
        time.now += 121
        Worker(services).drain()
        exact(services, app)
    assert list(query_all(services.table, keys.app_partition(app.app_id)))
    notes = [i for i in query_all(services.table, f"app#{app.app_id}") if "left#" in str(i["sk"])]
    assert notes == []
    assert services.queue.receive(1) == ()
    return totals(services, app)


def exact(services: Services, app: App) -> None:
    assert recount_app(services, app.app_id).differences == ()


def test_a_merged_groups_crashes_and_those_to_come_are_the_others(
    services: Services, app: App, decisions: GroupDecisions, time: Clock
) -> None:
    a, b = two_groups(services, app)
    came(services, app, ONE_AGAIN)
    assert totals(services, app) == {a: 2, b: 1}
    decisions.merge(a, b)
    exact(services, app)
    assert sum(totals(services, app).values()) == 3
    Worker(services).drain()
    assert totals(services, app) == {b: 3}
    known = came(services, app, ONE, "3")
    new = came(services, app, (*ONE, 777))  # a stack that is like the merged group's
    assert (group_of(services, known), group_of(services, new)) == (b, b)
    assert settled(services, app, time) == {b: 5}
    version = services.groups.version(app.app_id, services.crashes.report(known).version_id)
    of_version = services.groups.of_version(version, Paging(), "date", True)
    assert [(e.group.group_id, e.total) for e in of_version.entries] == [(b, 1)]


def test_the_id_of_a_merged_group_leads_on_through_others(
    services: Services, app: App, decisions: GroupDecisions, time: Clock
) -> None:
    a, b, c = (group_of(services, came(services, app, places)) for places in (ONE, OTHER, THIRD))
    decisions.merge(a, b)
    decisions.merge(b, c)
    for group_id in (a, b, c):
        assert services.groups.group(app.app_id, group_id).group.group_id == c
        assert services.groups.find(group_id).group_id == c
    with pytest.raises(Refused):
        decisions.merge(c, a)
    with pytest.raises(Refused):
        decisions.merge(c, c)
    decisions.merge(a, c)  # it is there already
    assert settled(services, app, time) == {c: 3}
    merges, splits = decisions.of_group(c)
    assert ({(m.group_id, m.into) for m in merges}, splits) == ({(a, b), (b, c)}, [])
    decisions.undo_merge(b)
    assert services.groups.find(a).group_id == b
    assert settled(services, app, time) == {b: 2, c: 1}
    assert group_of(services, came(services, app, ONE)) == b


def test_undo_gives_a_group_all_it_had_and_what_came_meanwhile(
    services: Services, app: App, decisions: GroupDecisions, time: Clock
) -> None:
    a, b = two_groups(services, app)
    services.triage.update(app.app_id, a, status=RESOLVED, ticket_url="https://tickets.example/1")
    services.triage.annotate(app.app_id, a, "known since spring")
    before = services.groups.group(app.app_id, a)
    decisions.merge(a, b)
    assert settled(services, app, time) == {b: 2}
    came(services, app, ONE)
    came(services, app, ONE_AGAIN)
    came(services, app, OTHER)
    decisions.undo_merge(a)
    exact(services, app)
    assert settled(services, app, time) == {a: 3, b: 2}
    after = services.groups.group(app.app_id, a)
    assert (after.group.status, after.group.ticket_url) == (RESOLVED, before.group.ticket_url)
    assert after.first_at == before.first_at
    noted = services.triage.annotation(app.app_id, a)
    assert noted is not None
    assert noted.text == "known since spring"
    assert group_of(services, came(services, app, ONE_AGAIN)) == a
    with pytest.raises(NotFound):
        decisions.undo_merge(a)


@pytest.mark.parametrize("after_steps", [0, 1, 2])
def test_a_merge_may_be_undone_while_it_is_done(
    services: Services, app: App, decisions: GroupDecisions, time: Clock, after_steps: int
) -> None:
    a, b = two_groups(services, app)
    came(services, app, ONE)
    decisions.merge(a, b)
    for _ in range(after_steps):
        Worker(services).step()
        time.now += 121
    decisions.undo_merge(a)
    decisions.merge(a, b)
    decisions.undo_merge(a)
    assert settled(services, app, time) == {a: 2, b: 1}


def test_a_stack_that_is_split_off_has_a_group_and_so_have_its_crashes_to_come(
    services: Services, app: App, decisions: GroupDecisions, time: Clock
) -> None:
    first = came(services, app, ONE)
    second = came(services, app, ONE_AGAIN)
    a = group_of(services, first)
    assert group_of(services, second) == a
    stack = services.crashes.report(second).fingerprint
    buckets = services.bucketing.assignments([stack])[stack]
    assert [s.total for s in decisions.stacks(a)] == [1, 1]
    own = decisions.split(a, stack)
    exact(services, app)
    assert services.groups.group(app.app_id, own).total == 0
    assert group_of(services, came(services, app, ONE_AGAIN)) == own
    assert settled(services, app, time) == {a: 1, own: 2}
    assert services.bucketing.assignments([stack])[stack] == buckets
    assert [s.fingerprint for s in decisions.stacks(own)] == [stack]
    assert [s.group_id for s in decisions.of_group(a)[1]] == [own]
    like = came(services, app, (*ONE_AGAIN, 1000))  # goes where the bucket goes
    assert group_of(services, like) == a
    with pytest.raises(Refused):
        decisions.split(own, stack)
    decisions.undo_split(own)
    assert services.groups.find(own).group_id == a
    assert settled(services, app, time) == {a: 4}
    assert group_of(services, came(services, app, ONE_AGAIN)) == a
    assert decisions.split(a, stack) == own
    assert settled(services, app, time) == {a: 2, own: 3}


def test_a_stack_of_a_merged_group_goes_back_there_when_the_merge_is_undone_too(
    services: Services, app: App, decisions: GroupDecisions, time: Clock
) -> None:
    a, b = two_groups(services, app)
    stack = services.crashes.report(came(services, app, ONE_AGAIN)).fingerprint
    decisions.merge(a, b)
    assert settled(services, app, time) == {b: 3}
    own = decisions.split(b, stack)
    assert settled(services, app, time) == {b: 2, own: 1}
    decisions.undo_merge(a)
    assert settled(services, app, time) == {a: 1, b: 1, own: 1}
    decisions.merge(a, own)
    with pytest.raises(Refused):
        decisions.undo_split(own)  # it would go back into itself
    decisions.undo_merge(a)
    decisions.merge(own, b)
    with pytest.raises(Refused):
        decisions.undo_split(own)
    assert decisions.undo(own) == "merge"
    assert decisions.undo(own) == "split"
    assert settled(services, app, time) == {a: 2, b: 1}


def test_what_cannot_be_is_refused(services: Services, app: App, decisions: GroupDecisions) -> None:
    only = came(services, app, ONE)
    a = group_of(services, only)
    stack = services.crashes.report(only).fingerprint
    foreign = GroupDecisions(services, services.accounts.create_app("Other").app_id)
    with pytest.raises(InvalidRequest):
        decisions.merge(a, 12345)
    for refused in (
        lambda: decisions.merge(12345, a),
        lambda: foreign.merge(a, a),
        lambda: decisions.undo_merge(a),
        lambda: decisions.undo_split(a),
        lambda: decisions.split(a, "0" * 32),
        lambda: foreign.split(a, stack),
        lambda: foreign.stacks(a),
    ):
        with pytest.raises((NotFound, InvalidRequest)):
            refused()
    with pytest.raises(Refused):
        decisions.split(a, stack)


def test_a_crash_that_was_in_work_when_its_group_was_merged_follows(
    services: Services, app: App, decisions: GroupDecisions, time: Clock
) -> None:
    a, b = two_groups(services, app)
    write = services.table.write

    def merge_first(operations: object) -> None:
        services.table.write = write  # type: ignore[method-assign]
        decisions.merge(a, b)
        Worker(services).drain()
        assert totals(services, app) == {b: 2}
        write(operations)  # type: ignore[arg-type]

    late = crash(services, app, *((GAME, offset) for offset in ONE), version="1")
    assert len(services.queue.receive(1)) == 1  # no other worker has it at the moment
    services.table.write = merge_first  # type: ignore[method-assign,assignment]
    services.processor.process([late])
    assert group_of(services, late) == a
    exact(services, app)
    assert settled(services, app, time) == {b: 3}


@pytest.mark.parametrize("places", [ONE, ONE_AGAIN])
def test_a_crash_that_was_in_work_when_a_merge_was_undone_comes_back_too(
    services: Services, app: App, decisions: GroupDecisions, time: Clock, places: tuple[int, ...]
) -> None:
    """Also one that leads its stack, a new one, astray."""
    a, b = two_groups(services, app)
    decisions.merge(a, b)
    assert settled(services, app, time) == {b: 2}
    write = services.table.write

    def undo_first(operations: object) -> None:
        services.table.write = write  # type: ignore[method-assign]
        if any(getattr(each, "item", {}).get("sk") == "report" for each in operations):  # type: ignore[attr-defined]
            decisions.undo_merge(a)
            Worker(services).drain()
            time.now += 121
            Worker(services).drain()
        else:
            services.table.write = undo_first  # type: ignore[method-assign,assignment]
        write(operations)  # type: ignore[arg-type]

    late = crash(services, app, *((GAME, offset) for offset in places), version="1")
    assert len(services.queue.receive(1, visibility_s=600)) == 1
    services.table.write = undo_first  # type: ignore[method-assign,assignment]
    services.processor.process([late])
    assert group_of(services, late) == b
    assert settled(services, app, time) == {a: 2, b: 1}
    assert group_of(services, came(services, app, places)) == a


def test_symbols_and_rebucketing_respect_what_people_decided(
    services: Services, app: App, decisions: GroupDecisions, time: Clock, reader: NamedByBuilds
) -> None:
    reader.symbols[ENGINE] = {1: "Engine::run", 2: "Engine::step", 3: "Engine::load"}
    engine = crash(services, app, (ENGINE, 1), (ENGINE, 2), (ENGINE, 3), version="1")
    Worker(services).drain()
    b = group_of(services, engine)
    a = group_of(services, came(services, app, ONE))
    twin = came(services, app, ONE_AGAIN)
    own = decisions.split(a, services.crashes.report(twin).fingerprint)
    decisions.merge(a, b)
    assert settled(services, app, time) == {b: 2, own: 1}
    names = {100: "Game::load", 101: "Game::start", 102: "Game::main", 999: "Game::extra"}
    reader.symbols[GAME] = names
    Resymbolication(services).announce(SymbolsArrived(GAME, app.app_id))
    assert settled(services, app, time) == {b: 2, own: 1}
    assert group_of(services, came(services, app, ONE)) == b
    assert group_of(services, came(services, app, ONE_AGAIN)) == own
    Rebucketing(services, app.app_id).run()
    assert settled(services, app, time) == {b: 3, own: 2}
    decisions.undo_merge(a)
    decisions.undo_split(own)
    assert settled(services, app, time) == {a: 4, b: 1}


def test_an_emptied_group_that_others_rely_on_waits_for_its_next_crash(
    services: Services, app: App, decisions: GroupDecisions, time: Clock
) -> None:
    one, other = came(services, app, ONE), came(services, app, OTHER)
    a, b = group_of(services, one), group_of(services, other)
    decisions.merge(a, b)
    assert settled(services, app, time) == {b: 2}
    services.deletion.delete(app.app_id, [one, other])
    assert settled(services, app, time) == {}
    came(services, app, ONE)
    came(services, app, OTHER)
    assert settled(services, app, time) == {b: 2}
    decisions.undo_merge(a)
    assert settled(services, app, time) == {a: 1, b: 1}


def test_what_takes_too_long_goes_on_where_it_was(
    services: Services, app: App, decisions: GroupDecisions, time: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    a, b = two_groups(services, app)
    for _ in range(4):
        came(services, app, ONE)
    monkeypatch.setattr("chalicelib.placing._PART", 1)
    monkeypatch.setattr("chalicelib.tasks._PART_OF_VISIBILITY", 0)
    decisions.merge(a, b)
    Placing(services).run(Place(app.app_id, a, a))
    assert totals(services, app) == {a: 4, b: 2}
    exact(services, app)
    assert settled(services, app, time) == {b: 6}


def test_a_decision_whose_maker_died_is_carried_out_all_the_same(
    services: Services, app: App, decisions: GroupDecisions, time: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    a, b = two_groups(services, app)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("chalicelib.placing.begin", die)
    with pytest.raises(KeyboardInterrupt):
        decisions.merge(a, b)
    assert settled(services, app, time) == {b: 2}


def test_erasing_an_app_leaves_nothing_of_its_decisions(
    services: Services, app: App, decisions: GroupDecisions, time: Clock
) -> None:
    a, b = two_groups(services, app)
    stack = services.crashes.report(came(services, app, ONE_AGAIN)).fingerprint
    own = decisions.split(a, stack)
    decisions.merge(a, b)
    settled(services, app, time)
    services.eraser.erase([app.app_id])
    for partition in (keys.merge(app.app_id, 0).pk, *map(keys.group_partition, (a, b, own))):
        assert list(query_all(services.table, partition)) == []


def test_crashes_that_are_processed_while_a_group_is_merged_end_in_it(
    services: Services, app: App, decisions: GroupDecisions, time: Clock
) -> None:
    a, b = two_groups(services, app)
    for number in range(60):
        crash(services, app, *((GAME, offset) for offset in (ONE, ONE_AGAIN)[number % 2]))
    stopping = threading.Event()
    workers = [
        threading.Thread(target=Worker(services).run, args=(stopping.is_set,)) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for _ in range(5):
        decisions.merge(a, b)
        decisions.undo_merge(a)
    decisions.merge(a, b)
    stopping.set()
    for worker in workers:
        worker.join()
    let_pass(services, lambda seconds: setattr(time, "now", time.now + seconds))
    assert settled(services, app, time) == {b: 62}
