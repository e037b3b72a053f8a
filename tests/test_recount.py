"""The recount finds nothing where all is well, and any single count that is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from chalicelib import clock, keys
from chalicelib.bootstrap import Services
from chalicelib.payload import Payload
from chalicelib.records import App, StoredReport
from chalicelib.recount import recount_app
from chalicelib.storage.ports import Delete, Key, Update
from tests.crashes import android_log, drain

DAYS = ("2026-10-31T23:59:59.000000Z", "2026-11-01T00:00:00.000000Z")


@pytest.fixture(params=["folded", "pending", "half"])
def reports(services: Services, app: App, request: pytest.FixtureRequest) -> list[StoredReport]:
    """Eight reports of two groups, two versions and two days, their counts folded or not."""
    ids: list[int] = []
    for day in DAYS:
        for cause in ("a", "b"):
            for version in ("1", "2"):
                log = android_log(cause, version)
                received = Payload(app.app_id, "test", clock.from_stored(day), log)
                ids.append(services.intake.receive(received))
        drain(services)
        if request.param == "half":
            services.counts.fold_all(app.app_id)
            request.param = "pending"
    if request.param == "folded":
        services.counts.fold_all(app.app_id)
    return [services.crashes.report(report_id) for report_id in ids]


def differences(services: Services, app: App) -> Sequence[str]:
    return recount_app(services, app.app_id).differences


def test_it_finds_no_difference_where_there_is_none(
    services: Services, app: App, reports: list[StoredReport]
) -> None:
    result = recount_app(services, app.app_id)
    assert (result.reports, result.differences) == (len(reports), ())


def test_an_app_without_reports_has_no_differences(services: Services, app: App) -> None:
    assert recount_app(services, app.app_id).reports == 0
    assert differences(services, app) == ()


def test_it_finds_a_report_that_is_not_counted_and_one_that_is_not_there(
    services: Services, app: App, reports: list[StoredReport]
) -> None:
    gone = reports[0]
    services.table.write([Delete(keys.report(gone.report_id))])
    told = "\n".join(differences(services, app))
    for partition in (
        keys.app_partition(app.app_id),
        keys.group_partition(gone.group_id),
        keys.version_partition(gone.version_id),
    ):
        assert f"{partition} total:" in told
        assert f"{partition} 2026-10-31:" in told


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("app totals", "total"),
        ("app totals", "groups"),
        ("app days", "d01"),
        ("app days", "d02"),
        ("version totals", "total"),
        ("version days", "d01"),
        ("group", "total"),
        ("group days", "d01"),
        ("group version", "total"),
    ],
)
def test_it_finds_any_single_wrong_count(
    services: Services, app: App, reports: list[StoredReport], place: str, change: str
) -> None:
    services.counts.fold_all(app.app_id)
    services.table.write([Update(place_of(place, reports[0]), add={change: 1})])
    lines = differences(services, app)
    (line,) = (line for line in lines if "by its counts" not in line)
    kept, counted = re.findall(r"(\d+) (?:kept|counted)", line)
    assert int(kept) - int(counted) == 1


@pytest.mark.parametrize(
    ("place", "attribute"),
    [
        ("group", "created_at"),
        ("group", "last_at"),
        ("group version", "first_at"),
        ("group version", "last_at"),
    ],
)
def test_it_finds_a_wrong_date(
    services: Services, app: App, reports: list[StoredReport], place: str, attribute: str
) -> None:
    services.counts.fold_all(app.app_id)
    wrong = "2026-10-31T12:00:00.000000Z"
    services.table.write([Update(place_of(place, reports[0]), set={attribute: wrong})])
    lines = differences(services, app)
    (line,) = (line for line in lines if "by its counts" not in line)
    assert "dates:" in line
    assert wrong in line


def place_of(name: str, report: StoredReport) -> Key:
    return {
        "app totals": keys.totals(keys.app_partition(report.app_id)),
        "app days": keys.days(keys.app_partition(report.app_id), "2026-11"),
        "version totals": keys.totals(keys.version_partition(report.version_id)),
        "version days": keys.days(keys.version_partition(report.version_id), "2026-11"),
        "group": keys.group(report.group_id),
        "group days": keys.days(keys.group_partition(report.group_id), "2026-11"),
        "group version": keys.group_version(report.group_id, report.version_id),
    }[name]


@pytest.mark.parametrize("place", ["group", "group version"])
@pytest.mark.parametrize("order", ["app_sk", "group_sk", "user_sk"])
def test_it_finds_a_group_at_a_wrong_place_of_a_list(
    services: Services, app: App, reports: list[StoredReport], place: str, order: str
) -> None:
    services.counts.fold_all(app.app_id)
    services.table.write([Update(place_of(place, reports[0]), set={order: "2026#1"})])
    (line,) = differences(services, app)
    assert order in line
