"""Hours and the log of recent crashes: each crash once, whoever folds and however much fits."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chalicelib import clock, hours, keys, recent
from chalicelib.bootstrap import Services
from chalicelib.deltas import Row, delta_put
from chalicelib.group_decisions import GroupDecisions
from chalicelib.hours import KEPT_DAYS
from chalicelib.payload import Payload
from chalicelib.records import App, StoredReport
from chalicelib.recount import recount_app
from chalicelib.resymbolication import Resymbolication
from chalicelib.storage.ports import Delete, Item, Put, Update
from chalicelib.tasks import Settle
from chalicelib.worker import Worker
from tests.crashes import android_log, drain
from tests.test_counts import GROUPS, VERSIONS, make_groups

NOW = clock.now()


def row_at(number: int, at: datetime, reports: int = 1) -> Row:
    moment = clock.to_stored(at)
    group_id, version_id = number % GROUPS + 1, number % VERSIONS + 1
    return Row(group_id, version_id, moment[:10], "", reports, moment, moment)


def put(services: Services, app: App, shard: int, number: int, rows: list[Row]) -> None:
    services.table.write([delta_put(app.app_id, shard, f"{number:016d}", rows, 0)])


def by_hour(services: Services, partition: str) -> Counter[str]:
    today = NOW.date()
    found = hours.read(services.table, partition, today - timedelta(days=80), today)
    return Counter({hour: total.crashes for hour, total in found.items()})


def by_hour_of_app(services: Services, app: App) -> Counter[str]:
    return by_hour(services, keys.app_partition(app.app_id))


def logged(services: Services, app: App) -> Counter[tuple[str, int, int]]:
    found = Counter[tuple[str, int, int]]()
    for shard in range(keys.RECENT_SHARDS):
        since = NOW - timedelta(days=2)
        for entry in recent.entries(services.table, app.app_id, shard, since, 10).entries:
            for row in entry.rows:
                found[row.minute, row.group_id, row.version_id] += row.crashes
    return found


def test_what_does_not_fit_into_one_fold_counts_in_its_hour_and_in_the_log_once(
    services: Services, app: App
) -> None:
    make_groups(services, app)
    rows = [row_at(number, NOW - timedelta(minutes=number)) for number in range(1000)]
    for number in range(40):
        put(services, app, 0, number, rows[number * 25 : number * 25 + 25])
    assert services.counts.fold(app.app_id, 0)
    assert services.counts.pending(app.app_id).rows != ()
    services.counts.fold_all(app.app_id)
    assert by_hour_of_app(services, app) == Counter(row.first[:13] for row in rows)
    of_versions = Counter[str]()
    for version_id in range(1, VERSIONS + 1):
        of_versions += by_hour(services, keys.version_partition(version_id))
    assert of_versions == by_hour_of_app(services, app)
    assert logged(services, app) == Counter(
        (row.first[:16], row.group_id, row.version_id) for row in rows
    )


def test_several_folders_log_no_crash_twice(services: Services, app: App) -> None:
    make_groups(services, app)
    rows = [row_at(number, NOW - timedelta(minutes=number % 90)) for number in range(500)]
    for number in range(50):
        put(services, app, number % 3, number, rows[number * 10 : number * 10 + 10])
    with ThreadPoolExecutor(6) as pool:
        for _ in range(4):
            list(pool.map(lambda _: services.counts.fold_all(app.app_id), range(6)))
    assert services.counts.pending(app.app_id).rows == ()
    assert sum(logged(services, app).values()) == 500
    assert sum(by_hour_of_app(services, app).values()) == 500


def test_crashes_of_many_days_are_folded_a_part_at_a_time(services: Services, app: App) -> None:
    make_groups(services, app)
    rows = [row_at(number, NOW - timedelta(days=number % 60)) for number in range(600)]
    for number in range(50):
        put(services, app, 0, number, rows[number * 12 : number * 12 + 12])
    services.counts.fold_all(app.app_id)
    assert services.counts.pending(app.app_id).rows == ()
    assert by_hour_of_app(services, app) == Counter(row.first[:13] for row in rows)


def test_one_delta_of_as_many_hours_as_a_batch_can_have_is_folded(
    services: Services, app: App
) -> None:
    make_groups(services, app)
    put(services, app, 0, 1, [row_at(number, NOW - timedelta(days=number)) for number in range(40)])
    services.counts.fold_all(app.app_id)
    assert services.counts.pending(app.app_id).rows == ()
    assert sum(by_hour_of_app(services, app).values()) == 40


def test_a_delta_of_before_hours_folds_into_no_hour(services: Services, app: App) -> None:
    """A row of it may hold the crashes of a whole day."""
    make_groups(services, app)
    row = row_at(1, NOW, 7)._replace(first=f"{NOW.date()}T00:00:00.000000Z")
    put(services, app, 0, 1, [row._replace(last=f"{NOW.date()}T23:59:59.000000Z")])
    services.counts.fold_all(app.app_id)
    assert services.counts.total(keys.app_partition(app.app_id), ()) == 7
    assert by_hour_of_app(services, app) == Counter()
    assert logged(services, app) == Counter()


def test_hours_that_are_not_kept_any_more_are_left_alone(services: Services, app: App) -> None:
    make_groups(services, app)
    long_ago = NOW - timedelta(days=KEPT_DAYS + 1)
    put(services, app, 0, 1, [row_at(1, long_ago, 5), row_at(1, NOW)])
    put(services, app, 0, 2, [row_at(1, long_ago, -5)])
    services.counts.fold_all(app.app_id)
    assert by_hour_of_app(services, app) == Counter([clock.to_stored(NOW)[:13]])
    assert sum(logged(services, app).values()) == 1


# --- reports that move, and go ---


@pytest.fixture
def reports(services: Services, app: App) -> list[StoredReport]:
    """Two groups in two versions, an hour and a minute apart, folded."""
    ids = []
    for minute in (0, 1, 61):
        for cause, version in (("a", "1"), ("b", "1"), ("b", "2")):
            at = NOW - timedelta(minutes=minute)
            log = android_log(cause, version)
            ids.append(services.intake.receive(Payload(app.app_id, "test", at, log)))
    drain(services)
    services.counts.fold_all(app.app_id)
    return [services.crashes.report(report_id) for report_id in ids]


def test_deleted_reports_leave_their_hours_and_stay_in_the_log(
    services: Services, app: App, reports: list[StoredReport]
) -> None:
    before = logged(services, app)
    services.deletion.delete(app.app_id, [report.report_id for report in reports[:4]])
    services.counts.fold_all(app.app_id)
    assert by_hour_of_app(services, app) == Counter(r.date[:13] for r in reports[4:])
    assert logged(services, app) == before
    assert recount_app(services, app.app_id).differences == ()


def test_merged_groups_are_no_new_crashes(
    services: Services, app: App, reports: list[StoredReport]
) -> None:
    before = logged(services, app)
    GroupDecisions(services, app.app_id).merge(reports[1].group_id, reports[0].group_id)
    Worker(services).drain()
    Resymbolication(services).run(Settle(app.app_id))
    assert logged(services, app) == before
    assert by_hour_of_app(services, app) == Counter(r.date[:13] for r in reports)
    assert recount_app(services, app.app_id).differences == ()


def test_a_crash_that_is_delivered_again_is_logged_once(
    services: Services, app: App, reports: list[StoredReport]
) -> None:
    before = logged(services, app)
    services.processor.process([report.report_id for report in reports])
    services.counts.fold_all(app.app_id)
    assert logged(services, app) == before
    assert sum(before.values()) == len(reports)


def test_the_log_names_the_groups_that_crashes_founded(
    services: Services, app: App, reports: list[StoredReport]
) -> None:
    since = NOW - timedelta(days=1)
    founded = [
        group_id
        for shard in range(keys.RECENT_SHARDS)
        for entry in recent.entries(services.table, app.app_id, shard, since, 1).entries
        for group_id in entry.founded
    ]
    assert sorted(founded) == sorted({report.group_id for report in reports})


# --- the recount ---


@pytest.mark.parametrize("of", ["app", "version"])
def test_a_recount_finds_a_wrong_hour(
    services: Services, app: App, reports: list[StoredReport], of: str
) -> None:
    first = reports[0]
    version = keys.version_partition(first.version_id)
    partition = keys.app_partition(app.app_id) if of == "app" else version
    place = keys.hours(partition, first.date[:10])
    services.table.write([Update(place, add={f"h{first.date[11:13]}": 1})])
    (line,) = recount_app(services, app.app_id).differences
    assert line.startswith(f"{partition} {first.date[:13]}:00:")


def test_a_recount_says_nothing_of_the_hours_of_an_app_of_before_hours(
    services: Services, app: App, reports: list[StoredReport]
) -> None:
    older = replace(app, hourly=None)
    services.table.write([Put(older.item())])
    services.accounts.forget_app(app.app_id)
    day = keys.hours(keys.app_partition(app.app_id), reports[0].date[:10])
    services.table.write([Delete(day)])
    assert recount_app(services, app.app_id).differences == ()


def test_an_item_of_hours_goes_when_a_recount_does_not_ask_for_it_any_more(
    services: Services, app: App, reports: list[StoredReport]
) -> None:
    day = reports[0].date[:10]
    item: Item | None = services.table.get(keys.hours(keys.app_partition(app.app_id), day))
    assert item is not None
    gone = datetime.fromtimestamp(int(str(item["expires_at"])), NOW.tzinfo)
    assert hours.surely_kept_since(gone.date()) > day
    assert gone - NOW > timedelta(days=KEPT_DAYS)
