"""A resolved group that crashes again in a newer version is opened, once, and known for it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib import bootstrap, clock, deltas, keys
from chalicelib.bootstrap import Services
from chalicelib.ids import sortable
from chalicelib.payload import Payload
from chalicelib.queries.paging import Paging
from chalicelib.records import IGNORED, OPEN, RESOLVED, App, Group, Regressed, Version
from chalicelib.recount import recount_app
from chalicelib.storage.counting import CountingTable
from chalicelib.storage.ports import query_all
from tests.crashes import android_log, drain


class Calendar:
    """The service's time, which a test moves on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def later(self, hours: float = 1) -> datetime:
        self.now += timedelta(hours=hours)
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calendar]:
    calendar = Calendar()
    monkeypatch.setattr(clock, "now", lambda: calendar.now)
    yield calendar


def crash(services: Services, app: App, version: str, cause: str = "a") -> int:
    """A crash of the build `version` with the marketing version `1.VERSION`; its group."""
    log = android_log(cause, version)
    report_id = services.intake.receive(Payload(app.app_id, "hockeyapp", clock.now(), log))
    drain(services)
    return services.crashes.report(report_id).group_id


def group_of(services: Services, app: App, group_id: int) -> Group:
    services.counts.fold_all(app.app_id)
    return services.groups.group(app.app_id, group_id).group


def version_of(services: Services, app: App, number: str) -> Version:
    (found,) = [v for v in services.groups.versions(app.app_id) if v.number == number]
    return found


def told(services: Services, app: App) -> list[tuple[int, int]]:
    """The groups and versions of which a record tells."""
    partition = keys.regressed(app.app_id, "", "").pk
    records = map(Regressed.from_item, query_all(services.table, partition))
    return [(group, version) for record in records for group, version in record.groups]


def test_a_newer_version_opens_it_and_the_fact_is_kept(
    services: Services, app: App, time: Calendar
) -> None:
    group_id = crash(services, app, "33")
    time.later()
    services.triage.update(app.app_id, group_id, status=RESOLVED)
    time.later()
    crash(services, app, "34")
    group = group_of(services, app, group_id)
    newer = version_of(services, app, "34").version_id
    assert (group.status, group.regressed_in_version_id) == (OPEN, newer)
    assert group.regressed_at == clock.to_stored(time.now)
    assert group.updated_at == group.regressed_at
    assert told(services, app) == [(group_id, newer)]
    assert recount_app(services, app.app_id).differences == ()


def test_it_shows_as_open_before_its_counts_are_folded(
    services: Services, app: App, time: Calendar
) -> None:
    group_id = crash(services, app, "33")
    services.counts.fold_all(app.app_id)
    time.later()
    services.triage.update(app.app_id, group_id, status=RESOLVED)
    time.later()
    crash(services, app, "34")

    def shown() -> list[Group]:
        version = version_of(services, app, "33")
        groups, paging = services.groups, Paging()
        return [
            groups.group(app.app_id, group_id).group,
            groups.group_in_version(version, group_id).group,
            groups.of_app(app.app_id, paging, "date", True).entries[0].group,
            groups.of_version(version, paging, "date", True).entries[0].group,
        ]

    before = {(g.status, g.regressed_at, g.regressed_in_version_id, g.updated_at) for g in shown()}
    assert told(services, app) == []
    services.counts.fold_all(app.app_id)
    after = {(g.status, g.regressed_at, g.regressed_in_version_id, g.updated_at) for g in shown()}
    assert before == after
    assert {status for status, *_ in after} == {OPEN}


@pytest.mark.parametrize("version", ["33", "32", "9"])
def test_the_same_and_older_versions_leave_it_resolved(
    services: Services, app: App, time: Calendar, version: str
) -> None:
    for seen in ("31", "33"):
        group_id = crash(services, app, seen)
    services.triage.update(app.app_id, group_id, status=RESOLVED)
    time.later()
    crash(services, app, version)
    group = group_of(services, app, group_id)
    assert (group.status, group.regressed_at) == (RESOLVED, None)
    assert told(services, app) == []


def test_a_newer_version_that_others_crashed_in_before_counts_too(
    services: Services, app: App, time: Calendar
) -> None:
    group_id = crash(services, app, "33")
    crash(services, app, "34", cause="other")
    services.triage.update(app.app_id, group_id, status=RESOLVED)
    time.later()
    crash(services, app, "34")
    assert group_of(services, app, group_id).status == OPEN


def test_crashes_from_before_the_resolution_do_not_open_it_however_late_they_are_counted(
    services: Services, app: App, time: Calendar
) -> None:
    group_id = crash(services, app, "33")
    crash(services, app, "34")  # its count is pending
    older = version_of(services, app, "33")
    time.later()
    services.triage.update(app.app_id, group_id, status=RESOLVED, version=older)
    assert group_of(services, app, group_id).status == RESOLVED
    time.later()
    crash(services, app, "34")  # resolved in 33 says nothing of 34
    assert group_of(services, app, group_id).status == OPEN


@pytest.mark.parametrize("status", [OPEN, IGNORED])
def test_groups_that_are_not_resolved_stay_as_they_are(
    services: Services, app: App, time: Calendar, status: int
) -> None:
    group_id = crash(services, app, "33")
    services.triage.update(app.app_id, group_id, status=RESOLVED)
    services.triage.update(app.app_id, group_id, status=status)
    time.later()
    crash(services, app, "34")
    group = group_of(services, app, group_id)
    assert (group.status, group.regressed_at) == (status, None)


def test_resolved_again_it_may_regress_again(services: Services, app: App, time: Calendar) -> None:
    group_id = crash(services, app, "33")
    for version in ("34", "35"):
        services.triage.update(app.app_id, group_id, status=RESOLVED)
        assert group_of(services, app, group_id).regressed_at is None
        time.later()
        crash(services, app, version)
        found = version_of(services, app, version).version_id
        assert group_of(services, app, group_id).regressed_in_version_id == found
        time.later()
    assert len(told(services, app)) == 2


@pytest.mark.parametrize(
    ("created_before", "status"), [(True, RESOLVED), (False, OPEN)], ids=["before", "after"]
)
def test_where_names_do_not_tell_a_version_is_newer_that_came_after_the_resolution(
    services: Services, app: App, time: Calendar, created_before: bool, status: int
) -> None:
    group_id = crash(services, app, "spring")
    if created_before:
        services.versions.ensure(app.app_id, "autumn", "1.autumn")
    time.later()
    services.triage.update(app.app_id, group_id, status=RESOLVED)
    time.later()
    crash(services, app, "autumn")
    assert group_of(services, app, group_id).status == status


def test_a_deletion_on_the_same_day_does_not_hide_a_new_crash(
    services: Services, app: App, time: Calendar
) -> None:
    group_id = crash(services, app, "33")
    crash(services, app, "34")
    services.triage.update(
        app.app_id, group_id, status=RESOLVED, version=version_of(services, app, "33")
    )
    services.counts.fold_all(app.app_id)
    time.later()
    crash(services, app, "34")
    newest = next(services.crashes.of_app(app.app_id))
    row = deltas.row_of(group_id, newest.version_id, newest.date, newest.fingerprint)
    taken = deltas.delta_put(
        app.app_id, 0, sortable(services.ids.next()), [row._replace(reports=-1)], 0
    )
    services.table.write([taken])
    assert group_of(services, app, group_id).status == OPEN


def test_many_folders_open_it_once(services: Services, app: App, time: Calendar) -> None:
    groups = [crash(services, app, "33", cause) for cause in ("a", "b", "c")]
    for group_id in groups:
        services.triage.update(app.app_id, group_id, status=RESOLVED)
    time.later()
    for number in range(34, 46):
        services.processor._shard = number % keys.DELTA_SHARDS
        for cause in ("a", "b", "c"):
            crash(services, app, str(number), cause)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: services.counts.fold_all(app.app_id), range(6)))
    services.counts.fold_all(app.app_id)
    assert sorted(group for group, _ in told(services, app)) == sorted(groups)
    for group_id in groups:
        assert group_of(services, app, group_id).status == OPEN
    assert recount_app(services, app.app_id).differences == ()


def test_a_report_of_a_resolved_group_costs_what_any_other_costs(
    services: Services, app: App, time: Calendar
) -> None:
    def cost() -> tuple[int, float, int]:
        counting = CountingTable(services.table)
        built = bootstrap.build(services.settings, counting, services.blobs, services.queue)
        crash(built, app, "33")
        spent = counting.snapshot()
        return spent.read_requests, spent.read_units, spent.write_requests

    group_id = crash(services, app, "33")
    before = cost()
    services.triage.update(app.app_id, group_id, status=RESOLVED)
    time.later()
    assert cost() == before
