"""The job of the minute over a store, on a clock that the test turns: who is told of what, once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from chalicelib import bootstrap, clock, keys
from chalicelib.alerts import lately
from chalicelib.alerts.book import AlertBook
from chalicelib.alerts.detector import Detector
from chalicelib.alerts.group_watch import ONE_BY_ONE
from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.config import Settings
from chalicelib.group_decisions import GroupDecisions
from chalicelib.records import IGNORED, RESOLVED
from chalicelib.storage.counting import CountingTable
from chalicelib.storage.ports import Conflict, Operation, StoreAway, Update, query_all
from tests.alerts.traffic import Traffic


@pytest.fixture
def traffic(tmp_path: Path) -> Iterator[Traffic]:
    with Traffic.begun(tmp_path / "data") as begun:
        yield begun


def test_nobody_is_told_of_an_hour_as_usual(traffic: Traffic) -> None:
    traffic.pass_minutes(60)
    assert traffic.new_alerts() == []


def test_a_spike_is_told_once_and_is_over_when_it_was_calm(traffic: Traffic) -> None:
    traffic.pass_minutes(5)
    traffic.pass_minutes(20, usual=12)
    told = traffic.spikes()
    assert told.keys() == {"app", f"group:{traffic.usual}", f"version:{traffic.version}"}
    assert told["app"].opened_at <= clock.to_stored(traffic.now - timedelta(minutes=10))
    assert told["app"].observed * 1000 >= 2 * told["app"].expected_milli > 0
    assert len(traffic.lasting()) == 3
    traffic.pass_minutes(95)
    assert traffic.new_alerts() == []
    assert traffic.lasting() == []


def test_a_group_that_spikes_within_a_large_app_is_told_by_itself(tmp_path: Path) -> None:
    with Traffic.begun(tmp_path, rate=30) as traffic:
        small, _ = traffic.founded_by("small", "1", at=traffic.now - timedelta(days=5))
        traffic.pass_minutes(65)
        assert traffic.new_alerts() == []
        traffic.pass_minutes(20, (small, 4))
        assert traffic.spikes().keys() == {f"group:{small}"}


def test_a_new_version_that_takes_over_is_no_spike(traffic: Traffic) -> None:
    newer = traffic.a_version("2")
    for _ in range(90):
        at = traffic.now + timedelta(seconds=20)
        traffic.count([traffic.row(traffic.usual, at, 1, newer)])
        traffic.pass_minute(usual=0)
    assert traffic.new_alerts() == []


def test_crashes_that_come_late_are_judged_in_their_minutes(traffic: Traffic) -> None:
    """As when workers stood still: their crashes are of the minutes in which they were received."""
    began = traffic.now
    for _ in range(40):
        traffic.pass_minute()
    assert traffic.new_alerts() == []
    late = [
        traffic.row(traffic.usual, began + timedelta(minutes=minute, seconds=30), 14)
        for minute in range(5, 15)
    ]
    traffic.count(late, shard=3)
    traffic.pass_minute()
    told = traffic.spikes()
    assert told["app"].opened_at < clock.to_stored(began + timedelta(minutes=20))


def test_crashes_of_long_ago_say_nothing_of_now(traffic: Traffic) -> None:
    traffic.pass_minutes(5)
    long_ago = traffic.now - timedelta(hours=7)
    traffic.count([traffic.row(traffic.usual, long_ago, 500)])
    traffic.pass_minutes(5)
    assert traffic.new_alerts() == []


def test_a_look_that_is_repeated_tells_nothing_twice(traffic: Traffic) -> None:
    for _ in range(60):
        traffic.pass_minute(usual=12, look=False)
        traffic.services.detector.tick()
        traffic.services.detector.tick()
        traffic.look()
    assert len(traffic.spikes()) == 3


def test_processes_that_look_by_turns_tell_as_one_does(traffic: Traffic) -> None:
    first, second = traffic.services.detector, another_process(traffic)
    for minute in range(120):
        traffic.pass_minute(usual=12 if 5 <= minute < 25 else 1, look=False)
        for detector in (first, second) if minute % 3 == 0 else (second,):
            detector.tick()
    assert len(traffic.spikes()) == 3
    assert traffic.lasting() == []


def test_a_gap_without_looks_hides_no_spike(traffic: Traffic) -> None:
    for minute in range(30):
        traffic.pass_minute(usual=12 if 5 <= minute < 25 else 1, look=False)
    another_process(traffic).tick()
    assert traffic.spikes()["app"].opened_at < clock.to_stored(traffic.now - timedelta(minutes=15))


def test_an_ignored_group_is_told_of_no_more(traffic: Traffic) -> None:
    traffic.services.triage.update(traffic.app.app_id, traffic.usual, status=IGNORED)
    traffic.pass_minutes(20, usual=12)
    assert traffic.spikes().keys() == {"app", f"version:{traffic.version}"}


def test_a_spike_of_a_group_is_over_when_people_ignore_it(traffic: Traffic) -> None:
    traffic.pass_minutes(20, usual=12)
    assert f"group:{traffic.usual}" in {alert.subject for alert in traffic.lasting()}
    traffic.services.triage.update(traffic.app.app_id, traffic.usual, status=IGNORED)
    traffic.pass_minute(usual=12)
    assert {a.subject for a in traffic.lasting()} == {"app", f"version:{traffic.version}"}


def test_who_wants_no_spikes_is_told_of_none(traffic: Traffic) -> None:
    traffic.services.policies.change(traffic.app.app_id, {"alerts": ["new_group"]})
    traffic.pass_minutes(20, usual=12)
    traffic.founded_by("another", "1")
    traffic.pass_minute()
    assert [alert.kind for alert in traffic.new_alerts()] == [AlertKind.NEW_GROUP]


def test_an_alert_opens_together_with_its_watch_or_not_at_all(
    traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alert that no watch knows of would never be over, and be told again."""
    write = type(traffic.table).write

    def another_was_faster(table: CountingTable, operations: Sequence[Operation]) -> None:
        if any(isinstance(it, Update) and it.key.pk.startswith("watch#") for it in operations):
            raise Conflict
        write(table, operations)

    monkeypatch.setattr(type(traffic.table), "write", another_was_faster)
    traffic.pass_minutes(15, usual=12)
    assert traffic.new_alerts() == []
    monkeypatch.undo()
    with patch.object(clock, "now", lambda: traffic.now):
        traffic.pass_minutes(5, usual=12)
        assert len(traffic.spikes()) == 3
        traffic.pass_minutes(95)
        assert traffic.lasting() == []


def test_a_spike_is_over_also_when_the_service_was_down_for_weeks(traffic: Traffic) -> None:
    traffic.pass_minutes(20, usual=12)
    assert len(traffic.lasting()) == 3
    traffic.now += timedelta(days=21)
    traffic.pass_minutes(40)
    assert traffic.lasting() == []


def test_an_app_that_rested_for_days_is_judged_again(tmp_path: Path) -> None:
    with Traffic.begun(tmp_path, days=0) as traffic:
        traffic.now += timedelta(days=5)
        traffic.pass_minutes(20, usual=12)
        assert "app" in traffic.spikes()


def test_what_was_remembered_by_a_clock_that_was_wrong_is_forgotten(traffic: Traffic) -> None:
    right = traffic.now
    traffic.now += timedelta(days=3)
    traffic.pass_minutes(30, (traffic.usual, 20))
    traffic.pass_minutes(20, (traffic.usual, 200))
    assert traffic.lasting()
    traffic.now = right
    traffic.pass_minutes(2)
    assert traffic.lasting() == []
    traffic.new_alerts()
    traffic.pass_minutes(20, usual=12)
    assert "app" in traffic.spikes()


# --- groups that are new, or back ---


def test_a_new_group_is_told_also_when_the_first_look_at_it_failed(
    traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic.pass_minutes(3)
    group_id, _ = traffic.founded_by("another", "2")

    def away(*_: object) -> bool:
        raise StoreAway

    with monkeypatch.context() as broken:
        broken.setattr(AlertBook, "open", away)
        traffic.pass_minute()
    assert traffic.new_alerts() == []
    traffic.pass_minute()
    assert [alert.group_id for alert in traffic.new_alerts()] == [group_id]


def test_many_groups_that_are_back_are_told_of_in_one_line(traffic: Traffic) -> None:
    causes = [letter * 6 for letter in "abcdefghi"]
    groups = [traffic.crash(cause).group_id for cause in causes]
    traffic.pass_minute()
    for group_id in groups:
        traffic.services.triage.update(traffic.app.app_id, group_id, status=RESOLVED)
    traffic.now += timedelta(hours=1)
    traffic.new_alerts()
    for cause in causes:
        traffic.crash(cause, "2")
    traffic.pass_minutes(2)
    another_process(traffic).tick()
    told = traffic.new_alerts()
    assert {alert.kind for alert in told} == {AlertKind.REGRESSED_GROUP}
    assert [alert.subject for alert in told].count("app") == 1
    assert len(told) == ONE_BY_ONE + 1
    traffic.now += timedelta(minutes=62 - traffic.now.minute)
    another_process(traffic).tick()
    assert traffic.new_alerts() == []


def test_a_new_group_is_told_once(traffic: Traffic) -> None:
    group_id, version_id = traffic.founded_by("another", "2")
    traffic.pass_minutes(3)
    another_process(traffic).tick()
    (alert,) = traffic.new_alerts()
    assert (alert.kind, alert.group_id, alert.version_id) == (
        AlertKind.NEW_GROUP, group_id, version_id
    )  # fmt: skip
    assert "Another" in alert.title


def test_many_new_groups_are_told_of_in_one_line(traffic: Traffic) -> None:
    traffic.pass_minute()
    for number in range(3 * ONE_BY_ONE):
        traffic.founded_by(f"cause{'abcdefghijklmnopqrst'[number] * 6}", "1")
        if number % 4 == 0:
            traffic.pass_minute()
    traffic.pass_minutes(2)
    told = [alert for alert in traffic.new_alerts() if alert.kind is AlertKind.NEW_GROUP]
    assert len(told) == ONE_BY_ONE + 1
    assert [alert.subject for alert in told].count("app") == 1


def test_a_group_of_old_crashes_is_no_news(traffic: Traffic) -> None:
    traffic.founded_by("another", "1", at=traffic.now - timedelta(days=2))
    traffic.pass_minutes(2)
    assert traffic.new_alerts() == []


def test_a_group_that_a_person_splits_off_is_not_new(traffic: Traffic) -> None:
    traffic.crash("usual", "1")
    decisions = GroupDecisions(traffic.services, traffic.app.app_id)
    stack = decisions.stacks(traffic.usual)[0].fingerprint
    decisions.split(traffic.usual, stack)
    traffic.pass_minutes(5)
    assert traffic.new_alerts() == []


def test_a_resolved_group_that_crashes_in_a_newer_version_is_told_once(traffic: Traffic) -> None:
    traffic.services.triage.update(traffic.app.app_id, traffic.usual, status=RESOLVED)
    traffic.pass_minute(usual=0)
    again = traffic.crash("usual", "2")
    traffic.pass_minutes(3, usual=0)
    another_process(traffic).tick()
    (alert,) = traffic.new_alerts()
    assert (alert.kind, alert.group_id, alert.version_id) == (
        AlertKind.REGRESSED_GROUP, traffic.usual, again.version_id
    )  # fmt: skip


# --- sessions ---


def test_a_drop_of_crash_free_sessions_is_told_when_the_hours_sessions_have_come(
    traffic: Traffic,
) -> None:
    traffic.have_sessions(72, 500)
    traffic.pass_minutes(60)
    traffic.have_sessions(1, 500)
    traffic.pass_minutes(60, usual=5)
    traffic.have_sessions(1, 500)
    assert drops(traffic) == []
    traffic.pass_minutes(14)
    assert drops(traffic) == []
    traffic.pass_minutes(2)
    told = drops(traffic)
    assert {alert.subject for alert in told} == {"app", f"version:{traffic.version}"}
    assert told[0].observed == 300
    assert 40_000 < told[0].expected_milli < 90_000
    traffic.pass_minutes(44)
    traffic.have_sessions(1, 500)
    traffic.pass_minutes(50)
    assert len(drops(traffic)) == 2
    assert [a for a in traffic.lasting() if a.kind is AlertKind.CRASH_FREE_DROP] == []


def test_without_sessions_nobody_hears_of_a_drop(traffic: Traffic) -> None:
    traffic.pass_minutes(80, usual=5)
    assert drops(traffic) == []


def test_an_hour_without_sessions_does_not_go_on_with_the_last_one_that_had_some(
    traffic: Traffic,
) -> None:
    traffic.have_sessions(72, 500)
    traffic.pass_minutes(60, usual=5)
    traffic.have_sessions(1, 500)
    traffic.pass_minutes(20)
    assert len(drops(traffic)) == 2
    traffic.pass_minutes(100)
    assert [alert for alert in drops(traffic) if alert.closed_at is None] == []


def drops(traffic: Traffic) -> list[Alert]:
    return [alert for alert in traffic.alerts() if alert.kind is AlertKind.CRASH_FREE_DROP]


# --- what it costs, and leaves ---


def test_a_service_that_rests_reads_one_partition_a_minute(traffic: Traffic) -> None:
    traffic.now += timedelta(hours=1)
    for _ in range(2):
        traffic.look()
    traffic.table.reset()
    traffic.services.detector.tick()
    counts = traffic.table.snapshot()
    assert (counts.read_units, counts.write_units) == (1.0, 0)


def test_an_app_whose_crashes_are_over_is_looked_at_no_more(traffic: Traffic) -> None:
    traffic.pass_minutes(10)
    assert traffic.table.get(keys.active(traffic.app.app_id)) is not None
    traffic.pass_minutes(25, usual=0)
    assert traffic.table.get(keys.active(traffic.app.app_id)) is None
    traffic.pass_minutes(20, usual=12)
    assert traffic.spikes().keys() >= {"app"}


def test_a_look_at_an_app_costs_the_same_whatever_it_has_stored(tmp_path: Path) -> None:
    spent = []
    for days in (2, 28):
        with Traffic.begun(tmp_path / str(days), days=days) as traffic:
            traffic.pass_minutes(3)
            traffic.table.reset()
            traffic.pass_minutes(5)
            spent.append(traffic.table.snapshot().read_units)
    months_of_a_group = 5  # one more a minute: its days lie in two items
    assert spent[1] <= spent[0] + months_of_a_group


def test_made_up_stacks_take_a_bounded_memory_and_the_app_is_judged_all_the_same(
    traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lately, "_MAX_OF_APP", 3)
    fresh = another_process(traffic)
    made = [traffic.founded_by(letter * 9, "1")[0] for letter in "abcdef"]
    for _ in range(15):
        traffic.pass_minute(*((group, 3) for group in made), look=False)
        fresh.tick()
    assert "app" in traffic.spikes()
    series = fresh._lately.known(traffic.app.app_id)
    assert series is not None
    assert len(series.counts) == 3
    assert {"app", f"version:{traffic.version}"} < series.counts.keys()


def test_nothing_of_an_erased_app_is_left(traffic: Traffic) -> None:
    traffic.pass_minutes(20, usual=12)
    app_id = traffic.app.app_id
    assert list(query_all(traffic.table, keys.watch(app_id, "").pk))
    traffic.services.eraser.erase([app_id])
    for partition in (keys.watch(app_id, "").pk, *keys.recent_of_app(app_id)):
        assert list(query_all(traffic.table, partition)) == []
    assert traffic.table.get(keys.active(app_id)) is None


def another_process(traffic: Traffic) -> Detector:
    """One that remembers nothing."""
    services = traffic.services
    built = bootstrap.build(Settings(), traffic.table, services.blobs, services.queue)
    return built.detector
