"""What belongs to one event is told once, and told as what it mostly is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from chalicelib import bootstrap
from chalicelib.alerts.book import AlertBook
from chalicelib.alerts.joined import Cause, Window
from chalicelib.alerts.lately import Series
from chalicelib.alerts.messages import Tell, decode
from chalicelib.alerts.model import Alert, AlertKind
from chalicelib.config import Settings
from chalicelib.storage.ports import Operation
from tests.alerts.traffic import Traffic


@pytest.fixture
def traffic(tmp_path: Path) -> Iterator[Traffic]:
    """One that crashes five times a minute."""
    with Traffic.begun(tmp_path / "data", rate=5) as begun:
        yield begun


def told_of(traffic: Traffic) -> list[Alert]:
    """The alerts that a message tells of; each once."""
    queue = traffic.services.notifications
    told: list[Alert] = []
    while messages := queue.receive(10, visibility_s=60):
        for message in messages:
            tell = decode(message.body)
            assert isinstance(tell, Tell)
            told.append(traffic.services.alerts.alert(tell.app_id, tell.alert_id))
        queue.ack(messages)
    return told


def groups(traffic: Traffic, many: int) -> Sequence[int]:
    """New ones that nobody need be told of any more, which have not crashed since."""
    causes = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot")[:many]
    made = [traffic.founded_by(cause * 3, "1")[0] for cause in causes]
    assert len(set(made)) == many
    traffic.pass_minutes(5)
    told_of(traffic)
    return made


def subjects(alerts: Sequence[Alert]) -> list[str]:
    return [alert.subject for alert in alerts]


def test_a_group_that_makes_the_app_spike_is_told_once_as_its_cause(traffic: Traffic) -> None:
    (group,) = groups(traffic, 1)
    traffic.pass_minutes(20, (group, 30))
    (told,) = told_of(traffic)
    assert (told.subject, told.group_id, told.group_percent) == ("app", group, 100)
    assert (told.version_id, told.version_percent) == (traffic.version, 100)
    assert "mostly" in told.title
    assert "Alphaalphaalpha" in told.title
    parts = [alert for alert in traffic.lasting() if alert.alert_id != told.alert_id]
    assert {alert.subject for alert in parts} == {f"group:{group}", f"version:{traffic.version}"}
    assert {alert.part_of for alert in parts} == {told.alert_id}
    traffic.pass_minutes(100)
    assert told_of(traffic) == []
    assert traffic.lasting() == []


def test_what_the_first_to_be_told_explains_is_not_told_again(tmp_path: Path) -> None:
    with Traffic.begun(tmp_path, rate=30) as traffic:
        small, _ = traffic.founded_by("small", "1", at=traffic.now - timedelta(days=5))
        traffic.pass_minutes(65)
        told_of(traffic)
        traffic.pass_minutes(20, (small, 4))
        (told,) = told_of(traffic)
        assert told.subject == f"group:{small}"
        traffic.pass_minutes(20, (small, 90))
        assert told_of(traffic) == []
        parts = {alert.subject: alert.part_of for alert in traffic.lasting()}
        of_version = f"version:{traffic.version}"
        assert parts == {told.subject: None, "app": told.alert_id, of_version: told.alert_id}


def test_an_app_that_spikes_by_many_groups_is_told_once_without_a_cause(traffic: Traffic) -> None:
    many = groups(traffic, 5)
    traffic.pass_minutes(20, *((group, 10) for group in many))
    (told,) = told_of(traffic)
    assert (told.subject, told.group_id, told.group_percent) == ("app", None, None)
    assert told.title == "Crashes are spiking"


def test_an_app_that_spikes_by_more_than_what_was_told_is_told_too(tmp_path: Path) -> None:
    with Traffic.begun(tmp_path, rate=30) as traffic:
        small, _ = traffic.founded_by("small", "1", at=traffic.now - timedelta(days=5))
        others = groups(traffic, 4)
        traffic.pass_minutes(65)
        told_of(traffic)
        traffic.pass_minutes(20, (small, 4))
        assert subjects(told_of(traffic)) == [f"group:{small}"]
        traffic.pass_minutes(20, (small, 24), *((group, 20) for group in others))
        (told,) = told_of(traffic)
        assert (told.subject, told.group_id) == ("app", None)


def test_another_group_that_takes_over_later_is_told_by_itself(traffic: Traffic) -> None:
    first, second = groups(traffic, 2)
    traffic.pass_minutes(40, (first, 30))
    assert [alert.group_id for alert in told_of(traffic)] == [first]
    traffic.pass_minutes(15, (first, 30), (second, 60))
    assert subjects(told_of(traffic)) == [f"group:{second}"]


def test_a_part_that_comes_later_stays_quiet_also_once_the_spike_is_acknowledged(
    traffic: Traffic,
) -> None:
    first, second = groups(traffic, 2)
    traffic.pass_minutes(20, (first, 30))
    (told,) = told_of(traffic)
    traffic.services.alerts.acknowledge(traffic.app.app_id, told.alert_id, "jo")
    traffic.pass_minutes(20, (first, 60), (second, 25))
    assert f"group:{second}" in subjects(traffic.lasting())
    assert told_of(traffic) == []


def test_a_new_group_that_spikes_is_told_as_both(traffic: Traffic) -> None:
    told_of(traffic)
    group, _ = traffic.founded_by("another", "1")
    traffic.pass_minutes(20, (group, 30))
    told = told_of(traffic)
    assert [alert.kind for alert in told] == [AlertKind.NEW_GROUP, AlertKind.SPIKE]
    assert [alert.group_id for alert in told] == [group, group]


def test_a_process_that_died_after_the_first_alert_leaves_the_parts_quiet(
    traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    (group,) = groups(traffic, 1)
    dead = bootstrap.build(
        Settings(), traffic.table, traffic.services.blobs, traffic.services.queue
    ).detector

    def dies(*_: object) -> None:
        raise SystemExit

    opened = AlertBook.open

    def once(book: AlertBook, alert: Alert, also: Sequence[Operation]) -> bool:
        monkeypatch.setattr(AlertBook, "open", dies)
        return opened(book, alert, also)

    monkeypatch.setattr(AlertBook, "open", once)
    died = False
    for _ in range(20):
        traffic.pass_minute((group, 30), look=died)
        try:
            if not died:
                dead.tick()
        except SystemExit:
            died = True
            monkeypatch.setattr(AlertBook, "open", opened)
    assert died
    assert subjects(traffic.lasting()) != ["app"]
    assert [alert.part_of for alert in traffic.lasting()].count(None) == 1


def test_shares_are_of_what_is_above_the_hour_before() -> None:
    series = Series(first=1000)
    for minute in range(1000, 1100):
        series.add("app", minute, 10)
        series.add("group:1", minute, 9)
        series.add("group:2", minute, 1)
    for minute in range(1100, 1110):
        series.add("app", minute, 30)
        series.add("group:1", minute, 12)
        series.add("group:2", minute, 18)
    window = Window(series, 1109, 10)
    assert window.increase("app") == 200
    assert window.increase("group:2") == 170
    assert window.increase("group:3") == 0
    assert window.cause("group") == Cause(2, 85)
    assert window.cause("version") is None
    assert Window(series, 1099, 10).cause("group") is None
