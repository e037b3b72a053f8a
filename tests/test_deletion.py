"""Single crashes deleted: nothing of them stays, every count follows, a stop is made good."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib import bootstrap, clock, keys
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.errors import NotFound
from chalicelib.left_groups import left_groups
from chalicelib.payload import Attachment, Payload
from chalicelib.queries.paging import Paging
from chalicelib.records import App, Deleted, StoredReport
from chalicelib.recount import recount_app
from chalicelib.settling import Settling
from chalicelib.storage.embedded.store import EmbeddedStore, open_store
from chalicelib.storage.ports import Key
from chalicelib.worker import Worker
from tests.crashes import android_log
from tests.formats.minidump.builder import MinidumpBuilder

DAY = timedelta(days=1)
DUMP = (
    MinidumpBuilder()
    .module("/app/game", 0x1000, 0x1000, debug_file="game", debug_id="A" * 32 + "0")
    .thread(1, {"rip": 0x1011, "rsp": 0x8000}, stack=bytes(64))
    .exception(1, code=11, address=0x1011, registers={"rip": 0x1011, "rsp": 0x8000})
    .build()
)
GRACE = timedelta(seconds=121)  # no worker has a crash any more that it had before


class Calendar:
    """The service's time and the store's, which a test moves on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def timestamp(self) -> float:
        return self.now.timestamp()

    def later(self, by: timedelta = timedelta(hours=1)) -> datetime:
        self.now += by
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Calendar:
    calendar = Calendar()
    monkeypatch.setattr(clock, "now", lambda: calendar.now)
    return calendar


@pytest.fixture
def store(tmp_path: Path, time: Calendar) -> Iterator[EmbeddedStore]:
    opened = open_store(tmp_path / "data", clock=time.timestamp)
    yield opened
    opened.close()


@pytest.fixture
def services(store: EmbeddedStore) -> Services:
    return bootstrap.build(Settings(), store.table, store.blobs, store.queue)


def post(
    services: Services,
    app: App,
    cause: str = "a",
    version: str = "1",
    door: str = "hockeyapp",
    **more: Any,
) -> int:
    log = DUMP if door == "omaha" else android_log(cause, version)
    return services.intake.receive(Payload(app.app_id, door, clock.now(), log, **more))


def crash(services: Services, app: App, *args: Any, **more: Any) -> StoredReport:
    report_id = post(services, app, *args, **more)
    Worker(services).drain()
    return services.crashes.report(report_id)


def settle(services: Services, time: Calendar) -> None:
    """Let all the graces pass: of what is left, then of closed groups."""
    for _ in range(4):
        time.later(GRACE)
        Worker(services).drain()


def everything(store: EmbeddedStore) -> dict[str, str]:
    """Every item and every blob there is, by its key; of an item what is in it."""
    kept = dict.fromkeys(store.blobs.keys(""), "")
    for pk, sk in store.databases[0].reader().execute("SELECT pk, sk FROM items").fetchall():
        item = store.table.get(Key(pk, sk))
        if item is not None:
            kept[f"{pk} {sk}"] = repr(item)
    return kept


def naming(kept: dict[str, str], identifier: int) -> list[str]:
    """What names a report or a group, but for what bucketing knows of a stack: the id of the
    report that brought it names its bucket. The log of what was folded goes after two days."""
    knowledge = ("members#", "content#", "recent#", *(f"stack#{key}" for key in _stacks(kept)))
    return [
        key
        for key, item in kept.items()
        if str(identifier) in f"{key} {item}" and not key.startswith(knowledge)
    ]


def _stacks(kept: dict[str, str]) -> list[str]:
    """The keys of stacks by themselves, behind `stack#`; not how an app has grouped them."""
    return [key[6:] for key in kept if key.startswith("stack#") and key.endswith(" stack")]


def totals(services: Services, app: App) -> dict[str | None, int]:
    listed = services.groups.of_app(app.app_id, Paging(per_page=100), "date", False)
    assert listed.total_entries == len(listed.entries)
    return {entry.group.class_name: entry.total for entry in listed.entries}


def differences(services: Services, app: App) -> tuple[str, ...]:
    return recount_app(services, app.app_id).differences


# --- all that goes ---

FILES = (Attachment("attachment0", "a.bin", "image/png", 3, b"abc"),)


@pytest.mark.parametrize(
    ("door", "more"),
    [
        ("hockeyapp", {"description": b"what I did", "fields": {"user": "ann", "contact": "a@b"}}),
        ("hockeyapp", {"attachments": FILES, "fields": {"contact": "a@b"}}),
        ("omaha", {"annotations": {"a": "b"}, "attachments": FILES}),
    ],
    ids=["told", "attached", "minidump"],
)
def test_nothing_of_a_crash_stays_nor_of_a_group_that_had_no_other(
    services: Services,
    store: EmbeddedStore,
    app: App,
    time: Calendar,
    door: str,
    more: dict[str, Any],
) -> None:
    report = crash(services, app, door=door, **more)
    if door == "omaha":
        services.feedback.add(report.report_id, "it broke", "")
    services.downloads._max_inline_bytes = 0
    for sent in report.attachments * FILES:
        assert services.downloads.attachment(report.report_id, sent.name).url
    assert services.deletion.delete(app.app_id, [report.report_id]) == 1
    assert list(store.blobs.keys("")) == []
    with pytest.raises(NotFound):
        services.crashes.report(report.report_id)
    assert totals(services, app) == {}
    assert differences(services, app) == ()
    settle(services, time)
    kept = everything(store)
    assert naming(kept, report.report_id) == naming(kept, report.group_id) == []
    assert differences(services, app) == ()
    assert services.queue.depth() == 0


def test_the_id_that_a_client_gave_is_free_again(
    services: Services, app: App, time: Calendar
) -> None:
    fields = {"database_id": "launchpad:1"}
    first = crash(services, app, fields=fields)
    services.deletion.delete(app.app_id, [first.report_id])
    with pytest.raises(NotFound):
        services.reports.report("launchpad:1")
    second = crash(services, app, fields=fields)
    assert services.reports.report("launchpad:1").stored == second
    assert differences(services, app) == ()


def test_a_dump_that_came_straight_to_the_store_may_be_put_there_again(
    services: Services, store: EmbeddedStore, app: App, time: Calendar
) -> None:
    place = keys.landing_blob(app.app_id, "a.dmp")
    ids = []
    for _ in range(2):
        store.blobs.put(place, DUMP)
        Worker(services).drain()
        (report,) = services.crashes.of_app(app.app_id)
        ids.append(report.report_id)
        assert services.deletion.delete(app.app_id, [report.report_id]) == 1
        assert list(store.blobs.keys("")) == []
    assert ids[0] != ids[1]
    settle(services, time)
    assert [key for i in ids for key in naming(everything(store), i)] == []


def test_a_crash_that_waits_and_one_that_cannot_be_read_go_too(
    services: Services, store: EmbeddedStore, app: App, time: Calendar
) -> None:
    waiting = post(services, app)
    unreadable = services.intake.receive(
        Payload(app.app_id, "quincykit", clock.now(), b"", fields={"database_id": "x"})
    )
    services.processor._bury(unreadable, services.crashes.payload(unreadable), "broken")
    assert services.deletion.delete(app.app_id, [waiting, unreadable]) == 2
    Worker(services).drain()
    assert list(services.crashes.dead_letters()) == []
    assert list(services.crashes.of_app(app.app_id)) == []
    assert list(store.blobs.keys("")) == []
    settle(services, time)
    kept = everything(store)
    assert naming(kept, waiting) == naming(kept, unreadable) == []


def test_those_of_another_app_and_unknown_ones_stay_untouched(
    services: Services, store: EmbeddedStore, app: App, time: Calendar
) -> None:
    other = services.accounts.create_app("Other")
    report = crash(services, app)
    waiting = post(services, app)
    before = everything(store)
    wanted = [report.report_id, waiting, 1, -1]
    assert services.deletion.delete(other.app_id, wanted) == 0
    assert everything(store) == before
    assert services.deletion.delete(app.app_id, wanted) == 2
    assert services.deletion.delete(app.app_id, wanted) == 0


# --- what follows ---


def test_counts_follow_at_once_and_dates_when_the_group_is_settled(
    services: Services, app: App, time: Calendar
) -> None:
    reports = []
    for _ in range(6):
        for version in ("1", "2"):
            time.later(timedelta(minutes=1))
            reports.append(crash(services, app, "a", version))
        crash(services, app, "b")
        time.later(DAY)
    first, *kept, last = reports
    gone = [first.report_id, reports[1].report_id, last.report_id]
    assert services.deletion.delete(app.app_id, gone) == 3
    name = "de.codenauts.hockeyapp.A"
    assert totals(services, app)[name] == 9
    assert differences(services, app) == ()
    settle(services, time)
    assert left_groups(services.table, app.app_id) == []
    entry = services.groups.group(app.app_id, first.group_id)
    assert (entry.total, entry.first_at, entry.last_at) == (9, kept[1].date, kept[-1].date)
    assert entry.version.version_id == kept[-1].version_id
    second = services.groups.version(app.app_id, last.version_id)
    part = services.groups.group_in_version(second, first.group_id)
    assert (part.total, part.first_at, part.last_at) == (4, kept[2].date, kept[-2].date)
    assert differences(services, app) == ()


def test_settling_reads_what_lies_at_the_ends_not_the_whole_group(
    services: Services, app: App, time: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.queries.crashes._AHEAD", 1)
    first = post(services, app)
    for _ in range(120):
        time.later()
        post(services, app)
    Worker(services).drain()
    services.deletion.delete(app.app_id, [first])
    time.later(GRACE)
    from chalicelib.storage.counting import CountingTable

    counting = CountingTable(services.table)
    counted = bootstrap.build(Settings(), counting, services.blobs, services.queue)
    assert Settling(counted, app.app_id).run(clock.to_stored(time.now))
    assert counting.snapshot().items_read < 100
    assert differences(services, app) == ()


def test_a_version_that_lost_all_its_crashes_of_a_group_is_no_part_of_it(
    services: Services, app: App, time: Calendar
) -> None:
    one, two = (crash(services, app, "a", version) for version in ("1", "2"))
    services.deletion.delete(app.app_id, [one.report_id])
    version = services.groups.version(app.app_id, one.version_id)
    for _ in range(2):
        with pytest.raises(NotFound):
            services.groups.group_in_version(version, one.group_id)
        listed = services.groups.of_version(version, Paging(), "date", True)
        assert (listed.total_entries, listed.entries) == (0, ())
        assert differences(services, app) == ()
        settle(services, time)
    assert services.groups.group(app.app_id, two.group_id).total == 1


# --- groups that are left empty ---


def test_an_emptied_group_is_not_found_and_a_crash_that_comes_soon_brings_it_back(
    services: Services, app: App, time: Calendar
) -> None:
    first = crash(services, app)
    services.triage.update(app.app_id, first.group_id, status=2)
    services.deletion.delete(app.app_id, [first.report_id])
    with pytest.raises(NotFound):
        services.groups.group(app.app_id, first.group_id)
    time.later(timedelta(seconds=10))
    again = crash(services, app)
    assert again.group_id == first.group_id
    settle(services, time)
    entry = services.groups.group(app.app_id, first.group_id)
    assert (entry.total, entry.group.status, entry.first_at) == (1, 2, again.date)
    assert differences(services, app) == ()


def test_a_crash_of_its_cause_makes_a_new_group_when_it_is_gone(
    services: Services, app: App, time: Calendar
) -> None:
    first = crash(services, app)
    services.deletion.delete(app.app_id, [first.report_id])
    settle(services, time)
    again = crash(services, app)
    assert again.group_id != first.group_id
    assert again.fingerprint == first.fingerprint
    assert totals(services, app) == {"de.codenauts.hockeyapp.A": 1}
    assert differences(services, app) == ()


@pytest.mark.parametrize("new_group", [False, True], ids=["alone", "beside a new group"])
def test_a_crash_that_was_on_its_way_to_a_closed_group_is_not_lost(
    services: Services, app: App, time: Calendar, new_group: bool
) -> None:
    first = crash(services, app)
    late = post(services, app)
    batch = planned(services, late)
    services.queue.ack(services.queue.receive(25))
    services.deletion.delete(app.app_id, [first.report_id])
    time.later(GRACE)
    Settling(services, app.app_id).run(clock.to_stored(time.now))
    assert [note.is_closed for note in left_groups(services.table, app.app_id)] == [True]
    if new_group:
        assert crash(services, app).group_id != first.group_id
    batch()
    assert services.crashes.report(late).group_id == first.group_id
    settle(services, time)
    assert totals(services, app) == {"de.codenauts.hockeyapp.A": 1 + new_group}
    assert differences(services, app) == ()
    assert left_groups(services.table, app.app_id) == []
    assert crash(services, app).group_id == services.crashes.report(late).group_id


def planned(services: Services, report_id: int) -> Callable[[], object]:
    """What commits a crash, planned now."""
    from chalicelib.commit import Batch

    read = services.processor.read(report_id, services.crashes.payload(report_id))
    batch = Batch(services.table, services.bucketing, services.ids)
    assert batch.plan([read], 0) == 1
    return lambda: services.table.write(batch.operations)


# --- events, stops and others at it ---


@pytest.mark.parametrize("fields", [{}, {"database_id": "mine"}], ids=["plain", "named"])
def test_a_worker_that_had_the_crash_before_does_not_bring_it_back(
    services: Services, store: EmbeddedStore, app: App, time: Calendar, fields: dict[str, str]
) -> None:
    report = crash(services, app, fields=fields)
    read = services.processor.read(report.report_id, services.crashes.payload(report.report_id))
    services.deletion.delete(app.app_id, [report.report_id])
    assert services.processor._commit([read]).already_stored == (report.report_id,)
    assert services.processor.process([report.report_id]).gone == (report.report_id,)
    settle(services, time)
    assert naming(everything(store), report.report_id) == []
    assert store.table.get(keys.database_id("mine")) is None
    assert differences(services, app) == ()


class Stopped(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("at", ["before anything", "before the blobs", "before the note expires"])
@pytest.mark.parametrize("by", ["a second request", "the message"])
def test_a_stop_is_made_good(
    services: Services,
    store: EmbeddedStore,
    app: App,
    time: Calendar,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
    by: str,
) -> None:
    report, other = crash(services, app), crash(services, app, "b")

    def stop(*_: object, **__: object) -> None:
        raise Stopped

    place = {
        "before anything": (services.deletion, "_begin"),
        "before the blobs": (services.deletion, "_finish"),
        "before the note expires": (services.deletion._blobs, "delete"),
    }[at]
    with monkeypatch.context() as patched, pytest.raises(Stopped):
        patched.setattr(*place, stop)
        services.deletion.delete(app.app_id, [report.report_id])
    is_gone = at != "before anything"
    assert totals(services, app).get("de.codenauts.hockeyapp.A", 0) == (not is_gone)
    assert services.crashes.is_waiting(report.report_id, app.app_id) is not is_gone
    assert differences(services, app) == ()
    if by == "a second request" or not is_gone:
        assert services.deletion.delete(app.app_id, [report.report_id]) == 1
        assert list(store.blobs.keys("")) == [keys.raw_blob(other.report_id)]
    settle(services, time)
    assert list(store.blobs.keys("")) == [keys.raw_blob(other.report_id)]
    assert naming(everything(store), report.report_id) == []
    assert naming(everything(store), report.group_id) == []
    assert differences(services, app) == ()


def test_a_group_whose_taking_away_was_stopped_is_taken_away_later(
    services: Services,
    store: EmbeddedStore,
    app: App,
    time: Calendar,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = crash(services, app)
    services.triage.annotate(app.app_id, report.group_id, "why")
    services.deletion.delete(app.app_id, [report.report_id])

    def stop(*_: object) -> None:
        raise Stopped

    with monkeypatch.context() as patched, pytest.raises(Stopped):
        patched.setattr(Settling, "_sweep", stop)
        Settling(services, app.app_id).run()
    assert naming(everything(store), report.group_id)
    Settling(services, app.app_id).run()
    assert naming(everything(store), report.group_id) == []


def test_many_at_once_by_several_count_each_once(
    services: Services, app: App, time: Calendar
) -> None:
    reports = [post(services, app, "abc"[n % 3], str(n % 4)) for n in range(150)]
    Worker(services).drain()
    doomed = reports[:100]
    with ThreadPoolExecutor(4) as pool:
        parts = [doomed, doomed[::-1], doomed[30:80], doomed[::2]]
        deleted = pool.map(lambda ids: services.deletion.delete(app.app_id, ids), parts)
        assert sum(deleted) >= len(doomed)
    assert {report.report_id for report in services.crashes.of_app(app.app_id)} == set(
        reports[100:]
    )
    assert sum(totals(services, app).values()) == 50
    assert differences(services, app) == ()
    settle(services, time)
    assert differences(services, app) == ()
    assert Deleted.at(services.table.get(keys.report(doomed[0]))) is None


def test_a_report_that_is_moved_meanwhile_is_taken_from_where_it_went(
    services: Services, app: App, time: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, other = crash(services, app), crash(services, app, "b")
    original = services.deletion._operations
    moves = iter([True])

    def moved(reports: Any, *more: Any) -> Any:
        operations = original(reports, *more)
        if next(moves, False):  # another worker, between the planning and the writing
            from chalicelib import deltas
            from chalicelib.storage.ports import Put

            there = replace(report, group_id=other.group_id)
            rows = [
                deltas.row_of(
                    report.group_id, report.version_id, report.date, report.fingerprint
                )._replace(reports=-1),
                deltas.row_of(other.group_id, report.version_id, report.date, report.fingerprint),
            ]
            services.table.write([Put(there.item()), deltas.delta_put(app.app_id, 3, "1", rows, 0)])
        return operations

    monkeypatch.setattr(services.deletion, "_operations", moved)
    assert services.deletion.delete(app.app_id, [report.report_id]) == 1
    assert totals(services, app) == {"de.codenauts.hockeyapp.B": 1}
    assert differences(services, app) == ()
