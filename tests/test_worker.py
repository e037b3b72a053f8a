"""The worker loop: nothing that comes out of the queue stops it."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from chalicelib import bootstrap, clock, keys
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.counts import Counts
from chalicelib.payload import Payload
from chalicelib.processing import Outcome
from chalicelib.records import App
from chalicelib.resymbolication import Resymbolication
from chalicelib.storage.embedded.store import open_store
from chalicelib.storage.events import object_created
from chalicelib.tasks import (
    BATCH,
    MAX_DELAY_S,
    MappingArrived,
    Settle,
    SymbolsArrived,
    Task,
    encode,
    settled_s,
    work_s,
)
from chalicelib.worker import Worker
from tests.crashes import android_log, receive


def with_settings(services: Services, **changes: int) -> Services:
    return dataclasses.replace(services, settings=dataclasses.replace(services.settings, **changes))


def break_for(
    services: Services, monkeypatch: pytest.MonkeyPatch, is_bad: Callable[[int], bool]
) -> list[list[int]]:
    """Let the processing step fail on some reports; the batches it was asked for."""
    asked: list[list[int]] = []
    process = services.processor.process

    def failing(report_ids: Iterable[int]) -> Outcome:
        batch = list(report_ids)
        asked.append(batch)
        if any(map(is_bad, batch)):
            raise RuntimeError("the store is away")
        return process(batch)

    monkeypatch.setattr(services.processor, "process", failing)
    return asked


def test_it_drains_the_queue_and_folds(services: Services, app: App) -> None:
    for _ in range(BATCH + 5):
        receive(services, app, android_log())
    assert Worker(services).drain() == BATCH + 5
    assert services.queue.depth() == 0
    assert services.counts.pending(app.app_id).rows == ()
    assert services.counts.total(keys.app_partition(app.app_id), ()) == BATCH + 5


def test_workers_that_begin_together_fold_at_different_times(services: Services, app: App) -> None:
    folded = []
    for chance in (0, 20):
        worker = Worker(services, chance=lambda _, drawn=chance: drawn)
        batches = 0
        while not batches or services.counts.pending(app.app_id).rows:
            receive(services, app, android_log())
            batches += worker.step()
        folded.append(batches)
    assert folded == [24, 4]


def test_a_bad_event_holds_up_no_other(
    services: Services, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [receive(services, app, android_log()) for _ in range(5)]
    break_for(services, monkeypatch, lambda report_id: report_id == ids[2])
    Worker(services).drain()
    stored = [i for i in ids if services.table.get(keys.report(i)) is not None]
    assert stored == [*ids[:2], *ids[3:]]
    assert services.queue.depth() == 1  # it is delivered again


def test_an_event_given_up_by_the_queue_becomes_a_dead_letter_that_can_be_replayed(
    services: Services, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_id = receive(services, app, android_log())
    hasty = with_settings(services, visibility_s=0)
    with monkeypatch.context() as patched:
        asked = break_for(services, patched, lambda _: True)
        Worker(hasty).drain()
    assert len(asked) == services.settings.max_deliveries
    (letter,) = services.crashes.dead_letters()
    assert (letter.report_id, letter.app_id) == (report_id, app.app_id)
    assert "given up after 5 deliveries" in letter.reason
    assert services.queue.depth() == services.queue.dead_letters.depth() == 0
    assert services.processor.replay(report_id).stored == (report_id,)
    assert list(services.crashes.dead_letters()) == []


def test_an_event_given_up_after_its_report_was_stored_is_no_dead_letter(
    services: Services, app: App
) -> None:
    services.processor.process([receive(services, app, android_log())])
    for _ in range(services.settings.max_deliveries):  # no acknowledgement came in time
        services.queue.receive(1, visibility_s=0)
    Worker(services).drain()
    assert list(services.crashes.dead_letters()) == []
    assert services.queue.depth() == services.queue.dead_letters.depth() == 0


@pytest.mark.parametrize(
    "body",
    [
        "no JSON",
        "[]",
        '{"Records": 7}',
        '{"Event": "s3:TestEvent"}',
        object_created("b", "elsewhere/7", 1),
        object_created("b", "raw/zz/7", 1),
        object_created("b", "raw/00/" + "9" * 5000, 1),
    ],
)
def test_an_event_that_is_not_ours_is_passed_over(services: Services, body: str) -> None:
    services.queue.send(body)
    assert Worker(services).drain() == 1
    assert services.queue.depth() == 0
    assert list(services.crashes.dead_letters()) == []


def test_a_payload_that_cannot_be_read_is_dead_and_done(services: Services, app: App) -> None:
    report_id = services.intake.receive(Payload(app.app_id, "test", clock.now(), b"\0"))
    Worker(services).drain()
    assert [letter.report_id for letter in services.crashes.dead_letters()] == [report_id]
    assert services.queue.depth() == 0


def test_in_the_place_of_a_dead_worker_it_takes_single_messages(
    services: Services, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        receive(services, app, android_log())
    asked = break_for(services, monkeypatch, lambda _: False)
    Worker(services, careful=True).drain()
    assert [len(batch) for batch in asked] == [1, 1, 1]


def test_it_folds_what_a_killed_worker_left(services: Services, app: App) -> None:
    services.processor.process([receive(services, app, android_log())])
    assert services.counts.pending(app.app_id).rows
    anew = bootstrap.build(services.settings, services.table, services.blobs, services.queue)
    Worker(anew).fold_what_was_left()
    assert services.counts.pending(app.app_id).rows == ()


def test_a_store_that_fails_does_not_end_it(
    services: Services, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.worker._AFTER_FAILURE_S", 0.0)
    failures = iter([OSError("the disk is full")])
    fold = Counts.fold

    def failing(self: Counts, app_id: str, shard: int) -> int:
        for failure in failures:
            raise failure
        return fold(self, app_id, shard)

    monkeypatch.setattr(Counts, "fold", failing)
    receive(services, app, android_log())
    stopping = threading.Event()
    thread = threading.Thread(target=Worker(services).run, args=(stopping.is_set,))
    thread.start()
    receive(services, app, android_log())
    until = time.monotonic() + 10
    while services.counts.pending(app.app_id).rows or services.queue.depth():
        assert time.monotonic() < until
        time.sleep(0.01)
    stopping.set()
    thread.join()
    assert services.counts.total(keys.app_partition(app.app_id), ()) == 2


def test_a_posted_crash_is_visible_within_a_tenth_of_a_second(services: Services, app: App) -> None:
    stopping = threading.Event()
    thread = threading.Thread(target=Worker(services).run, args=(stopping.is_set,))
    thread.start()
    try:
        receive(services, app, android_log())  # warms up
        time.sleep(0.3)
        waits = []
        for _ in range(5):
            report_id = receive(services, app, android_log())
            received = time.monotonic()
            while services.table.get(keys.report(report_id)) is None:
                time.sleep(0.002)
            waits.append(time.monotonic() - received)
            time.sleep(0.1)
    finally:
        stopping.set()
        thread.join()
    assert sorted(waits)[2] < 0.1


# --- tasks ---


def watch_tasks(
    monkeypatch: pytest.MonkeyPatch, run: Callable[[Task], None] = lambda _: None
) -> list[Task]:
    """The tasks in the order they are run; `run` does them instead."""
    seen: list[Task] = []

    def watching(_: Resymbolication, task: Task) -> None:
        seen.append(task)
        run(task)

    monkeypatch.setattr(Resymbolication, "run", watching)
    return seen


def test_crashes_are_processed_before_the_tasks_that_came_with_them(
    services: Services, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.queue.send(encode(Settle(app.app_id)))
    report_id = receive(services, app, android_log())
    there: list[bool] = []
    watch_tasks(
        monkeypatch, lambda _: there.append(services.table.get(keys.report(report_id)) is not None)
    )
    assert Worker(services).step() == 2
    assert there == [True]


def test_tasks_for_which_there_is_no_time_go_back_untried(
    services: Services, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many come before it, a task that was never begun is not given up."""
    monkeypatch.setattr("chalicelib.worker._PART_FOR_TASKS", 0)
    waiting = [MappingArrived(app.app_id, number) for number in range(12)]
    for task in waiting:
        services.queue.send(encode(task))
    seen = watch_tasks(monkeypatch)
    worker = Worker(services)
    assert [worker.step() for _ in range(13)] == [*range(12, -1, -1)]
    assert sorted(task.version_id for task in seen if isinstance(task, MappingArrived)) == [
        *range(12)
    ]
    assert services.queue.depth() == services.queue.dead_letters.depth() == 0


@pytest.mark.parametrize("body", [encode(SymbolsArrived("A" * 33, None)), '{"task":"dance"}'])
def test_a_task_that_always_fails_is_tried_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    """Also one that only another version of this service can read."""
    now = time.time()
    store = open_store(tmp_path, clock=lambda: now)
    hasty = with_settings(
        bootstrap.build(Settings(), store.table, store.blobs, store.queue), visibility_s=0
    )

    def failing(_: Task) -> None:
        raise RuntimeError("the store is away")

    watch_tasks(monkeypatch, failing)
    store.queue.send(body)
    assert Worker(hasty).drain() == hasty.settings.max_deliveries
    assert store.queue.dead_letters.depth() == 0
    assert store.queue.receive() == ()
    now += MAX_DELAY_S
    assert [message.body for message in store.queue.receive()] == [body]
    store.close()


def test_a_failing_task_holds_up_no_other(
    services: Services, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(task: Task) -> None:
        if isinstance(task, Settle):
            raise RuntimeError("the store is away")

    seen = watch_tasks(monkeypatch, failing)
    services.queue.send(encode(Settle(app.app_id)))
    services.queue.send(encode(MappingArrived(app.app_id, 7)))
    Worker(services).drain()
    assert seen == [Settle(app.app_id), MappingArrived(app.app_id, 7)]


def test_what_came_often_is_processed_by_itself(
    services: Services, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should it be what ended the workers before, it takes none of its neighbours along."""
    often = {receive(services, app, android_log()) for _ in range(3)}
    for _ in range(2):
        services.queue.receive(visibility_s=0)
    new = {receive(services, app, android_log()) for _ in range(2)}
    asked = break_for(services, monkeypatch, lambda _: False)
    Worker(services).drain()
    assert set(asked[0]) == new
    assert {len(batch) for batch in asked[1:]} == {1}
    assert {batch[0] for batch in asked[1:]} == often


@pytest.mark.parametrize(("visibility_s", "works_s"), [(60, 15), (360, 15), (8, 2)])
def test_a_task_works_no_longer_than_a_function_lives(visibility_s: int, works_s: int) -> None:
    assert work_s(visibility_s) == works_s
    assert settled_s(visibility_s) in range(2 * visibility_s, MAX_DELAY_S + 1)
