"""Search over stored reports: what is found, in which order, how many, and what it reads."""

from __future__ import annotations

import json
import random
import zlib
from datetime import UTC, datetime

import pytest

from chalicelib import clock, keys
from chalicelib.bootstrap import Services
from chalicelib.bucketing.engine import Bucketing
from chalicelib.errors import InvalidRequest
from chalicelib.payload import Payload, encode
from chalicelib.queries.lucene import parse
from chalicelib.queries.search import MAX_RESULTS, ScanSearch
from chalicelib.queries.searchable import DocumentReader
from chalicelib.records import App, PostedJson, StoredReport
from chalicelib.storage.counting import CountingBlobs, CountingTable
from chalicelib.storage.ports import Put
from tests.crashes import ANDROID_EXAMPLE, android_log, drain, receive
from tests.shared_data import shared_data

FLASH = {
    "database_id": "launchpad:0000450543",
    "project": "Ubuntu",
    "date": "2007-06-18T19:23:43",
    "os": "Ubuntu 8.10",
    "Package": "nspluginwrapper 1.2.2-0ubuntu5",
    "buckets": {"4.0": {"id": "forged"}},
    "stacktrace": [
        {"depth": "0", "function": "g_main_loop_run", "file": "gmain.c"},
        {"depth": "1", "function": None, "dylib": "/usr/lib/libflashplayer.so"},
    ],
}


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


class Shelf:
    """Puts reports of a PartyCrasher client straight into the table."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._last = 0

    def put(
        self,
        app: App,
        date: datetime,
        posted: dict[str, object] | None = None,
        *,
        in_item: bool = True,
        **attributes: object,
    ) -> int:
        self._last += 1
        raw = json.dumps(posted or {}).encode()
        values: dict[str, object] = {
            "version_id": 1,
            "group_id": 1,
            "fingerprint": f"stack-{self._last}",
            "received_at": clock.to_stored(day(31)),
            "door": "partycrasher",
            "bundle_version": "1",
            "bundle_short_version": "",
            "platform": "linux",
            "database_id": f"id:{self._last:010}",
        }
        report = StoredReport(
            report_id=self._last,
            app_id=app.app_id,
            app_number=app.number,
            date=clock.to_stored(date),
            **{**values, **attributes},  # type: ignore[arg-type]
        )
        self._services.table.write([Put(report.item())])
        if in_item:
            posted_json = PostedJson(self._last, zlib.compress(raw))
            self._services.table.write([Put(posted_json.item())])
        else:
            received = Payload(app.app_id, "partycrasher", date, raw)
            self._services.blobs.put(keys.raw_blob(self._last), encode(received))
        return self._last


@pytest.fixture
def shelf(services: Services) -> Shelf:
    return Shelf(services)


@pytest.fixture
def ubuntu(services: Services) -> App:
    return services.accounts.create_app("Ubuntu")


def found(services: Services, apps: list[App], query: str = "", **options: object) -> list[int]:
    """The ids that a search finds, newest first."""
    ids = [app.app_id for app in apps]
    answer = services.search.search(ids, parse(query), size=1000, **options)  # type: ignore[arg-type]
    assert answer.total == len(answer.entries)
    return [report.report_id for report in answer.entries]


# --- which reports, and in which order ---


def test_reports_of_several_apps_come_newest_first(services: Services, shelf: Shelf) -> None:
    apps = [services.accounts.create_app(name) for name in ("One", "Two", "Other")]
    days = list(range(1, 31))
    random.Random(4).shuffle(days)
    placed = {shelf.put(apps[number % 3], day(number)): number for number in days}
    expected = [number for number in range(30, 0, -1) if number % 3 != 2]
    assert [placed[report_id] for report_id in found(services, apps[:2])] == expected
    ids = [app.app_id for app in apps[:2]]
    listed = [placed[report.report_id] for report in services.search.matching(ids)]
    assert listed == expected
    ascending = found(services, apps[:2], descending=False)
    assert [placed[report_id] for report_id in ascending] == expected[::-1]


def test_an_app_named_twice_is_read_once(services: Services, shelf: Shelf, ubuntu: App) -> None:
    report_id = shelf.put(ubuntu, day(1))
    assert found(services, [ubuntu, ubuntu]) == [report_id]


def test_since_is_inclusive_and_until_exclusive(
    services: Services, shelf: Shelf, ubuntu: App
) -> None:
    ids = {number: shelf.put(ubuntu, day(number)) for number in range(1, 8)}
    assert found(services, [ubuntu], since=day(3), until=day(5)) == [ids[4], ids[3]]
    assert found(services, [ubuntu], since=day(6)) == [ids[7], ids[6]]
    assert found(services, [ubuntu], until=day(2)) == [ids[1]]
    assert found(services, [ubuntu], since=day(5), until=day(3)) == []


def test_only_reports_between_the_dates_are_read(
    services: Services, shelf: Shelf, ubuntu: App
) -> None:
    for number in range(1, 29):
        shelf.put(ubuntu, day(number))
    table = CountingTable(services.table)
    reader = DocumentReader(table, services.blobs, Bucketing(table), services.accounts.find_app)
    search = ScanSearch(table, reader)
    answer = search.search([ubuntu.app_id], parse("nothing"), day(10), day(13))
    assert answer.total == 0
    assert table.snapshot().items_read == 6  # and what was posted of each


@pytest.mark.parametrize(
    ("sort", "descending", "expected"),
    [
        ("count", False, ["2", "10", "ten", None]),
        ("count", True, ["ten", "10", "2", None]),
        ("nested.count", False, ["2", "10", "ten", None]),
        ("date", True, [None, "ten", "10", "2"]),
        ("date", False, ["2", "10", "ten", None]),
        ("nosuch", True, [None, "ten", "10", "2"]),
        ("nosuch", False, [None, "ten", "10", "2"]),
    ],
)
def test_any_field_sorts_numbers_before_texts_and_missing_ones_last(
    services: Services,
    shelf: Shelf,
    ubuntu: App,
    sort: str,
    descending: bool,
    expected: list[str | None],
) -> None:
    said: dict[int, str | None] = {}
    for number, count in enumerate(["2", "10", "ten", None], 1):
        posted: dict[str, object] = {"count": count, "nested": {"count": count}}
        said[shelf.put(ubuntu, day(number), posted)] = count
    ids = found(services, [ubuntu], sort=sort, descending=descending)
    assert [said[report_id] for report_id in ids] == expected


def test_a_window_of_the_results_comes_with_the_exact_total(
    services: Services, shelf: Shelf, ubuntu: App
) -> None:
    for number in range(1, 29):
        shelf.put(ubuntu, day(number), {"even": "yes" if number % 2 == 0 else "no", "n": number})
    query = parse("even:yes")
    for sort in ("date", "n"):
        for start, size, expected in [
            (0, 3, [28, 26, 24]),
            (12, 5, [4, 2]),
            (20, 5, []),
            (0, 0, []),
        ]:
            answer = services.search.search(
                [ubuntu.app_id], query, sort=sort, start=start, size=size
            )
            assert answer.total == 14
            assert [int(report.date[8:10]) for report in answer.entries] == expected


def test_a_sorted_window_is_exact_where_much_more_matches(
    services: Services, shelf: Shelf, ubuntu: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.queries.search._SPARE", 3)
    numbers = [number % 17 for number in range(60)]
    random.Random(9).shuffle(numbers)
    for place, number in enumerate(numbers):
        shelf.put(ubuntu, day(1 + place % 28), {"n": number})
    for descending in (True, False):
        everything = found(services, [ubuntu], sort="n", descending=descending)
        answer = services.search.search(
            [ubuntu.app_id], sort="n", descending=descending, start=5, size=4
        )
        assert answer.total == 60
        assert [report.report_id for report in answer.entries] == everything[5:9]


@pytest.mark.parametrize(
    ("start", "size", "field"), [(-1, 10, "from"), (0, -1, "size"), (MAX_RESULTS, 1, "from")]
)
def test_a_window_out_of_bounds_is_refused_by_name(
    services: Services, ubuntu: App, start: int, size: int, field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        services.search.search([ubuntu.app_id], start=start, size=size)
    assert list(refused.value.fields) == [field]


def test_no_app_and_no_report_is_nothing(services: Services, ubuntu: App) -> None:
    assert found(services, []) == []
    assert found(services, [ubuntu]) == []


# --- what is searchable ---


@pytest.mark.parametrize(
    "query",
    [
        "os:ubuntu",
        'Package:"nspluginwrapper 1.2.2-0ubuntu5"',
        "*flashplayer* libflashplayer.so",
        "stacktrace.function:g_main*",
        "stacktrace.file:gmain.c",
        "stacktrace:g_main_loop_run",
        r"database_id:launchpad\:0000450543",
        "0000450543",
        "project:ubuntu -os:debian",
        "date:2007-06-18",
        "date:[2007 TO 2008}",
        "_exists_:stacktrace.dylib",
        "platform:linux",
        "door:partycrasher os:ubuntu",
    ],
)
@pytest.mark.parametrize("in_item", [True, False], ids=["in the item", "in the payload"])
def test_every_property_that_was_posted_is_searchable(
    services: Services, shelf: Shelf, ubuntu: App, query: str, in_item: bool
) -> None:
    date = datetime(2007, 6, 18, 19, 23, 43, tzinfo=UTC)
    database_id = "launchpad:0000450543"
    wanted = shelf.put(ubuntu, date, FLASH, in_item=in_item, database_id=database_id)
    shelf.put(ubuntu, day(1), {"os": "Debian"}, platform="other")
    assert found(services, [ubuntu], query) == [wanted]


@pytest.mark.parametrize("query", ["buckets:forged", "forged", "os:debian", "launchpad:0000450543"])
def test_what_was_not_posted_is_not_found(
    services: Services, shelf: Shelf, ubuntu: App, query: str
) -> None:
    shelf.put(ubuntu, day(1), FLASH)
    assert found(services, [ubuntu], query) == []


def test_three_reports_with_the_same_custom_value_are_found_by_it(
    services: Services, shelf: Shelf, ubuntu: App
) -> None:
    for number in range(1, 6):
        shelf.put(ubuntu, day(number), {"custom": "b1b2-7" if number < 4 else f"other-{number}"})
    assert found(services, [ubuntu], "custom:b1b2-7") == [3, 2, 1]
    assert found(services, [ubuntu], "b1b2-7") == [3, 2, 1]


def test_a_word_without_a_field_does_not_mean_our_book_keeping(
    services: Services, shelf: Shelf, ubuntu: App
) -> None:
    shelf.put(ubuntu, day(1), unread=7, jail_break=True)
    assert found(services, [ubuntu], "7") == []
    assert found(services, [ubuntu], "unread:7 jail_break:true") == [1]


def test_a_property_with_the_name_of_an_attribute_of_ours_is_searchable_too(
    services: Services, shelf: Shelf, ubuntu: App
) -> None:
    shelf.put(
        ubuntu, day(1), {"fingerprint": "theirs", "door": {"side": "back"}, "platform": "X11"}
    )
    for query in ("fingerprint:theirs", "theirs", "door.side:back", "platform:x11 platform:linux"):
        assert found(services, [ubuntu], query) == [1], query


def test_a_search_reads_no_payload_where_the_item_has_it_all(
    services: Services, shelf: Shelf, ubuntu: App
) -> None:
    for number in range(1, 5):
        shelf.put(ubuntu, day(number), {"os": "Ubuntu"}, in_item=number > 1)
    blobs = CountingBlobs(services.blobs)
    reader = DocumentReader(
        services.table, blobs, Bucketing(services.table), services.accounts.find_app
    )
    search = ScanSearch(services.table, reader)
    assert search.search([ubuntu.app_id], parse("os:ubuntu")).total == 4
    assert blobs.snapshot().gets == 1
    assert search.search([ubuntu.app_id], parse("date:[2026 TO *] project:ubuntu")).total == 4
    assert blobs.snapshot().gets == 1


@pytest.mark.parametrize("damaged", [b"no deflated text", zlib.compress(b"[1]"), b""])
def test_a_report_whose_posted_json_is_damaged_stops_nothing(
    services: Services, shelf: Shelf, ubuntu: App, damaged: bytes
) -> None:
    shelf.put(ubuntu, day(1), posted=None, in_item=True)
    broken = shelf.put(ubuntu, day(2), database_id="broken")
    services.table.write([Put(PostedJson(broken, damaged).item())])
    gone = shelf.put(ubuntu, day(3), in_item=False, database_id="gone")
    services.blobs.delete(keys.raw_blob(gone))
    assert found(services, [ubuntu], "-os:ubuntu") == [3, 2, 1]
    assert found(services, [ubuntu], "broken OR gone") == [3, 2]


def test_reports_of_other_doors_are_found_by_attributes_bucket_and_functions(
    services: Services, app: App
) -> None:
    wanted = receive(services, app, ANDROID_EXAMPLE.encode())
    other = receive(services, app, android_log("beta"))
    drain(services)
    report = services.crashes.report(wanted)
    for query in (
        "model:desire oem:htc",
        "exception_type:NullPointerException",
        "NullPointerException",
        'os_version:"2.2"',
        "stacktrace.function:nextCleanInternal",
        "nextCleanInternal",
        "stacktrace.function:org.json.JSONTokener.*",
        f"database_id:{wanted}",
        f"report_id:{wanted}",
        f"bucket_id:{wanted}",
        f"buckets.4.0.id:{wanted}",
        f"buckets.11.0.id:{wanted}",
        f"group_id:{report.group_id}",
        "bundle_version:33 -model:pixel",
    ):
        assert found(services, [app], query) == [wanted], query
    assert found(services, [app], "project:demo") == [other, wanted]
    assert found(services, [app], f"buckets.4.5.id:{other}") == [other]
    assert found(services, [app], f"buckets.99.id:{other}") == []


def test_the_stacks_of_many_reports_are_looked_up_together_and_once(
    services: Services, app: App
) -> None:
    for number in range(40):
        receive(services, app, android_log(f"cause{number % 4}"))
    drain(services)
    table = CountingTable(services.table)
    reader = DocumentReader(table, services.blobs, Bucketing(table), services.accounts.find_app)
    search = ScanSearch(services.table, reader)
    for _ in range(3):
        assert search.search([app.app_id], parse("bucket_id:* fail")).total == 40
    assert table.snapshot().read_requests == 2  # buckets and functions
    assert table.snapshot().items_read == 8


# --- what the processing stores for it ---


def processed(services: Services, app: App, door: str, log: bytes) -> tuple[int, bytes | None]:
    """The id of a report, and what is kept of its posted JSON."""
    report_id = services.intake.receive(Payload(app.app_id, door, clock.now(), log))
    drain(services)
    item = services.table.get(keys.posted(report_id))
    return report_id, PostedJson.from_item(item).deflated if item else None


def test_posted_json_is_kept_deflated_beside_the_report(services: Services, ubuntu: App) -> None:
    raw = json.dumps(FLASH).encode()
    report_id, deflated = processed(services, ubuntu, "partycrasher", raw)
    assert deflated is not None
    assert zlib.decompress(deflated) == raw
    assert found(services, [ubuntu], "os:ubuntu") == [report_id]


def test_json_that_stays_large_is_read_from_the_payload(services: Services, ubuntu: App) -> None:
    noise = random.Random(1).randbytes(4000).hex()
    raw = json.dumps({**FLASH, "noise": noise}).encode()
    report_id, deflated = processed(services, ubuntu, "partycrasher", raw)
    assert deflated is None
    assert found(services, [ubuntu], f"os:ubuntu noise:{noise[:8]}*") == [report_id]


def test_json_that_inflates_to_very_much_is_read_from_the_payload(
    services: Services, ubuntu: App
) -> None:
    raw = json.dumps({**FLASH, "zeros": "0" * 600_000}).encode()
    assert processed(services, ubuntu, "partycrasher", raw)[1] is None


def test_a_log_of_another_door_is_not_kept_beside_the_report(services: Services, app: App) -> None:
    assert processed(services, app, "hockeyapp", android_log())[1] is None


def test_real_launchpad_reports_are_found_by_what_is_in_them(
    services: Services, shelf: Shelf, ubuntu: App
) -> None:
    placed = {}
    for number in range(1, 6):
        posted = json.loads(shared_data("partycrasher", f"launchpad-{number}.json").read_text())
        placed[number] = shelf.put(ubuntu, day(number), posted, database_id=posted["database_id"])
    assert found(services, [ubuntu], "stacktrace.function:dbus_connection_dispatch") == [placed[1]]
    assert found(services, [ubuntu], "stacktrace.function:g_main_context_check") == [placed[2]]
    assert found(services, [ubuntu], 'Package:"unity 7.1.0+13.10.20130816.3-0ubuntu1"') == [
        placed[5]
    ]
    assert found(
        services, [ubuntu], "SegvReason:(reading unknown) InstallationDate:2013-02-05"
    ) == [placed[5]]
    assert found(services, [ubuntu], "_int_free AND NOT compiz") == []
