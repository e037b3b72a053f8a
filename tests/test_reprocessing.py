"""Stored reports, read again from their payloads after a fix of what reads them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib import keys
from chalicelib.bootstrap import Services
from chalicelib.errors import NotFound
from chalicelib.model import Report
from chalicelib.payload import Payload
from chalicelib.processing import Processor
from chalicelib.records import App, StoredReport
from chalicelib.recount import recount_app
from chalicelib.reprocessing import Reprocessing
from chalicelib.storage.ports import Update
from tests.crashes import android_log, drain, receive
from tests.test_cli import Command, command

__all__ = ["command"]


def stored(services: Services, app: App) -> list[StoredReport]:
    return list(services.crashes.of_app(app.app_id))


@pytest.fixture
def read_badly(services: Services, app: App) -> Services:
    """Two crashes as a version stored them that took their logs for ones without a stack."""

    def earlier(received: Payload) -> Report:
        report = services.reader.crash(received)
        return replace(report, threads=(), exceptions=(), reason="?", exception_type="?")

    processor = Processor(
        services.table, services.blobs, services.bucketing, services.ids, earlier,
        services.accounts.find_app,
    )  # fmt: skip
    for _ in range(2):
        receive(services, app, android_log())
    drain(replace(services, processor=processor))
    return services


def test_what_a_fix_reads_differently_moves_and_is_described_as_it_is_now(
    read_badly: Services, app: App
) -> None:
    before = stored(read_badly, app)
    done = Reprocessing(read_badly).run(before)
    assert (done.reports, done.unreadable) == (2, 0)
    after = stored(read_badly, app)
    for old, new in zip(before, after, strict=True):
        assert old.reason == "?"
        assert (new.reason or "").startswith("java.lang.")
        assert new.fingerprint != old.fingerprint
        assert (new.date, new.version_id, new.user) == (old.date, old.version_id, old.user)
    assert len({report.group_id for report in after}) == 1
    assert recount_app(read_badly, app.app_id).differences == ()
    again = Reprocessing(read_badly).run(after)
    assert (again.moved, again.changed) == (0, 0)


def test_what_is_the_same_group_is_described_anew_too(services: Services, app: App) -> None:
    receive(services, app, android_log())
    drain(services)
    (before,) = stored(services, app)
    wrong = Update(keys.report(before.report_id), set={"model": "?"}, remove=("os_version",))
    services.table.write([wrong])
    reprocessing = Reprocessing(services)
    done = reprocessing.run(reprocessing.reports([before.report_id]))
    assert (done.reports, done.moved, done.changed) == (1, 0, 1)
    assert stored(services, app) == [before]


def test_a_report_whose_payload_is_gone_stays_and_stops_no_other(
    services: Services, app: App
) -> None:
    for _ in range(2):
        receive(services, app, android_log())
    drain(services)
    lost, _ = before = stored(services, app)
    services.blobs.delete(keys.raw_blob(lost.report_id))
    done = Reprocessing(services).run(before)
    assert (done.reports, done.unreadable) == (2, 1)
    assert stored(services, app) == before


def test_payloads_without_a_report_are_found_and_processed_once(
    services: Services, app: App
) -> None:
    kept = receive(services, app, android_log())
    drain(services)
    lost = [receive(services, app, log) for log in (android_log(), android_log(), b"\0")]
    done = Reprocessing(services).run_missing()
    assert (done.payloads, done.stored, done.dead) == (4, 2, 1)
    assert {report.report_id for report in stored(services, app)} == {kept, *lost[:2]}
    drain(services)  # their events come after all
    assert recount_app(services, app.app_id).differences == ()
    assert len(stored(services, app)) == 3
    again = Reprocessing(services).run_missing()
    assert (again.payloads, again.stored, again.dead) == (4, 0, 0)


def test_an_unknown_id_is_named(services: Services) -> None:
    with pytest.raises(NotFound, match="report '7' not found"):
        Reprocessing(services).reports([7])


def test_the_command_takes_ids_an_app_or_all_and_one_of_them(command: Command) -> None:
    app_id = command.make_app()
    told = {"reports": 0, "moved": 0, "changed": 0, "unreadable": 0}
    assert command.json("reprocess", "--app", app_id) == told
    assert command.json("reprocess", "--all") == told
    assert command.json("reprocess", "--missing") == {"payloads": 0, "stored": 0, "dead": 0}
    told = "crashbucket: name ids, or --app, or --all, or --missing\n"
    assert command("reprocess")[2] == told
    assert command("reprocess", "--all", "7")[0] == 2
    assert command("reprocess", "7")[2] == "crashbucket: report '7' not found\n"
