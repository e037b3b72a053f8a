"""Exports: a job that survives its worker, says when it failed, and leaves nothing behind."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chalicelib import bootstrap, clock, keys, schedule
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.errors import NotFound
from chalicelib.exports import Exports
from chalicelib.payload import OMAHA, Payload
from chalicelib.records import DONE, FAILED, WAITING, App, StoredReport
from chalicelib.storage.embedded.store import open_store
from chalicelib.storage.ports import Delete
from chalicelib.tasks import ExportReport, encode
from chalicelib.worker import Worker
from tests.crashes import android_log, receive
from tests.formats.minidump.builder import MinidumpBuilder

LOST_S = 121  # no worker has the message any more
KEPT_S = 86_401
FAILED_S = 301


class Clock:
    """The time, which a test moves on."""

    def __init__(self) -> None:
        self.now = clock.now().timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(moved(), UTC))
    return moved


@pytest.fixture
def services(tmp_path: Path, time: Clock) -> Iterator[Services]:
    store = open_store(tmp_path / "data", clock=time)
    yield bootstrap.build(Settings(), store.table, store.blobs, store.queue)
    store.close()


@pytest.fixture
def report(services: Services, app: App) -> StoredReport:
    report_id = receive(services, app, android_log())
    Worker(services).drain()
    return services.crashes.report(report_id)


def exported(services: Services, report: StoredReport) -> dict[str, Any]:
    """The file, once a worker has written it."""
    services.exports.start(report)
    Worker(services).drain()
    assert services.exports.state(report.report_id).state == DONE
    told: dict[str, Any] = json.loads(services.exports.open(report.report_id).data)
    return told


def files(services: Services) -> list[str]:
    return list(services.blobs.keys(keys.EXPORTS))


def test_a_task_that_is_delivered_twice_changes_nothing(
    services: Services, report: StoredReport
) -> None:
    told = exported(services, report)
    before = services.exports.state(report.report_id)
    services.queue.send(encode(ExportReport(report.report_id)))
    Worker(services).drain()
    assert services.exports.state(report.report_id) == before
    assert json.loads(services.exports.open(report.report_id).data) == told


@pytest.mark.parametrize("after", ["nothing", "the file"])
def test_what_a_worker_left_when_it_died_is_done_at_the_next_delivery(
    services: Services,
    report: StoredReport,
    time: Clock,
    monkeypatch: pytest.MonkeyPatch,
    after: str,
) -> None:
    services.exports.start(report)
    with monkeypatch.context() as patched:

        def dies(*_: object) -> None:
            raise SystemExit

        patched.setattr(services.exports, "_end" if after == "the file" else "_content", dies)
        with pytest.raises(SystemExit):
            Worker(services).step()
    assert services.exports.state(report.report_id).state == WAITING
    assert bool(files(services)) == (after == "the file")
    Worker(services).drain()
    assert services.exports.state(report.report_id).state == WAITING  # still the dead one's
    time.now += services.settings.visibility_s + 1
    Worker(services).drain()
    assert services.exports.state(report.report_id).state == DONE


def test_a_message_that_was_never_sent_is_sent_when_somebody_asks(
    services: Services, report: StoredReport, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:

        def dies(_: int) -> None:
            raise SystemExit

        patched.setattr(services.exports, "_send", dies)
        with pytest.raises(SystemExit):
            services.exports.start(report)
    assert services.queue.depth() == 0
    services.exports.start(report)
    assert services.queue.depth() == 0  # it may be on its way
    time.now += LOST_S
    for _ in range(3):
        assert services.exports.state(report.report_id).state == WAITING
    assert services.queue.depth() == 1
    Worker(services).drain()
    assert services.exports.state(report.report_id).state == DONE


def test_who_asks_at_one_moment_gets_one_job(
    services: Services, report: StoredReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = services.exports._find
    answers = iter([None])
    monkeypatch.setattr(services.exports, "_find", lambda i: next(answers, find(i)))
    first = find(report.report_id)
    assert first is None
    services.exports.start(report)
    answers = iter([None])  # the other one has not seen it yet
    assert services.exports.start(report) == find(report.report_id)
    assert services.queue.depth() == 1


def test_an_export_that_fails_each_time_says_so_and_is_tried_again_later(
    services: Services, report: StoredReport, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.exports.start(report)
    with monkeypatch.context() as patched:

        def breaks(_: int) -> bytes:
            raise RuntimeError("the store is away")

        patched.setattr(services.exports, "_content", breaks)
        for _ in range(services.settings.max_deliveries + 1):
            Worker(services).drain()
            time.now += services.settings.visibility_s + 1
        Worker(services).drain()
    failed = services.exports.start(report)
    assert failed.state == FAILED
    assert "given up after 5 deliveries" in (failed.reason or "")
    assert services.queue.depth() == services.queue.dead_letters.depth() == 0
    with pytest.raises(NotFound):
        services.exports.open(report.report_id)
    time.now += FAILED_S
    assert exported(services, report)["crash_id"] == report.report_id


def test_a_payload_that_cannot_be_read_fails_at_once(
    services: Services, report: StoredReport
) -> None:
    services.blobs.put(keys.raw_blob(report.report_id), b"damaged")
    services.exports.start(report)
    Worker(services).drain()
    failed = services.exports.state(report.report_id)
    assert (failed.state, services.queue.depth()) == (FAILED, 0)
    assert failed.reason == "the stored payload is shorter than its prefix"


def test_files_are_swept_away_when_their_time_is_over_and_no_others(
    services: Services, app: App, report: StoredReport, time: Clock
) -> None:
    exported(services, report)
    time.now += KEPT_S / 2
    other = services.crashes.report(receive_and_process(services, app))
    exported(services, other)
    assert len(files(services)) == 2
    time.now += KEPT_S / 2
    services.blobs.put(f"{keys.EXPORTS}x/none of ours", b"")
    with pytest.raises(NotFound):
        services.exports.open(report.report_id)
    schedule.every_hour(services)
    gone = keys.export_blob(app.app_id, report.report_id)
    assert len(files(services)) == 2
    assert gone not in files(services)
    assert services.exports.open(other.report_id).data
    assert exported(services, report)["crash_id"] == report.report_id


def receive_and_process(services: Services, app: App) -> int:
    report_id = receive(services, app, android_log("b"))
    Worker(services).drain()
    return report_id


def test_erasing_an_app_takes_its_exports_away(
    services: Services, app: App, report: StoredReport
) -> None:
    exported(services, report)
    other = services.accounts.create_app("other")
    theirs = services.crashes.report(receive_and_process(services, other))
    exported(services, theirs)
    services.eraser.erase([app.app_id])
    assert files(services) == [keys.export_blob(other.app_id, theirs.report_id)]
    with pytest.raises(NotFound):
        services.exports.state(report.report_id)


def test_a_report_that_is_deleted_while_it_is_exported_leaves_no_file(
    services: Services, report: StoredReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = services.exports._content

    def meanwhile_deleted(report_id: int) -> bytes:
        data = content(report_id)
        services.table.write([Delete(keys.report(report_id))])
        services.exports.forget(report.app_id, report_id)
        return data

    services.exports.start(report)
    monkeypatch.setattr(services.exports, "_content", meanwhile_deleted)
    Worker(services).drain()
    assert files(services) == []
    with pytest.raises(NotFound):
        services.exports.state(report.report_id)


def test_an_export_that_is_asked_for_after_the_report_is_gone_fails(
    services: Services, report: StoredReport
) -> None:
    services.table.write([Delete(keys.report(report.report_id))])
    services.exports.start(report)
    Worker(services).drain()
    assert services.exports.state(report.report_id).state == FAILED


def test_a_large_file_goes_by_a_link_of_the_store(services: Services, report: StoredReport) -> None:
    exported(services, report)
    small = Exports(
        services.table, services.blobs, services.queue, services.crashes, services.accounts,
        services.feedback, services.reader, kept_s=60, visibility_s=60, max_inline_bytes=100,
    )  # fmt: skip
    found = small.open(report.report_id)
    assert found.data == b""
    assert found.url is not None
    assert found.url.startswith("/blobs/download?")


def dump() -> bytes:
    return (
        MinidumpBuilder(os="linux", cpu="amd64")
        .module("/opt/app/bin/app", 0x7000_0000, 0x1_0000, build_id=bytes(range(20)))
        .thread(7, {"rip": 0x7000_1234, "rsp": 0x8000_0000}, stack=bytes(64), name="main")
        .exception(7, code=11, flags=1, address=0x45)
        .build()
    )


def test_the_file_has_what_was_received_but_not_the_clients_address(
    services: Services, app: App
) -> None:
    fields = {"user": "jo", "client_address": "192.0.2.7", "landing": "claim"}
    received = Payload(
        app.app_id,
        OMAHA,
        clock.now(),
        dump(),
        b"it broke",
        fields,
        annotations={"lang": "é\U0001f600"},
    )
    report_id = services.intake.receive(received)
    Worker(services).drain()
    told = exported(services, services.crashes.report(report_id))
    assert told["fields"] == {"user": "jo"}
    assert told["annotations"] == {"lang": "é\U0001f600"}
    assert told["description"] == "it broke"
    assert "192.0.2.7" not in json.dumps(told)
    assert told["report"]["crash_info"]["address"] == "0x45"
    assert told["log"].startswith("Operating system: ")


def test_what_the_user_wrote_later_is_the_description(services: Services, app: App) -> None:
    report_id = services.intake.receive(Payload(app.app_id, OMAHA, clock.now(), dump()))
    Worker(services).drain()
    services.feedback.add(report_id, "it broke", "when I clicked")
    told = exported(services, services.crashes.report(report_id))
    assert told["description"] == "it broke\n\nwhen I clicked"


def test_the_setting_says_how_long_a_file_is_kept(
    services: Services, report: StoredReport, time: Clock
) -> None:
    settings = dataclasses.replace(services.settings, export_s=60)
    brief = bootstrap.build(settings, services.table, services.blobs, services.queue)
    exported(brief, report)
    time.now += 61
    with pytest.raises(NotFound):
        brief.exports.open(report.report_id)
