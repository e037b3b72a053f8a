"""Folding: every delta counted once, whoever folds, and however much does not fit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from chalicelib import keys
from chalicelib.bootstrap import Services
from chalicelib.counts import Counts
from chalicelib.deltas import Row, delta_put, tally
from chalicelib.queries.paging import Paging
from chalicelib.records import App, Group, Version
from chalicelib.recount import recount_app
from chalicelib.storage.ports import Delete, Put, query_all

VERSIONS = 3
GROUPS = 150
WHEN = "2026-11-{day:02d}T12:00:00.{number:06d}Z"


def make_groups(services: Services, app: App) -> None:
    """Groups and versions whose ids count from 1, as commits would have made them."""
    for number in range(1, VERSIONS + 1):
        version = Version(number, app.app_id, str(number), "", WHEN.format(day=1, number=0))
        services.table.write([Put(version.item()), Put(version.item_by_id())])
    for number in range(1, GROUPS + 1):
        moment = WHEN.format(day=28, number=0)
        group = Group(number, app.app_id, app.number, f"b{number}", moment, moment, 1)
        services.table.write([Put(group.item())])


def rows_of(start: int, count: int) -> list[Row]:
    rows = []
    for number in range(start, start + count):
        group_id, version_id = number % GROUPS + 1, number % VERSIONS + 1
        moment = WHEN.format(day=number % 28 + 1, number=number)
        rows.append(Row(group_id, version_id, moment[:10], "", 1, moment, moment))
    return rows


def write_deltas(services: Services, app: App, shard: int, deltas: int, size: int) -> int:
    for number in range(deltas):
        rows = tally(rows_of(number * size, size))
        batch = f"{number:016d}"
        services.table.write([delta_put(app.app_id, shard, batch, rows, GROUPS * (number == 0))])
    return deltas * size


def test_what_does_not_fit_one_batch_is_folded_by_the_next(services: Services, app: App) -> None:
    make_groups(services, app)
    written = write_deltas(services, app, 3, 12, 25)
    assert services.counts.fold(app.app_id, 3)
    assert 0 < sum(row.reports for row in services.counts.pending(app.app_id).rows) < written
    services.counts.fold_all(app.app_id)
    assert services.counts.pending(app.app_id).rows == ()
    assert services.counts.total(keys.app_partition(app.app_id), ()) == written
    listed = services.groups.of_app(app.app_id, Paging(per_page=100), "date", True)
    assert listed.total_entries == GROUPS


def test_many_folders_of_one_shard_count_each_delta_once(services: Services, app: App) -> None:
    make_groups(services, app)
    written = write_deltas(services, app, 0, 40, 25)

    def work(_: int) -> None:
        for _ in range(40):
            services.counts.fold(app.app_id, 0)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    services.counts.fold_all(app.app_id)
    assert services.counts.total(keys.app_partition(app.app_id), ()) == written
    groups = [services.groups.group(app.app_id, number).total for number in range(1, GROUPS + 1)]
    assert sum(groups) == written
    (totals,) = [
        item
        for item in query_all(services.table, keys.app_partition(app.app_id))
        if item["sk"] == "totals"
    ]
    assert totals["groups"] == GROUPS


def test_first_and_last_dates_are_those_of_the_reports_in_any_order(
    services: Services, app: App
) -> None:
    make_groups(services, app)
    write_deltas(services, app, 0, 40, 25)
    services.counts.fold_all(app.app_id)
    expected = sorted(row.first for row in rows_of(0, 1000) if row.group_id == 1)
    entry = services.groups.group(app.app_id, 1)
    assert (entry.first_at, entry.last_at) == (
        expected[0],
        max(expected[-1], WHEN.format(day=28, number=0)),
    )


def test_a_recount_of_nothing_finds_nothing(services: Services, app: App) -> None:
    assert recount_app(services, app.app_id).differences == ()


def test_a_group_that_was_deleted_meanwhile_holds_up_no_other(services: Services, app: App) -> None:
    """Else the rows that name it would stand before all later ones for ever."""
    make_groups(services, app)
    services.table.write([Delete(keys.group(1))])
    written = write_deltas(services, app, 3, 12, 25)
    lost: list[int] = []
    Counts(services.table, on_lost=lambda _, group_id: lost.append(group_id)).fold_all(app.app_id)
    assert services.counts.pending(app.app_id).rows == ()
    assert services.counts.total(keys.app_partition(app.app_id), ()) == written
    assert services.table.get(keys.group(1)) is None
    assert set(lost) == {1}


def test_a_delta_of_an_earlier_form_is_counted(services: Services, app: App) -> None:
    make_groups(services, app)
    key = keys.delta(app.app_id, 3, "1")
    rows = [list(row[:7]) for row in rows_of(0, 9)]
    services.table.write([Put({"pk": key.pk, "sk": key.sk, "rows": rows})])
    assert [row.reports for row in services.counts.pending(app.app_id).rows] == [1] * 9
    services.counts.fold_all(app.app_id)
    assert services.counts.total(keys.app_partition(app.app_id), ()) == 9


def test_groups_that_are_folded_stand_in_order_whatever_their_shards(
    services: Services, app: App
) -> None:
    make_groups(services, app)
    rows = [
        Row(number, 1, "2026-11-28", "", number, *[WHEN.format(day=28, number=number)] * 2)
        for number in range(1, GROUPS + 1)
    ]
    services.table.write([delta_put(app.app_id, 1, "1", rows, GROUPS)])
    services.counts.fold_all(app.app_id)
    for page in (1, 3, 6):  # from either end
        listed = services.groups.of_app(app.app_id, Paging(page), "number_of_crashes", True)
        first = GROUPS - (page - 1) * 25
        assert [entry.total for entry in listed.entries] == list(range(first, first - 25, -1))
        assert listed.total_entries == GROUPS
