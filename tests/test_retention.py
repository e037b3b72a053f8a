"""What is older than an app's owner decided goes, with all that was kept of it, and no other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest

from chalicelib import bootstrap, clock, keys, schedule
from chalicelib.config import Settings
from chalicelib.ids import first_of
from chalicelib.left_groups import left_groups
from chalicelib.payload import PARTYCRASHER, Attachment, Payload, encode
from chalicelib.queries.paging import Paging
from chalicelib.records import DeadLetter
from chalicelib.recount import recount_app
from chalicelib.retention import Retention
from chalicelib.storage.counting import CountingTable
from chalicelib.storage.embedded.store import open_store
from chalicelib.storage.ports import Put
from chalicelib.tasks import Expire
from chalicelib.worker import Worker
from tests.crashes import android_log, drain
from tests.disturbances import Died, Disturbance, Disturbed, die
from tests.formats.minidump.builder import MinidumpBuilder
from tests.named_by_builds import LATER_S, Clock

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DUMP = MinidumpBuilder(os="linux", cpu="amd64").thread(1, {"rip": 0x1000}).build()


class World:
    """The service at a time that a test moves on."""

    def __init__(self, folder: Path) -> None:
        self.time = Clock()
        self.time.now = NOON.timestamp()
        self.store = open_store(folder / "data", clock=self.time)
        self.services = bootstrap.build(
            Settings(), self.store.table, self.store.blobs, self.store.queue
        )
        self.app = self.services.accounts.create_app("Demo")
        self.worker = Worker(self.services)

    def crash(self, days_ago: float, cause: str = "a", **more: object) -> int:
        then = self.time.now - days_ago * 86_400
        with self.at(then):
            fields = {"user": "jo", "contact": "jo@example.com"}
            told = {"log": android_log(cause), "fields": fields, "door": "hockeyapp", **more}
            sent = Payload(self.app.app_id, received_at=clock.now(), **told)  # type: ignore[arg-type]
            report_id = self.services.intake.receive(sent)
            drain(self.services)
        return report_id

    @contextmanager
    def at(self, now: float) -> Iterator[None]:
        before, self.time.now = self.time.now, now
        yield
        self.time.now = before

    def keep(self, days: int) -> None:
        self.services.policies.change(self.app.app_id, {"retention_days": days})

    def let_pass(self, rounds: int = 8) -> None:
        """The hour's job, and everything that it asks for."""
        Retention(self.services).look()
        for _ in range(rounds):
            self.worker.drain()
            self.time.now += LATER_S

    def there(self) -> list[int]:
        return sorted(r.report_id for r in self.services.crashes.of_app(self.app.app_id))

    def agrees(self) -> int:
        self.services.counts.fold_all(self.app.app_id)
        found = recount_app(self.services, self.app.app_id)
        assert found.differences == ()
        return found.reports


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    with patch.object(clock, "now", lambda: datetime.fromtimestamp(made.time(), UTC)):
        yield made
    made.store.close()


def test_reports_of_days_that_are_too_old_go_and_the_others_stay(world: World) -> None:
    ids = [world.crash(days) for days in (100, 29, 28.6, 28.4, 27, 0)]
    world.keep(28)
    world.let_pass()
    assert world.there() == sorted(ids[3:])  # all of the day 28 days ago is kept
    assert world.agrees() == 3


def test_without_a_retention_everything_stays(world: World) -> None:
    ids = [world.crash(days) for days in (2000, 5)]
    world.let_pass()
    assert world.there() == sorted(ids)


def test_the_retention_of_the_settings_holds_where_an_app_has_none(tmp_path: Path) -> None:
    world = World(tmp_path)
    with patch.object(clock, "now", lambda: datetime.fromtimestamp(world.time(), UTC)):
        world.services = bootstrap.build(
            Settings(retention_days=28), world.store.table, world.store.blobs, world.store.queue
        )
        world.worker = Worker(world.services)
        old, kept = world.crash(40), world.crash(1)
        world.keep(0)
        world.let_pass()
        assert world.there() == sorted([old, kept])
        world.services.policies.change(world.app.app_id, {"retention_days": None})
        world.let_pass()
        assert world.there() == [kept]
    world.store.close()


def test_nothing_is_left_of_what_has_gone(world: World) -> None:
    before = set(_items(world))
    blobs = set(world.store.blobs.keys(""))
    png = (Attachment("attachment0", "a.png", "image/png", 3, b"png"),)
    log = world.crash(60, description=b"it broke", attachments=png)
    posted = b'{"database_id": "d", "stacktrace": [{"function": "f"}]}'
    world.crash(60, log=posted, door=PARTYCRASHER, fields={"database_id": "d"})
    dump = world.crash(60, log=DUMP, door="breakpad")
    world.services.feedback.add(dump, "I did this", "and that")
    world.services.exports.start(world.services.crashes.report(log))
    Worker(world.services).drain()
    world.keep(28)
    world.let_pass()
    assert world.there() == []
    left = {key for key in set(_items(world)) - before if _is_of_reports(key)}
    assert left == set()
    assert set(world.store.blobs.keys("")) == blobs
    assert world.agrees() == 0
    assert left_groups(world.services.table, world.app.app_id) == []


def test_groups_that_become_empty_go_and_the_others_get_new_dates(world: World) -> None:
    gone, kept = world.crash(60, "gone"), [world.crash(60, "kept"), world.crash(1, "kept")]
    groups = [world.services.crashes.report(i).group_id for i in (gone, kept[1])]
    world.keep(28)
    world.let_pass()
    listed = world.services.groups.of_app(world.app.app_id, Paging(), "date", True).entries
    assert [entry.group.group_id for entry in listed] == groups[1:]
    assert listed[0].first_at == world.services.crashes.report(kept[1]).date
    assert world.services.table.get(keys.group(groups[0])) is None


def test_what_a_sample_stands_for_goes_with_it(world: World) -> None:
    world.services.policies.change(world.app.app_id, {"stored_per_minute": 1})
    with world.at(world.time.now - 60 * 86_400):
        for _ in range(10):
            world.crash(0)
    assert world.agrees() == 10
    world.keep(28)
    world.let_pass()
    assert world.agrees() == 0


def test_a_report_with_an_old_date_that_came_just_now_cannot_come_back(world: World) -> None:
    """Its event may be delivered again: a note keeps its place."""
    posted = (
        b'{"database_id": "d", "date": "2016-02-29T10:00:00", "stacktrace": [{"function": "f"}]}'
    )
    report_id = world.crash(0, log=posted, door=PARTYCRASHER, fields={"database_id": "d"})
    raw = world.services.blobs.get(keys.raw_blob(report_id))
    world.keep(28)
    world.let_pass(rounds=1)
    assert world.there() == []
    world.services.blobs.put(keys.raw_blob(report_id), raw)  # a worker that had it read before
    world.services.processor.process([report_id])
    assert world.there() == []


@pytest.mark.parametrize("at", range(1, 16))
def test_wherever_a_worker_dies_the_next_run_finishes_it(world: World, at: int) -> None:
    ids = [world.crash(60, "ab"[n % 2]) for n in range(6)] + [world.crash(1)]
    world.keep(28)
    disturbance = Disturbance()
    dying = bootstrap.build(
        Settings(),
        Disturbed(world.store.table, disturbance),  # type: ignore[arg-type]
        Disturbed(world.store.blobs, disturbance),  # type: ignore[arg-type]
        world.store.queue,
    )
    disturbance.arm(at, die)
    with pytest.raises(Died):
        Retention(dying).run(Expire(world.app.app_id, "2026-10-24"))
        raise Died
    world.time.now += 3 * 3600
    world.let_pass()
    assert world.there() == ids[6:]
    assert world.agrees() == 1
    assert len(list(world.store.blobs.keys("raw/"))) == 1


def test_a_backlog_is_worked_off_part_by_part(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib import retention

    ids = [world.crash(60) for _ in range(30)]
    world.keep(28)
    monkeypatch.setattr(retention, "_PART", 4)
    monkeypatch.setattr("chalicelib.tasks._PART_OF_VISIBILITY", 0)  # one look at the clock
    world.worker = Worker(world.services)
    Retention(world.services).look()
    parts = []
    while world.there():
        before = len(world.there())
        world.worker.step()
        parts.append(before - len(world.there()))
        Retention(world.services).look()  # another hour begins meanwhile: nobody begins anew
        assert world.services.queue.depth() <= 1
    assert sum(parts) == len(ids)
    assert max(parts) <= 4
    world.let_pass()
    assert world.agrees() == 0


@pytest.mark.parametrize(("days", "left"), [(0, 2), (50, 1)])
def test_who_thinks_better_of_it_keeps_what_is_left(world: World, days: int, left: int) -> None:
    world.crash(40)
    world.crash(60)
    world.keep(1)
    Retention(world.services).look()
    world.keep(days)
    world.worker.drain()
    assert len(world.there()) == left
    world.keep(1)
    world.let_pass()  # and it can be begun again at once
    assert world.there() == []


def test_a_part_ends_before_a_function_does(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the visibility timeout is, which is six times what a function has."""
    from chalicelib import retention

    for _ in range(20):
        world.crash(60)
    world.keep(28)
    monkeypatch.setattr(retention, "_PART", 2)
    ticks = itertools.count(step=2)  # seconds between two looks at the clock
    monkeypatch.setattr(retention, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    on_aws = bootstrap.build(
        Settings(visibility_s=360), world.store.table, world.store.blobs, world.store.queue
    )
    Retention(on_aws).run(Expire(world.app.app_id, "2026-10-24"))
    assert len(world.there()) == 14


def test_dead_letters_go_after_the_same_time(world: World) -> None:
    moments = [NOON - timedelta(days=days) for days in (60, 1, 60)]
    old, young, of_nobody = (first_of(moment) + place for place, moment in enumerate(moments))
    for report_id, moment in zip((old, young, of_nobody), moments, strict=True):
        app_id = None if report_id == of_nobody else world.app.app_id
        letter = DeadLetter(report_id, "unreadable", clock.to_stored(moment), app_id, "hockeyapp")
        world.services.table.write([Put(letter.item())])
        world.services.blobs.put(keys.raw_blob(report_id), b"x")
    world.keep(28)
    world.let_pass()
    letters = {letter.report_id for letter in world.services.crashes.dead_letters()}
    assert letters == {young, of_nobody}  # whose it was nobody knows: the settings keep those
    left = {keys.raw_blob(report_id) for report_id in letters}
    assert set(world.store.blobs.keys("raw/")) == left


def test_letters_that_are_kept_do_not_keep_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.retention._LETTERS", 1)
    first = first_of(NOON - timedelta(days=60))
    shards = keys.DEADLETTER_SHARDS
    for number in range(2 * shards):
        report_id = first + number
        app_id = None if number < shards else world.app.app_id  # those of nobody are older
        failed_at = clock.to_stored(NOON - timedelta(days=60))
        letter = DeadLetter(report_id, "unreadable", failed_at, app_id, "hockeyapp")
        world.services.table.write([Put(letter.item())])
    world.keep(28)
    world.let_pass()
    letters = {letter.report_id for letter in world.services.crashes.dead_letters()}
    assert letters == {first + number for number in range(shards)}


def test_a_dump_above_the_limit_goes_with_its_letter(world: World) -> None:
    landed = keys.landing_blob(world.app.app_id, "large.dmp")
    world.services.blobs.put(landed, DUMP)
    assert world.services.queue.receive()
    moment = NOON - timedelta(days=60)
    report_id = first_of(moment)
    sent = Payload(world.app.app_id, "upload", moment, b"", log_key=landed)
    world.services.blobs.put(keys.raw_blob(report_id), encode(sent))
    letter = DeadLetter(report_id, "too large", clock.to_stored(moment), world.app.app_id, "upload")
    world.services.table.write([Put(letter.item())])
    world.keep(28)
    Retention(world.services).look()
    assert list(world.services.blobs.keys("")) == []


def test_the_hours_job_looks_for_what_is_old(world: World) -> None:
    world.crash(60)
    world.keep(28)
    schedule.every_hour(world.services)
    world.worker.drain()
    assert world.there() == []


# --- what it costs ---


def test_an_idle_look_reads_the_old_ends_of_apps_with_a_retention_only(world: World) -> None:
    for _ in range(20):
        world.services.accounts.create_app("Other")
    world.crash(1)
    world.keep(28)
    table = CountingTable(world.store.table)
    inside = bootstrap.build(Settings(), table, world.store.blobs, world.store.queue)
    Retention(inside).look()
    counts = table.snapshot()
    assert counts.read_units <= 2 + 4 + 8  # the list of apps, eight ends, dead letters
    assert counts.write_units == 0


def test_an_old_report_costs_less_to_take_away_than_to_delete(world: World) -> None:
    ids = [world.crash(60) for _ in range(80)]
    table = CountingTable(world.store.table)
    inside = bootstrap.build(Settings(), table, world.store.blobs, world.store.queue)
    inside.deletion.delete(world.app.app_id, ids[:40])
    deleted = table.snapshot().write_units / 40
    table.reset()
    reports = [inside.crashes.report(report_id) for report_id in ids[40:]]
    table.reset()
    assert inside.expiry.expire(world.app.app_id, reports) == 40
    expired = table.snapshot()
    assert expired.write_units / 40 <= 0.65 * deleted
    assert expired.write_units / 40 <= 9


def _items(world: World) -> Iterator[tuple[str, str]]:
    rows = world.store.table._database.reader().execute("SELECT pk, sk FROM items")
    yield from rows


def _is_of_reports(key: tuple[str, str]) -> bool:
    """Not what the app itself keeps: versions, counts by day, what bucketing learned."""
    kinds = ("report#", "alias#", "contact#", "group#", "landed#", "sample#", "classes#", "delta#")
    return key[0].startswith(kinds) or key[1].startswith(("left#", "expiring"))
