"""Whether a crash is fixed, looked up before it is there: as its group says once it is counted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib import bootstrap, clock
from chalicelib.bootstrap import Services
from chalicelib.errors import NotFound
from chalicelib.group_decisions import GroupDecisions
from chalicelib.payload import Payload
from chalicelib.records import OPEN, RESOLVED, App
from chalicelib.storage.counting import CountingTable
from tests.crashes import ANDROID_EXAMPLE, android_log, drain, receive


class Calendar:
    """The clock of a test."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)

    def later(self) -> None:
        self.now += timedelta(hours=1)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calendar]:
    calendar = Calendar()
    monkeypatch.setattr(clock, "now", lambda: calendar.now)
    yield calendar


def came(services: Services, app: App, log: bytes) -> int:
    """A crash that is processed; its group."""
    report_id = receive(services, app, log)
    drain(services)
    return services.crashes.report(report_id).group_id


def resolve(services: Services, app: App, group_id: int, time: Calendar) -> None:
    time.later()
    services.triage.update(app.app_id, group_id, status=RESOLVED)
    time.later()


def looked_up(services: Services, app: App, log: bytes) -> bool:
    received = Payload(app.app_id, "quincykit", clock.now(), log)
    return services.fixes.is_fixed(services.processor.read(1, received))


def same_before_and_after(services: Services, app: App, log: bytes) -> bool:
    """What the lookup says, which is what the group says when the crash is there."""
    before = looked_up(services, app, log)
    group_id = came(services, app, log)
    assert before == (services.groups.group(app.app_id, group_id).group.status == RESOLVED)
    assert looked_up(services, app, log) == before
    return before


def worded(text: str) -> bytes:
    """A log without a stack, that says something."""
    return android_log().partition(b"\tat")[0].replace(b"broken a", text.encode())


def with_message(message: str) -> bytes:
    """The same deep stack, with another message each."""
    cause = "Caused by: java.lang.NullPointerException"
    return ANDROID_EXAMPLE.replace(
        cause, f"{cause}: the file that was asked for is not in the {message}"
    ).encode()


@pytest.mark.parametrize("folded", [False, True])
def test_a_known_stack_is_as_fixed_as_its_group(
    services: Services, app: App, time: Calendar, folded: bool
) -> None:
    log = android_log()
    assert not looked_up(services, app, log)
    group_id = came(services, app, log)
    assert not same_before_and_after(services, app, log)
    if folded:
        services.counts.fold_all(app.app_id)
    resolve(services, app, group_id, time)
    assert same_before_and_after(services, app, log)


@pytest.mark.parametrize(("version", "is_fixed"), [("32", True), ("33", True), ("34", False)])
def test_a_crash_that_opens_its_group_again_is_not_fixed(
    services: Services, app: App, time: Calendar, version: str, is_fixed: bool
) -> None:
    resolve(services, app, came(services, app, android_log(version="33")), time)
    assert same_before_and_after(services, app, android_log(version=version)) is is_fixed


def test_where_names_do_not_tell_a_version_that_was_not_there_is_newer(
    services: Services, app: App, time: Calendar
) -> None:
    def named(name: str) -> bytes:
        return android_log().replace(b"1.33", name.encode()).replace(b"33", name.encode())

    came(services, app, named("blue"))
    resolve(services, app, came(services, app, named("red")), time)
    assert same_before_and_after(services, app, named("blue"))
    assert not same_before_and_after(services, app, named("green"))


def test_a_version_without_a_crash_of_the_group_may_be_known(
    services: Services, app: App, time: Calendar
) -> None:
    group_id = came(services, app, android_log(version="33"))
    came(services, app, android_log("other", version="34"))
    resolve(services, app, group_id, time)
    assert not same_before_and_after(services, app, android_log(version="34"))


def test_a_group_that_waits_to_be_opened_again_is_not_fixed(
    services: Services, app: App, time: Calendar
) -> None:
    group_id = came(services, app, android_log(version="33"))
    resolve(services, app, group_id, time)
    came(services, app, android_log(version="34"))
    assert services.groups.find(group_id).status == RESOLVED  # not folded yet
    assert not looked_up(services, app, android_log(version="33"))
    services.counts.fold_all(app.app_id)
    assert services.groups.find(group_id).status == OPEN
    assert not looked_up(services, app, android_log(version="33"))


def test_a_group_that_was_merged_is_as_fixed_as_the_one_it_is_in(
    services: Services, app: App, time: Calendar
) -> None:
    one, other = came(services, app, android_log()), came(services, app, worded("other"))
    GroupDecisions(services, app.app_id).merge(one, other)
    drain(services)
    resolve(services, app, other, time)
    assert same_before_and_after(services, app, android_log())


def test_a_stack_that_only_another_app_has_is_not_fixed(
    services: Services, app: App, time: Calendar
) -> None:
    resolve(services, app, came(services, app, android_log()), time)
    other = services.accounts.create_app("Other")
    assert not same_before_and_after(services, other, android_log())


def test_a_stack_that_another_app_brought_into_a_bucket_of_ours_is_known(
    services: Services, app: App, time: Calendar
) -> None:
    ours = with_message("tea")
    theirs = ours.replace(b"... 12 more", b"at dalvik.Other.run(Other.java:7)\n... 11 more")
    other = services.accounts.create_app("Other")
    group_id = came(services, app, ours)
    came(services, other, theirs)
    resolve(services, app, group_id, time)
    assert same_before_and_after(services, app, theirs)


def test_a_stack_whose_messages_never_end_is_known_without_one(
    services: Services, app: App, time: Calendar
) -> None:
    words = ["tea", "milk", "salt", "rice", "bread", "wine", "beer", "corn", "fish", "meat", "eggs"]
    for group_id in {came(services, app, with_message(word)) for word in words}:
        resolve(services, app, group_id, time)
    assert same_before_and_after(services, app, with_message("honey"))


def test_a_crash_without_frames_is_known_by_its_words(
    services: Services, app: App, time: Calendar
) -> None:
    resolve(services, app, came(services, app, worded("nothing left")), time)
    assert same_before_and_after(services, app, worded("nothing left"))
    assert not looked_up(services, app, worded("quite another thing"))


def test_a_group_whose_crashes_are_gone_is_as_fixed_as_before(
    services: Services, app: App, time: Calendar
) -> None:
    group_id = came(services, app, android_log())
    resolve(services, app, group_id, time)
    (report,) = services.crashes.of_app(app.app_id)
    services.deletion.delete(app.app_id, [report.report_id])
    assert same_before_and_after(services, app, android_log())


def test_a_group_that_is_not_there_is_said_to_be_missing(
    services: Services, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    came(services, app, android_log())

    def gone(group_id: int) -> None:
        raise NotFound("crash reason", str(group_id))

    monkeypatch.setattr(services.groups, "find", gone)
    with pytest.raises(NotFound):
        looked_up(services, app, android_log())


def test_looking_up_takes_few_reads_and_writes_nothing(
    services: Services, app: App, time: Calendar
) -> None:
    came(services, app, android_log())
    came(services, services.accounts.create_app("Other"), android_log("theirs"))
    table = CountingTable(services.table)
    built = bootstrap.build(services.settings, table, services.blobs, services.queue)

    def reads(log: bytes) -> int:
        built.accounts.find_app(app.app_id)
        built.processor.read(1, Payload(app.app_id, "quincykit", clock.now(), log))
        table.reset()
        looked_up(built, app, log)
        counted = table.snapshot()
        assert counted.write_requests == 0
        return counted.read_requests

    assert reads(android_log()) == 2
    assert reads(android_log("never seen")) == 2
    assert reads(android_log("theirs")) <= 6
    assert reads(worded("never said")) == 1
