"""A job runs once a period, whoever calls and however often."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib import schedule
from chalicelib.bootstrap import Services
from chalicelib.schedule import Job, every_hour, every_minute, leased

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The jobs as they run; the second of three fails."""
    names: list[str] = []

    def run(name: str) -> None:
        names.append(name)
        if name == "b":
            raise RuntimeError("the store is away")

    jobs: Sequence[Job] = [Job(name, lambda _, name=name: run(name)) for name in "abc"]  # type: ignore[misc]
    monkeypatch.setattr(schedule, "EVERY_MINUTE", jobs)
    monkeypatch.setattr(schedule, "EVERY_HOUR", jobs[:1])
    return names


def test_each_job_runs_once_a_period_and_one_that_fails_stops_no_other(
    services: Services, ran: list[str]
) -> None:
    for seconds in (0, 1, 59):
        every_minute(services, NOON + timedelta(seconds=seconds))
    assert ran == ["a", "b", "c"]
    every_minute(services, NOON + timedelta(seconds=60))
    assert ran == ["a", "b", "c"] * 2


def test_jobs_of_the_hour_wait_for_the_next_hour(services: Services, ran: list[str]) -> None:
    for minutes in (0, 59, 60):
        every_hour(services, NOON + timedelta(minutes=minutes))
    assert ran == ["a", "a"]


def test_a_call_that_comes_late_does_not_run_a_period_again(
    services: Services, ran: list[str]
) -> None:
    every_minute(services, NOON + timedelta(minutes=1))
    every_minute(services, NOON)
    assert ran == ["a", "b", "c"]


def test_a_lease_of_a_clock_that_was_wrong_holds_up_nothing(services: Services) -> None:
    assert leased(services.table, "job", 5_000_000)
    assert leased(services.table, "job", 100)
    assert not leased(services.table, "job", 100)
    assert leased(services.table, "job", 101)


def test_of_many_that_ask_at_once_one_gets_the_lease(services: Services) -> None:
    start = threading.Barrier(8)
    got: list[bool] = []

    def ask() -> None:
        start.wait()
        for number in range(20):
            if leased(services.table, "job", number):
                got.append(True)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(got) <= 20
    assert leased(services.table, "job", 20)
    assert not leased(services.table, "job", 20)
