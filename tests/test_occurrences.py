"""Ids of occurrences: formed as the document's, and each leads back to its report."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import clock
from chalicelib.ids import IDS_A_SECOND, IdSource, first_of, made_at
from chalicelib.job_ids import job_id, read
from chalicelib.occurrences import occurrence_of, report_id_in
from chalicelib.records import StoredReport

DOCUMENTED = re.compile(r"(\d{10})-(\d{10})-logs-(\d{5})-crash-(\d+)")
MOMENT = datetime(2026, 9, 13, 9, 42, 53, 123456, UTC)


def report(report_id: int, moment: datetime, user: str = "", install: str = "") -> StoredReport:
    date = clock.to_stored(moment)
    return StoredReport(
        report_id=report_id, app_id="a", app_number=1, version_id=1, group_id=1, fingerprint="f",
        date=date, received_at=date, door="hockeyapp", bundle_version="1",
        bundle_short_version="1", platform="android", user=user or None,
        install_id=install or None,
    )  # fmt: skip


def test_an_occurrence_is_named_as_the_document_names_it() -> None:
    moment = clock.now()
    found = occurrence_of(report(IdSource().next(), moment))
    parts = DOCUMENTED.fullmatch(found.id)
    assert parts
    assert int(parts[2]) in {int(moment.timestamp()), int(moment.timestamp()) + 1}
    assert found.log_id == found.id.rpartition("-crash-")[0]
    assert found.date == moment.strftime("%Y-%m-%d")


def test_the_date_is_the_day_of_the_time_in_the_id() -> None:
    """As in the document: 1536831773 is on 2018-09-13, 1536780931 on 2018-09-12."""
    for second, day in ((1536831773, "2018-09-13"), (1536780931, "2018-09-12")):
        moment = datetime.fromtimestamp(second, UTC)
        found = occurrence_of(report(7, moment))
        assert found.date == day
        assert f"-{second}-logs-" in found.id


@given(
    offset=st.integers(0, IDS_A_SECOND - 1),
    second=st.integers(1_600_000_000, 4_000_000_000),
)
def test_every_id_of_a_second_has_a_name_of_its_documented_length(offset: int, second: int) -> None:
    moment = datetime.fromtimestamp(second, UTC)
    report_id = first_of(moment) + offset
    found = occurrence_of(report(report_id, moment))
    assert DOCUMENTED.fullmatch(found.id)
    assert report_id_in(found.id) == report_id


@given(
    report_id=st.integers(0, 2**53 - 1),
    moment=st.datetimes(timezones=st.just(UTC)),
)
def test_every_report_is_found_again_by_its_occurrence(report_id: int, moment: datetime) -> None:
    """Also one that came with a date of its own, years before or after."""
    assert report_id_in(occurrence_of(report(report_id, moment)).id) == report_id


def test_two_reports_never_share_an_occurrence() -> None:
    first = first_of(MOMENT)
    names = {occurrence_of(report(first + n, MOMENT, "jo")).id for n in range(-3000, 3000)}
    assert len(names) == 6000


def test_a_device_is_the_same_in_all_its_occurrences_and_no_other() -> None:
    def device(number: int, **who: str) -> str:
        later = MOMENT + timedelta(days=number)
        return occurrence_of(report(number, later, **who)).id.partition("-")[0]

    assert device(1, install="i", user="jo") == device(2, install="i", user="ann")
    assert device(1, user="jo") == device(2, user="jo")
    others = {device(1, install="jo"), device(1, user="jo"), device(1), device(2)}
    assert len(others) == 4
    elsewhere = replace(report(1, MOMENT, install="i"), app_id="b")
    assert not occurrence_of(elsewhere).id.startswith(device(1, install="i"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "2544355787-1536831773-logs-00003",
        "2544355787-1536831773-logs-3-crash-1",
        "2544355787-1536831773-logs-00003-crash-1 ",
        "2544355787-1536831773-logs-00003-crash-",
        "2544355787-999999999999-logs-00003-crash-1",  # no such year
        "2544355787-1536831773-logs-" + "9" * 5000 + "-crash-1",
        "٢٥٤٤٣٥٥٧٨٧-1536831773-logs-00003-crash-1",
    ],
)
def test_what_is_no_id_of_an_occurrence_leads_nowhere(text: str) -> None:
    assert report_id_in(text) is None


def test_the_first_id_of_a_moment_is_the_smallest_that_is_made_then() -> None:
    assert made_at(first_of(MOMENT)) == MOMENT.replace(microsecond=123000)
    assert made_at(first_of(MOMENT) - 1) < MOMENT.replace(microsecond=123000)
    assert first_of(MOMENT + timedelta(seconds=1)) - first_of(MOMENT) == IDS_A_SECOND


# --- jobs --------------------------------------------------------------------


@given(number=st.integers(0, 2**53 - 1))
def test_a_job_id_has_24_hex_digits_and_says_what_it_is_of(number: int) -> None:
    ids = {job_id("export", number), job_id("occurrences", number)}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{24}", identifier) for identifier in ids)
    assert read(job_id("export", number).upper()) == ("export", number)


@pytest.mark.parametrize("text", ["", "x", "2eab310c430bf292171281ae", "0" * 24, "9" * 5000])
def test_another_text_is_the_id_of_no_job(text: str) -> None:
    assert read(text) is None


def test_a_mistyped_job_id_is_the_id_of_no_job() -> None:
    right = job_id("export", 2**40)
    for place in range(24):
        wrong = "0" if right[place] != "0" else "1"
        assert read(right[:place] + wrong + right[place + 1 :]) is None
