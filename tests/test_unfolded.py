"""What processes leave uncounted is found by their marks, and counted every minute."""

from __future__ import annotations

import pytest

from chalicelib import bootstrap, keys, unfolded
from chalicelib.bootstrap import Services
from chalicelib.records import App
from chalicelib.schedule import every_minute
from chalicelib.storage.counting import CountingTable
from chalicelib.storage.ports import query_all
from chalicelib.unfolded import Marks, fold_marked
from tests.crashes import android_log, receive

APP = "a" * 32


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def marks(services: Services) -> list[str]:
    found = []
    for shard in range(keys.DELTA_SHARDS):
        for item in query_all(services.table, keys.unfolded("", shard).pk):
            found.append(str(item["sk"]))
    return found


def test_what_a_process_left_is_folded_within_the_minute(services: Services, app: App) -> None:
    services.processor.process([receive(services, app, android_log())])
    assert services.counts.pending(app.app_id).rows
    elsewhere = bootstrap.build(services.settings, services.table, services.blobs, services.queue)
    every_minute(elsewhere)
    assert services.counts.pending(app.app_id).rows == ()
    assert services.counts.total(keys.app_partition(app.app_id), ()) == 1


def test_a_process_leaves_one_mark_a_minute(services: Services) -> None:
    table, clock = CountingTable(services.table), Clock()
    left = Marks(table, 3, clock)
    for _ in range(10):
        left.leave([APP])
        clock.now += 7
    assert table.snapshot().write_requests == 2
    assert marks(services) == [APP]


def test_a_mark_goes_when_nobody_relies_on_it_any_more(services: Services) -> None:
    clock = Clock()
    Marks(services.table, 3, clock).leave([APP])
    clock.now += unfolded._KEPT_S
    fold_marked(services.table, services.counts, clock)
    assert marks(services) == [APP]
    clock.now += 1
    fold_marked(services.table, services.counts, clock)
    assert marks(services) == []


def test_a_mark_that_is_left_anew_meanwhile_stays(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    Marks(services.table, 3, clock).leave([APP])
    clock.now += unfolded._KEPT_S + 1
    read = unfolded.query_all

    def and_left_anew(*asked: object) -> list[object]:
        found = list(read(*asked))  # type: ignore[arg-type]
        if found:
            Marks(services.table, 3, clock).leave([APP])
        return found

    monkeypatch.setattr(unfolded, "query_all", and_left_anew)
    fold_marked(services.table, services.counts, clock)
    assert marks(services) == [APP]


def test_idle_apps_cost_nothing(services: Services) -> None:
    for number in range(20):
        services.accounts.create_app(f"idle {number}")
    table = CountingTable(services.table)
    fold_marked(table, services.counts)
    assert table.snapshot().read_requests == keys.DELTA_SHARDS


def test_erasing_an_app_takes_its_marks_away(services: Services, app: App) -> None:
    services.processor.process([receive(services, app, android_log())])
    assert marks(services) == [app.app_id]
    services.eraser.erase([app.app_id])
    assert marks(services) == []
