"""Symbols that arrive late: what waited for them is read again and moves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chalicelib import clock, keys
from chalicelib.bootstrap import Services
from chalicelib.queries.paging import Paging
from chalicelib.records import RESOLVED, App
from chalicelib.recount import recount_app
from chalicelib.resymbolication import Resymbolication
from chalicelib.storage.embedded.store import open_store
from chalicelib.storage.ports import Key, Update, query_all
from chalicelib.tasks import MAX_DELAY_S, SymbolsArrived, encode
from chalicelib.worker import Worker
from tests.named_by_builds import (
    ENGINE,
    GAME,
    LATER_S,
    Clock,
    NamedByBuilds,
    crash,
    services_over,
)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(moved(), UTC))
    return moved


@pytest.fixture
def reader() -> NamedByBuilds:
    return NamedByBuilds()


@pytest.fixture
def services(tmp_path: Path, reader: NamedByBuilds, time: Clock) -> Iterator[Services]:
    store = open_store(tmp_path / "data", clock=time)
    yield services_over(store.table, store.blobs, store.queue, reader)
    store.close()


def groups(services: Services, app: App) -> dict[str | None, tuple[int, int]]:
    """Of each group by its method: its id and how many crashes it has."""
    listed = services.groups.of_app(app.app_id, Paging(per_page=100), "date", False)
    return {e.group.method: (e.group.group_id, e.total) for e in listed.entries}


def kept(services: Services, *partitions: str) -> list[Key]:
    items = (item for name in partitions for item in query_all(services.table, name))
    return [Key(str(item["pk"]), str(item["sk"])) for item in items]


def arrive(services: Services, app: App | None, build: str) -> None:
    Resymbolication(services).announce(SymbolsArrived(build, app.app_id if app else None))
    Worker(services).drain()


def test_crashes_that_lacked_symbols_are_named_and_regrouped(
    services: Services, app: App, reader: NamedByBuilds, time: Clock
) -> None:
    for offset in (16, 32, 16, 48):  # three places in two functions
        crash(services, app, (GAME, offset), (GAME, 1000))
    Worker(services).drain()
    reader.symbols[GAME] = {16: "Game::load", 32: "Game::load", 48: "Game::save", 1000: "Game::run"}
    arrive(services, app, GAME)
    after = groups(services, app)
    assert {name: count for name, (_, count) in after.items()} == {"Game::load": 3, "Game::save": 1}
    assert recount_app(services, app.app_id).differences == ()
    time.now += LATER_S
    Worker(services).drain()
    time.now += LATER_S
    Worker(services).drain()
    assert kept(services, keys.waiting(app.app_id, GAME, "").pk) == []
    assert kept(services, keys.missing(app.app_id, GAME).pk) == []
    assert services.missing_symbols.of_app(app.app_id) == []
    assert recount_app(services, app.app_id).differences == ()
    assert groups(services, app) == after
    assert services.queue.depth() == 0


def test_a_crash_that_lacks_several_builds_gains_from_each_whenever_it_comes(
    services: Services, app: App, reader: NamedByBuilds, time: Clock
) -> None:
    for _ in range(2):
        crash(services, app, (GAME, 16), (ENGINE, 32), (GAME, 1000))
    Worker(services).drain()
    reader.symbols[GAME] = {16: "Game::load", 1000: "Game::run"}
    arrive(services, app, GAME)
    for _ in range(2):
        listed = services.missing_symbols.of_app(app.app_id)
        assert [(e.module.debug_id, e.crashes, e.stacks) for e in listed] == [(ENGINE, 2, 1)]
        time.now += LATER_S
        Worker(services).drain()
    reader.symbols[ENGINE] = {32: "Engine::draw"}
    before = {stored.fingerprint for stored in services.crashes.of_app(app.app_id)}
    arrive(services, app, ENGINE)
    after = {stored.fingerprint for stored in services.crashes.of_app(app.app_id)}
    assert len(after) == 1
    assert after != before
    assert services.missing_symbols.of_app(app.app_id) == []
    assert recount_app(services, app.app_id).differences == ()
    for _ in range(2):
        time.now += LATER_S
        Worker(services).drain()
    for build in (GAME, ENGINE):
        assert kept(services, keys.waiting(app.app_id, build, "").pk) == []
        assert kept(services, keys.missing(app.app_id, build).pk) == []


def test_the_first_crashs_group_keeps_its_id_and_status(
    services: Services, app: App, reader: NamedByBuilds
) -> None:
    first = crash(services, app, (GAME, 16), (GAME, 1000))
    Worker(services).drain()
    group_id = services.crashes.report(first).group_id
    services.table.write([Update(keys.group(group_id), set={"status": RESOLVED})])
    reader.symbols[GAME] = {16: "Game::load", 1000: "Game::run"}
    arrive(services, app, GAME)
    stored = services.crashes.report(first)
    group = services.groups.group(app.app_id, stored.group_id).group
    assert (stored.group_id, group.status, group.method) == (group_id, RESOLVED, "Game::load")


def test_a_crash_that_missed_the_symbols_by_a_moment_is_found_later(
    services: Services, app: App, reader: NamedByBuilds, time: Clock
) -> None:
    crash(services, app, (GAME, 16), (GAME, 1000))
    Worker(services).drain()
    reader.symbols[GAME] = {16: "Game::load", 1000: "Game::run"}
    arrive(services, app, GAME)
    symbols, reader.symbols = reader.symbols, {}  # a worker that does not know of them yet
    crash(services, app, (GAME, 16), (GAME, 1000))
    crash(services, app, (GAME, 99), (GAME, 1000))
    Worker(services).drain()
    reader.symbols = symbols
    assert set(groups(services, app)) > {"Game::load"}
    for _ in range(2):
        time.now += LATER_S
        Worker(services).drain()
    assert groups(services, app)["Game::load"][1] == 2
    assert services.missing_symbols.of_app(app.app_id) == []
    assert recount_app(services, app.app_id).differences == ()


def test_missing_builds_are_listed_by_the_crashes_that_would_gain(
    services: Services, app: App
) -> None:
    for _ in range(3):
        crash(services, app, (ENGINE, 16), (ENGINE, 32))
    crash(services, app, (GAME, 16), (ENGINE, 64))
    Worker(services).drain()
    listed = services.missing_symbols.of_app(app.app_id)
    assert [(e.module.debug_id, e.crashes, e.stacks) for e in listed] == [
        (ENGINE, 4, 2),
        (GAME, 1, 1),
    ]


def test_symbols_for_every_app_reach_each_and_those_of_one_only_that(
    services: Services, app: App, reader: NamedByBuilds
) -> None:
    other = services.accounts.create_app("Other")
    for owner in (app, other):
        crash(services, owner, (ENGINE, 16), (ENGINE, 32))
    Worker(services).drain()
    reader.symbols[ENGINE] = {16: "Engine::draw", 32: "Engine::loop"}
    arrive(services, other, ENGINE)
    assert set(groups(services, other)) == {"Engine::draw"}
    assert "Engine::draw" not in groups(services, app)
    arrive(services, None, ENGINE)
    assert set(groups(services, app)) == {"Engine::draw"}


def test_what_takes_too_long_goes_on_in_another_message(
    services: Services, app: App, reader: NamedByBuilds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.tasks._PART_OF_VISIBILITY", 0)
    for offset in range(5):
        for _ in range(3):
            crash(services, app, (GAME, offset), (GAME, 1000))
    Worker(services).drain()
    reader.symbols[GAME] = dict.fromkeys(range(5), "Game::load") | {1000: "Game::run"}
    arrive(services, app, GAME)
    assert {name: count for name, (_, count) in groups(services, app).items()} == {"Game::load": 15}
    assert recount_app(services, app.app_id).differences == ()


def test_a_known_stack_that_lacks_symbols_writes_no_note_twice(
    services: Services, app: App
) -> None:
    crash(services, app, (GAME, 16), (GAME, 1000))
    Worker(services).drain()
    [note] = kept(services, keys.waiting(app.app_id, GAME, "").pk)
    services.table.write([Update(note, set={"untouched": 1})])
    crash(services, app, (GAME, 16), (GAME, 1000))
    Worker(services).drain()
    assert (services.table.get(note) or {}).get("untouched") == 1


def test_an_id_finds_its_stacks_however_it_is_written(
    services: Services, app: App, reader: NamedByBuilds
) -> None:
    written, kept_as = "c" * 32 + "F", "C" * 32 + "f"
    crash(services, app, (written, 16), (written, 32))
    Worker(services).drain()
    assert [e.module.debug_id for e in services.missing_symbols.of_app(app.app_id)] == [kept_as]
    reader.symbols[written] = {16: "Game::load", 32: "Game::run"}
    arrive(services, app, kept_as)
    assert set(groups(services, app)) == {"Game::load"}


def test_a_task_that_is_given_up_is_tried_again_later(services: Services, time: Clock) -> None:
    body = encode(SymbolsArrived(GAME, None))
    services.queue.dead_letters.send(body)
    Worker(services).drain()
    time.now += MAX_DELAY_S + 1
    assert [message.body for message in services.queue.receive()] == [body]


@pytest.mark.parametrize("folded", [False, True])
def test_crashes_that_are_counted_only_move_with_their_sample(
    services: Services, app: App, reader: NamedByBuilds, time: Clock, folded: bool
) -> None:
    services.policies.change(app.app_id, {"stored_per_minute": 2})
    time.now -= time.now % 60  # all in one minute
    for _ in range(10):
        crash(services, app, (GAME, 16), (GAME, 1000))
        Worker(services).step()
    assert len(list(services.crashes.of_app(app.app_id))) == 3
    if folded:
        services.counts.fold_all(app.app_id)
    reader.symbols[GAME] = {16: "Game::load", 1000: "Game::run"}
    arrive(services, app, GAME)
    for _ in range(3):
        crash(services, app, (GAME, 16), (GAME, 1000))
        Worker(services).drain()
    services.counts.fold_all(app.app_id)
    assert {name: count for name, (_, count) in groups(services, app).items()} == {"Game::load": 13}
    for _ in range(2):
        found = recount_app(services, app.app_id)
        assert (found.reports, found.differences) == (13, ())
        time.now += LATER_S
        Worker(services).drain()
