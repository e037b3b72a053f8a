"""Above an app's quota: a sample is kept, everything is counted, once, wherever it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import hypothesis
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st

from chalicelib import bootstrap, clock, keys
from chalicelib.bootstrap import Services
from chalicelib.payload import PARTYCRASHER, Payload
from chalicelib.processing import Outcome
from chalicelib.queries.histograms import Days
from chalicelib.queries.paging import Paging
from chalicelib.records import App, Deleted, StoredReport
from chalicelib.recount import recount_app
from chalicelib.storage.counting import CountingTable
from chalicelib.worker import Worker
from tests.crashes import android_log, drain, receive
from tests.disturbances import Died, Disturbance, Disturbed, die
from tests.formats.minidump.builder import MinidumpBuilder
from tests.wsgi_client import get, request

DUMP = (
    MinidumpBuilder(os="linux", cpu="amd64")
    .module("/opt/app", 0x7000_0000, 0x1_0000, build_id=bytes(range(20)))
    .thread(7, {"rip": 0x7000_1234, "rsp": 0x8000_0000}, stack=bytes(64))
    .exception(7, code=11, flags=1, address=0x45)
    .build()
)
NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def at_noon() -> Iterator[None]:
    """All within one minute, so that none of these tests is cut in two by it."""
    with patch.object(clock, "now", lambda: NOW):
        yield


def limit(services: Services, app: App, reports: int) -> None:
    services.policies.change(app.app_id, {"stored_per_minute": reports})


def take(services: Services, app: App, *causes: str, version: str = "33") -> list[int]:
    ids = [receive(services, app, android_log(cause, version)) for cause in causes]
    drain(services)
    return ids


def kept(services: Services, ids: list[int]) -> list[int]:
    """Those of the crashes that are reports of their own."""
    items = {report_id: services.table.get(keys.report(report_id)) for report_id in ids}
    return [report_id for report_id, item in items.items() if StoredReport.at(item) is not None]


def totals(services: Services, app: App) -> dict[str, int]:
    listed = services.groups.of_app(app.app_id, Paging(per_page=100), "date", True)
    return {str(e.group.class_name).rpartition(".")[2]: e.total for e in listed.entries}


def agrees(services: Services, app: App) -> int:
    """How many crashes a recount finds, which has to find every count right."""
    found = recount_app(services, app.app_id)
    assert found.differences == ()
    services.counts.fold_all(app.app_id)
    again = recount_app(services, app.app_id)
    assert (again.differences, again.reports) == ((), found.reports)
    return found.reports


# --- what is kept ---


def test_up_to_the_quota_every_report_is_kept_and_above_it_one_of_each_stack(
    services: Services, app: App
) -> None:
    limit(services, app, 5)
    ids = take(services, app, *["a"] * 20)
    assert kept(services, ids) == ids[:6]  # five, and the sample of those above
    assert totals(services, app) == {"A": 20}
    assert agrees(services, app) == 20


def test_a_stack_a_version_or_a_group_that_is_new_is_kept_whatever_the_quota(
    services: Services, app: App
) -> None:
    limit(services, app, 1)
    first = take(services, app, "a", "a", "a", "b", "b", "b")
    other = take(services, app, "a", "a", "a", version="34")
    # what is new is the sample of those that come after it
    assert kept(services, first) == [first[0], first[1], first[3]]
    assert kept(services, other) == other[:1]
    assert totals(services, app) == {"A": 6, "B": 3}
    assert agrees(services, app) == 9


def test_each_minute_has_its_own_quota_and_its_own_sample(services: Services, app: App) -> None:
    limit(services, app, 2)
    first = take(services, app, *["a"] * 6)
    with patch.object(clock, "now", lambda: NOW + timedelta(minutes=1)):
        second = take(services, app, *["a"] * 6)
    assert kept(services, first) == first[:3]
    assert kept(services, second) == second[:3]
    assert agrees(services, app) == 12


def test_without_a_quota_every_report_is_kept(services: Services, app: App) -> None:
    limit(services, app, 0)
    ids = take(services, app, *["a"] * 60)
    assert kept(services, ids) == ids


def test_the_payload_of_a_report_that_is_not_kept_goes(services: Services, app: App) -> None:
    limit(services, app, 1)
    ids = take(services, app, *["a"] * 5)
    there = [i for i in ids if services.blobs.size(keys.raw_blob(i)) is not None]
    assert there == kept(services, ids) == ids[:2]


def test_what_came_with_an_id_of_its_client_is_kept(services: Services, app: App) -> None:
    limit(services, app, 1)
    ids = []
    for number in range(5):
        raw = f'{{"database_id": "d{number}", "stacktrace": [{{"function": "f"}}]}}'.encode()
        fields = {"database_id": f"d{number}"}
        sent = Payload(app.app_id, PARTYCRASHER, clock.now(), raw, fields=fields)
        ids.append(services.intake.receive(sent))
    drain(services)
    assert kept(services, ids) == ids
    assert services.reports.report("d4").stored.report_id == ids[4]


def test_crashes_without_frames_are_kept_as_each_is_its_own_stack(
    services: Services, app: App
) -> None:
    limit(services, app, 1)
    ids = [receive(services, app, b"Package: a\n\njava.lang.Error: x\n") for _ in range(4)]
    drain(services)
    assert kept(services, ids) == ids
    assert agrees(services, app) == 4


# --- who asks for one that is not kept ---


def test_one_that_is_not_kept_answers_with_its_sample(services: Services, app: App) -> None:
    limit(services, app, 1)
    ids = take(services, app, *["a"] * 4)
    token = services.accounts.create_token("read")
    path = f"/api/2/apps/{app.app_id}/crashes/{ids[3]}"
    told = get(f"{path}?format=json", token)
    assert (told.status, told.json["id"]) == (200, ids[1])
    assert get(f"{path}?format=log", token).body == android_log("a")
    assert b"<integer>0</integer>" in get(path).body  # QuincyKit's feedback: not fixed


def test_an_upload_in_two_steps_that_is_not_kept_is_processed(services: Services, app: App) -> None:
    limit(services, app, 1)
    worker = Worker(services)
    uploads = []
    for _ in range(4):
        begun = services.uploads.begin(app.app_id, None, {"ver": "1"})
        services.blobs.put(keys.landing_blob(app.app_id, f"{begun.upload_id}.dmp"), DUMP)
        worker.drain()
        uploads.append(begun.upload_id)
    states = [services.uploads.state(app.app_id, upload_id) for upload_id in uploads]
    assert {state.state for state in states} == {"processed"}
    ids = [state.crash_id for state in states if state.crash_id is not None]
    assert kept(services, ids) == ids[:2]
    left = [*services.blobs.keys("kept/"), *services.blobs.keys("raw/")]
    assert len(left) == 4  # dump and payload of two
    services.processor.fold()
    assert agrees(services, app) == 4


def test_what_a_user_wrote_about_a_crash_keeps_it_and_later_is_too_late(
    services: Services, app: App
) -> None:
    limit(services, app, 1)

    def dump() -> int:
        sent = Payload(app.app_id, "breakpad", clock.now(), DUMP, fields={"version": "1"})
        return services.intake.receive(sent)

    ids = [dump() for _ in range(5)]
    services.feedback.add(ids[4], "it broke", "when I looked")
    drain(services)
    assert kept(services, ids) == [ids[0], ids[1], ids[4]]
    answer = request(
        "POST", f"/service/crash_report/{ids[3]}/", b"summary=x&description=y",
        {"Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert answer.status == 404
    assert services.feedback.find(ids[3]) is None


# --- counted once ---


def test_events_that_come_again_count_once_whether_they_are_kept_or_not(
    services: Services, app: App
) -> None:
    limit(services, app, 2)
    ids = [receive(services, app, android_log("a")) for _ in range(8)]
    for _ in range(3):
        services.processor.process(ids[:5])
        services.processor.process(reversed(ids))
    assert totals(services, app) == {"A": 8}
    assert agrees(services, app) == 8
    other = bootstrap.build(services.settings, services.table, services.blobs, services.queue)
    assert other.processor.process(ids).stored == ()
    assert agrees(services, app) == 8


def test_one_that_was_kept_stays_when_it_comes_again_above_the_quota(
    services: Services, app: App
) -> None:
    ids = take(services, app, *["a"] * 4)
    limit(services, app, 1)
    assert services.processor.process(ids).already_stored == tuple(ids)
    assert kept(services, ids) == ids
    assert agrees(services, app) == 4


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 9))
def test_a_worker_that_dies_at_any_write_leaves_nothing_behind(
    services: Services, app: App, at: int, after: bool
) -> None:
    limit(services, app, 2)
    ids = [receive(services, app, android_log("a")) for _ in range(6)]
    disturbance = Disturbance()
    dying = bootstrap.build(
        services.settings,
        Disturbed(services.table, disturbance),  # type: ignore[arg-type]
        Disturbed(services.blobs, disturbance),  # type: ignore[arg-type]
        services.queue,
    )
    disturbance.arm(at, die, after=after)
    with pytest.raises(Died):
        dying.processor.process(ids)
        dying.processor.fold()
        raise Died  # fewer writes than that: it dies at the end
    drain(services)
    services.processor.process(ids)
    assert agrees(services, app) == 6
    assert totals(services, app) == {"A": 6}
    there = [i for i in ids if services.blobs.size(keys.raw_blob(i)) is not None]
    assert there == kept(services, ids)


def test_workers_at_the_same_time_agree_on_one_sample(services: Services, app: App) -> None:
    limit(services, app, 1)
    first, *ids = [receive(services, app, android_log("a")) for _ in range(7)]
    disturbance = Disturbance()
    slow = bootstrap.build(
        services.settings,
        Disturbed(services.table, disturbance),  # type: ignore[arg-type]
        services.blobs,
        services.queue,
    )
    slow.processor.process([first])
    services.processor.process(ids[:1])  # it does not know of the other one's yet
    meanwhile: list[Outcome] = []
    disturbance.arm(1, lambda: meanwhile.append(services.processor.process(ids[1:3])))
    outcome = slow.processor.process(ids[3:])
    assert (outcome.stored, meanwhile[0].stored) == ((), (ids[1],))
    assert agrees(services, app) == 7


_DELIVERIES = st.lists(
    st.tuples(
        st.lists(st.integers(0, 19), min_size=1, max_size=8),  # of which crashes
        st.integers(0, 1),  # to which worker
        st.none() | st.integers(1, 6),  # the write that it dies at
    ),
    max_size=12,
)


@hypothesis.settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@hypothesis.given(quota=st.integers(1, 8), deliveries=_DELIVERIES)
def test_whatever_is_delivered_twice_or_stops_a_worker_the_total_is_that_of_the_crashes(
    services: Services, quota: int, deliveries: list[tuple[list[int], int, int | None]]
) -> None:
    app = services.accounts.create_app("Another")
    limit(services, app, quota)
    ids = [receive(services, app, android_log("ab"[n % 2])) for n in range(20)]
    disturbance = Disturbance()
    pair = [
        bootstrap.build(
            services.settings,
            Disturbed(services.table, disturbance),  # type: ignore[arg-type]
            Disturbed(services.blobs, disturbance),  # type: ignore[arg-type]
            services.queue,
        ).processor
        for _ in range(2)
    ]
    for which, worker, at in deliveries:
        disturbance.arm(at or 0, die)
        with suppress(Died):
            pair[worker].process([ids[n] for n in which])
            pair[worker].fold(at_least=3)
        disturbance.disarm()
    services.processor.process(ids)
    assert agrees(services, app) == 20
    assert sum(totals(services, app).values()) == 20
    assert quota <= len(kept(services, ids)) <= 20


# --- wherever they go ---


def test_deleting_a_sample_takes_away_what_was_counted_through_it(
    services: Services, app: App
) -> None:
    limit(services, app, 2)
    ids = take(services, app, *["a"] * 10)
    services.counts.fold_all(app.app_id)
    services.deletion.delete(app.app_id, [ids[2]])
    assert totals(services, app) == {"A": 2}
    assert agrees(services, app) == 2


def test_what_was_not_folded_goes_with_its_sample(services: Services, app: App) -> None:
    limit(services, app, 2)
    ids = take(services, app, *["a"] * 10)
    services.deletion.delete(app.app_id, [ids[2]])
    found = recount_app(services, app.app_id)
    assert (found.differences, found.reports) == ((), 9)  # until it is folded
    services.counts.fold_all(app.app_id)
    assert totals(services, app) == {"A": 2}
    assert agrees(services, app) == 2


def test_one_that_is_not_kept_cannot_be_deleted(services: Services, app: App) -> None:
    limit(services, app, 2)
    ids = take(services, app, *["a"] * 10)
    assert services.deletion.delete(app.app_id, [ids[9]]) == 0
    assert totals(services, app) == {"A": 10}


@pytest.mark.parametrize("folded", [False, True])
def test_a_merge_moves_them_with_their_sample(services: Services, app: App, folded: bool) -> None:
    from chalicelib.group_decisions import GroupDecisions

    limit(services, app, 2)
    ids = take(services, app, *["a"] * 10, "b")
    if folded:
        services.counts.fold_all(app.app_id)
    one, other = (services.crashes.report(report_id).group_id for report_id in (ids[0], ids[10]))
    GroupDecisions(services, app.app_id).merge(one, other)
    Worker(services).drain()
    assert totals(services, app) == {"B": 11}
    assert agrees(services, app) == 11
    take(services, app, *["a"] * 5)
    assert totals(services, app) == {"B": 16}
    assert agrees(services, app) == 16


@pytest.mark.parametrize("move", ["before", "after"])
def test_a_move_and_a_fold_at_the_same_moment_lose_nothing(
    services: Services, app: App, move: str
) -> None:
    """Whichever is written first, the other one reads again."""
    from chalicelib.group_decisions import GroupDecisions

    limit(services, app, 2)
    ids = take(services, app, *["a"] * 10, "b")
    groups = [services.crashes.report(report_id).group_id for report_id in (ids[0], ids[10])]
    disturbance = Disturbance()
    disturbed = bootstrap.build(
        services.settings,
        Disturbed(services.table, disturbance),  # type: ignore[arg-type]
        services.blobs,
        services.queue,
    )

    def merge(inside: Services) -> None:
        GroupDecisions(inside, app.app_id).merge(*groups)
        Worker(inside).drain()

    if move == "before":
        disturbance.arm(1, lambda: merge(services))
        disturbed.counts.fold_all(app.app_id)
    else:
        # the moving batch: found by what it writes, as others come before it
        for at in range(1, 12):
            disturbance.arm(at, lambda: services.counts.fold_all(app.app_id))
        merge(disturbed)
    services.counts.fold_all(app.app_id)
    assert totals(services, app) == {"B": 11}
    assert agrees(services, app) == 11


def test_lists_of_crashes_page_through_what_is_kept(services: Services, app: App) -> None:
    limit(services, app, 30)
    ids = take(services, app, *["a"] * 120)
    there = kept(services, ids)
    assert len(there) == 31
    for _ in range(2):
        group = services.groups.group(app.app_id, services.crashes.report(ids[0]).group_id)
        assert (group.total, group.kept) == (120, 31)
        pages = [services.crashes.of_group(group, Paging(page, 25)) for page in (1, 2, 3)]
        assert [listed.total_entries for listed in pages] == [31] * 3
        shown = [report.report_id for listed in pages for report in listed.entries]
        assert sorted(shown) == there
        listed = services.all_crashes.oldest_first([app.app_id], Paging(2, 25))
        assert (listed.total_entries, len(listed.entries)) == (31, 6)
        services.counts.fold_all(app.app_id)


def test_histograms_and_buckets_count_all(services: Services, app: App) -> None:
    limit(services, app, 2)
    ids = take(services, app, *["a"] * 40)
    day = NOW.date()
    report = services.crashes.report(ids[0])
    group = services.groups.find(report.group_id)
    version = services.groups.version(app.app_id, report.version_id)
    for _ in range(2):
        days = Days(day, day)
        assert services.histograms.of_app(app.app_id, days)[0].crashes == 40
        assert services.histograms.of_group(group, days)[0].crashes == 40
        assert services.histograms.of_version(version, days)[0].crashes == 40
        services.counts.fold_all(app.app_id)
    (bucket,) = services.buckets.top([app.app_id], "4.0", None, None)
    assert bucket.total == 40


def test_an_erased_app_leaves_no_sample(services: Services, app: App) -> None:
    limit(services, app, 2)
    ids = take(services, app, *["a"] * 20)
    report = services.crashes.report(ids[2])
    assert report.sample is not None
    services.counts.fold_all(app.app_id)
    assert services.eraser.erase([app.app_id])
    assert services.table.get(keys.sample(app.app_id, report.sample)) is None


def test_a_note_goes_when_no_event_can_come_any_more(services: Services, app: App) -> None:
    limit(services, app, 1)
    ids = take(services, app, *["a"] * 3)
    note = Deleted.at(services.table.get(keys.report(ids[2])))
    assert note is not None
    assert note.counted_by == ids[1]
    assert note.expires_at == int((NOW + timedelta(days=15)).timestamp())


# --- what the quota costs ---


def _counting(services: Services) -> tuple[Services, CountingTable]:
    table = CountingTable(services.table)
    built = bootstrap.build(services.settings, table, services.blobs, services.queue)
    return built, table


def _requests(services: Services, app: App, work: Callable[[Services], object]) -> tuple[int, int]:
    inside, table = _counting(services)
    inside.accounts.find_app(app.app_id)
    table.reset()
    work(inside)
    counts = table.snapshot()
    return counts.read_requests, counts.write_requests


def test_below_a_share_of_the_quota_it_costs_no_request(services: Services, app: App) -> None:
    take(services, app, "a")
    ids = [receive(services, app, android_log("a")) for _ in range(40)]
    limit(services, app, 0)
    free = _requests(services, app, lambda inside: inside.processor.process(ids[:20]))
    limit(services, app, 2000)
    guarded = _requests(services, app, lambda inside: inside.processor.process(ids[20:]))
    assert guarded == free


def test_workers_tell_each_other_what_is_a_share_of_the_quota(services: Services, app: App) -> None:
    """Two of them together keep little more than the quota."""
    limit(services, app, 100)
    ids = [receive(services, app, android_log("a")) for _ in range(240)]
    pair = [
        bootstrap.build(services.settings, services.table, services.blobs, services.queue)
        for _ in range(2)
    ]
    for start in range(0, len(ids), 10):
        pair[start // 10 % 2].processor.process(ids[start : start + 10])
    assert 100 <= len(kept(services, ids)) <= 121  # a batch each above it, and the sample
    assert agrees(services, app) == 240


def test_one_above_the_quota_costs_at_most_half_of_the_write_units(
    services: Services, app: App
) -> None:
    """Of what is written with it: folding is shared by many batches and the same for both."""
    inside, table = _counting(services)
    ids = [
        services.intake.receive(
            Payload(app.app_id, "hockeyapp", NOW, android_log("a"), fields={"user": f"u{number}"})
        )
        for number in range(60)
    ]
    inside.processor.process(ids[:10])

    def units(ids: list[int]) -> float:
        table.reset()
        inside.processor.process(ids)
        return table.snapshot().write_units / len(ids)

    inside.policies.change(app.app_id, {"stored_per_minute": 0})
    stored = units(ids[10:35])
    inside.policies.change(app.app_id, {"stored_per_minute": 1})
    inside.processor.process(ids[34:36])  # the sample of those above
    assert units(ids[36:]) <= stored / 2
