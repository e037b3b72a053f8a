"""Histograms over HockeyApp's API: every day once, exact at any moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib import bootstrap
from chalicelib.bootstrap import Services
from chalicelib.payload import Payload
from chalicelib.records import App
from chalicelib.storage.counting import CountingTable
from tests.crashes import android_log, drain
from tests.wsgi_client import Answer, get, request

# The two days that the document's example asks for, with the first three counts of its answer.
DOCUMENTED = "start_date=2013-06-01&end_date=2013-06-15"


@pytest.fixture
def token(services: Services) -> str:
    return services.accounts.create_token("read")


def crash(
    services: Services, app: App, day: str, count: int = 1, cause: str = "a", version: str = "1"
) -> None:
    """Crashes that were received around noon of a day."""
    noon = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC)
    for second in range(count):
        at = noon + timedelta(seconds=second)
        log = android_log(cause, version)
        services.intake.receive(Payload(app.app_id, "hockeyapp", at, log))
    drain(services)


def histogram(path: str, token: str, query: str = DOCUMENTED) -> dict[str, int]:
    answer = get(f"{path}/histogram?{query}", token)
    assert answer.status == 200, answer.text
    return dict(answer.json["histogram"])


def paths_of(services: Services, app: App) -> tuple[str, str, str]:
    """Of the app, of its newest version and of that version's newest group."""
    newest = next(services.crashes.of_app(app.app_id))
    base = f"/api/2/apps/{app.app_id}"
    return (
        f"{base}/crashes",
        f"{base}/app_versions/{newest.version_id}/crashes",
        f"{base}/crash_reasons/{newest.group_id}",
    )


def test_the_documents_request_is_answered_with_every_day_in_order(
    services: Services, app: App, token: str
) -> None:
    for day, count in (("2013-06-01", 3), ("2013-06-02", 4), ("2013-06-15", 1), ("2013-06-16", 1)):
        crash(services, app, day, count)
    answer = get(f"/api/2/apps/{app.app_id}/crashes/histogram?{DOCUMENTED}", token)
    assert (answer.status, answer.json["status"]) == (200, "success")
    assert set(answer.json) == {"status", "histogram"}
    told = answer.json["histogram"]
    assert told[:3] == [["2013-06-01", 3], ["2013-06-02", 4], ["2013-06-03", 0]]
    assert [day for day, _ in told] == [f"2013-06-{day:02d}" for day in range(1, 16)]
    assert told[-1] == ["2013-06-15", 1]


@pytest.mark.parametrize("folded", [False, True])
def test_app_version_and_group_count_their_own(
    services: Services, app: App, token: str, folded: bool
) -> None:
    crash(services, app, "2013-06-01", 1, cause="a", version="1")
    crash(services, app, "2013-06-01", 2, cause="b", version="1")
    if folded:
        services.counts.fold_all(app.app_id)
    crash(services, app, "2013-06-02", 3, cause="b", version="2")
    of_app, of_version, of_group = paths_of(services, app)
    first_days = [
        list(histogram(path, token).values())[:3] for path in (of_app, of_version, of_group)
    ]
    assert first_days == [[3, 3, 0], [0, 3, 0], [2, 3, 0]]


def test_thirty_days_apart_are_all_answered_and_of_more_the_last_ones(
    services: Services, app: App, token: str
) -> None:
    for day in ("2015-12-31", "2016-01-01", "2016-01-31"):
        crash(services, app, day)
    (of_app, *_) = paths_of(services, app)
    month = histogram(of_app, token, "start_date=2016-01-01&end_date=2016-01-31")
    assert (len(month), sum(month.values())) == (31, 2)
    for start in ("2015-12-31", "2015-01-01", "0001-01-01"):
        query = f"start_date={start}&end_date=2016-01-31"
        assert histogram(of_app, token, query) == month


def test_one_day_is_one_entry_and_leap_days_and_year_ends_are_days(
    services: Services, app: App, token: str
) -> None:
    crash(services, app, "2016-02-29", 2)
    (of_app, *_) = paths_of(services, app)
    one = histogram(of_app, token, "start_date=2016-02-29&end_date=2016-02-29")
    assert one == {"2016-02-29": 2}
    three = histogram(of_app, token, "start_date=2016-01-31&end_date=2016-03-01")
    assert (len(three), three["2016-02-29"]) == (31, 2)
    edge = histogram(of_app, token, "start_date=9999-12-30&end_date=9999-12-31")
    assert edge == {"9999-12-30": 0, "9999-12-31": 0}


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", ["start_date", "end_date"]),
        ("start_date=2013-06-01", ["end_date"]),
        ("end_date=2013-06-01", ["start_date"]),
        ("start_date=&end_date=2013-06-01", ["start_date"]),
        ("start_date=2013-6-1&end_date=2013-06-15", ["start_date"]),
        ("start_date=2013-06-01&end_date=2013-06-31", ["end_date"]),
        ("start_date=2013-02-29&end_date=20130615", ["start_date", "end_date"]),
        ("start_date=0000-01-01&end_date=2013-06-15", ["start_date"]),
        ("start_date=2013-06-16&end_date=2013-06-15", ["start_date"]),
    ],
)
def test_wrong_days_are_422_naming_each_field(
    services: Services, app: App, token: str, query: str, fields: list[str]
) -> None:
    crash(services, app, "2013-06-01")
    for path in paths_of(services, app):
        answer = get(f"{path}/histogram?{query}", token)
        assert (answer.status, list(answer.json["errors"])) == (422, fields)


def test_days_may_stand_in_the_form_body_of_a_get(services: Services, app: App, token: str) -> None:
    crash(services, app, "2013-06-01")
    (of_app, *_) = paths_of(services, app)
    headers = {"X-HockeyAppToken": token, "Content-Type": "application/x-www-form-urlencoded"}
    answer = request("GET", f"{of_app}/histogram/", DOCUMENTED.encode(), headers)
    assert (answer.status, answer.json["histogram"][0]) == (200, ["2013-06-01", 1])


def test_a_version_or_a_group_of_another_app_is_404(
    services: Services, app: App, token: str
) -> None:
    crash(services, app, "2013-06-01")
    other = services.accounts.create_app("Other")
    for path in paths_of(services, app)[1:]:
        elsewhere = path.replace(app.app_id, other.app_id)
        assert get(f"{elsewhere}/histogram?{DOCUMENTED}", token).status == 404


def test_a_histogram_reads_the_same_however_much_is_stored(
    services: Services, app: App, token: str
) -> None:
    def requests() -> list[int]:
        costs = []
        for path in paths_of(services, app):
            counting = CountingTable(services.table)
            bootstrap.use(bootstrap.build(
                services.settings, counting, services.blobs, services.queue
            ))  # fmt: skip
            histogram(path, token)
            costs.append(counting.snapshot().read_requests)
        return costs

    crash(services, app, "2013-06-01")
    services.counts.fold_all(app.app_id)
    before = requests()
    for day in range(1, 16):
        crash(services, app, f"2013-06-{day:02d}", 20, cause="abcde"[day % 5])
    services.counts.fold_all(app.app_id)
    assert requests() == before
    assert max(before) < 50


def test_a_histogram_counts_every_crash_once_while_others_fold(
    services: Services, app: App, token: str
) -> None:
    crash(services, app, "2013-06-01", 60)
    (of_app, *_) = paths_of(services, app)

    def answer(_: int) -> Answer:
        return get(f"{of_app}/histogram?{DOCUMENTED}", token)

    with ThreadPoolExecutor(3) as pool:
        answers = pool.map(answer, range(30))
        pool.submit(services.counts.fold_all, app.app_id)
        assert {told.json["histogram"][0][1] for told in answers} == {60}
