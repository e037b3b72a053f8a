"""Data that an earlier form of bucketing grouped, brought to the present one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from chalicelib import keys
from chalicelib.bootstrap import Services
from chalicelib.bucketing.assignment import Assignment, Founder
from chalicelib.bucketing.engine import Bucketing
from chalicelib.bucketing.stack import Stack, digest_of
from chalicelib.processing import Processor
from chalicelib.queries.paging import Paging
from chalicelib.rebucketing import Rebucketing
from chalicelib.records import App, Group
from chalicelib.recount import recount_app
from chalicelib.storage.ports import Delete, Put, Update
from tests.crashes import drain, receive

CAUSES = 6
LEVELS = 4  # how deep the same cause crashed: an earlier form took each for another


class EarlierForm(Bucketing):
    """Equal stacks share a bucket, others never do; it kept neither terms nor counts of stacks."""

    def assign(
        self,
        stack: Stack,
        founder: Founder,
        forced: str | None = None,  # noqa: ARG002 - earlier there was none
    ) -> Assignment:
        fingerprint = digest_of("earlier", *stack.types, *stack.frames)
        key = keys.stack(fingerprint)
        item = self._table.get(key)
        if item is None:
            buckets = dict.fromkeys(self.thresholds, founder.database_id)
            frames = list(stack.frames)
            item = {"pk": key.pk, "sk": key.sk, "buckets": buckets, "frames": frames}
            self._table.write([Put(item)])
        return Assignment(fingerprint, item["buckets"], founder)  # type: ignore[arg-type]

    def count_reports(self, app_id: str, fingerprints: object) -> None:
        pass


@pytest.fixture
def stored(services: Services, app: App) -> Services:
    """Reports of six causes at four depths each, as the earlier form stored them."""
    processor = Processor(
        services.table, services.blobs, EarlierForm(services.table), services.ids,
        services.reader.report, services.accounts.find_app,
    )  # fmt: skip
    for number in range(3 * CAUSES * LEVELS):
        cause, level = number % CAUSES, number // CAUSES % LEVELS
        receive(services, app, crash(cause, level))
    drain(replace(services, processor=processor))
    processor.fold()
    return services


def crash(cause: int, level: int) -> bytes:
    part = "abcdef"[cause]
    names = [f"com.acme.{part}.Reader{part}.read{part}", f"com.acme.{part}.Job.step{part}"]
    names += [f"com.acme.core.Queue.retry{turn}" for turn in range(level)]
    names += ["com.acme.core.Queue.run", "com.acme.Main.main"]
    frames = "".join(f"\tat {name}(Some.java:12)\n" for name in names)
    head = f"Package: com.acme\nVersion Code: 3\n\njava.lang.IllegalStateException: cause {cause}\n"
    return (head + frames).encode()


def groups_of(services: Services, app: App) -> dict[int, int]:
    listed = services.groups.of_app(app.app_id, Paging(per_page=100), "date", False)
    return {entry.group.group_id: entry.total for entry in listed.entries}


def test_reports_of_one_cause_come_together_and_every_count_follows(
    stored: Services, app: App
) -> None:
    before = groups_of(stored, app)
    assert len(before) == CAUSES * LEVELS
    done = Rebucketing(stored, app.app_id).run()
    assert done.reports == 3 * CAUSES * LEVELS
    assert done.unreadable == 0
    after = groups_of(stored, app)
    assert sorted(after.values()) == [3 * LEVELS] * CAUSES
    assert set(after) <= set(before), "groups keep their ids"
    assert recount_app(stored, app.app_id).differences == ()
    stacks = {report.fingerprint for report in stored.crashes.of_app(app.app_id)}
    totals = stored.counts.of_stacks(app.app_id, stacks)
    assert sum(total.reports for total in totals.values()) == done.reports


def test_a_second_run_moves_nothing(stored: Services, app: App) -> None:
    Rebucketing(stored, app.app_id).run()
    groups = groups_of(stored, app)
    assert Rebucketing(stored, app.app_id).run().moved == 0
    assert groups_of(stored, app) == groups


def test_the_group_of_a_causes_first_report_keeps_its_status(stored: Services, app: App) -> None:
    first = min(groups_of(stored, app))
    stored.table.write([Update(keys.group(first), set={"status": 1, "ticket_url": "http://t/1"})])
    Rebucketing(stored, app.app_id).run()
    group = Group.from_item(stored.table.get(keys.group(first)) or {})
    assert (group.status, group.ticket_url) == (1, "http://t/1")


@pytest.mark.parametrize("stopped_after", [1, 30, 65])
def test_it_goes_on_where_it_was_stopped(
    stored: Services, app: App, stopped_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.rebucketing._REMEMBERED", 10)

    with pytest.raises(KeyboardInterrupt):
        Rebucketing(stored, app.app_id).run(_stop_after(stopped_after))
    seen = Rebucketing(stored, app.app_id).run().reports
    assert seen <= 3 * CAUSES * LEVELS - stopped_after + 10
    assert sorted(groups_of(stored, app).values()) == [3 * LEVELS] * CAUSES
    assert recount_app(stored, app.app_id).differences == ()


def test_a_group_whose_only_report_moved_just_before_the_stop_is_taken_away_too(
    services: Services, app: App
) -> None:
    process = Processor(
        services.table, services.blobs, EarlierForm(services.table), services.ids,
        services.reader.report, services.accounts.find_app,
    )  # fmt: skip
    for level in range(LEVELS):
        receive(services, app, crash(0, level))
    drain(replace(services, processor=process))
    process.fold()
    assert len(groups_of(services, app)) == LEVELS
    with pytest.raises(KeyboardInterrupt):
        Rebucketing(services, app.app_id).run(_stop_after(LEVELS - 1))
    Rebucketing(services, app.app_id).run()
    assert list(groups_of(services, app).values()) == [LEVELS]
    assert recount_app(services, app.app_id).differences == ()


def _stop_after(reports: int) -> Callable[[], None]:
    left = iter(range(reports))

    def stop() -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return stop


def test_crashes_that_come_afterwards_join_the_groups(stored: Services, app: App) -> None:
    Rebucketing(stored, app.app_id).run()
    groups = groups_of(stored, app)
    for cause in range(CAUSES):
        receive(stored, app, crash(cause, 1))
    drain(stored)
    assert set(groups_of(stored, app)) == set(groups)
    assert recount_app(stored, app.app_id).differences == ()


def test_groups_of_an_earlier_version_get_their_places_in_the_lists(
    stored: Services, app: App
) -> None:
    places = dict.fromkeys(("group_pk", "group_sk", "user_pk", "user_sk", "app_sk"))
    stored.counts.fold_all(app.app_id)
    listed = stored.groups.of_app(app.app_id, Paging(per_page=100), "class", False)
    versions = {entry.version.version_id for entry in listed.entries}
    for entry in listed.entries:
        group = entry.group
        old = {"app_sk": f"{group.group_id:016d}"}
        gone = tuple(name for name in places if name != "app_sk")
        part = keys.group_version(group.group_id, entry.version.version_id)
        for key in (keys.group(group.group_id), part):
            stored.table.write([Update(key, set=old, remove=gone)])
        by_class = keys.group_by_class(app.app_id, group.class_name or "", group.group_id)
        stored.table.write([Delete(by_class)])
    for version_id in versions:
        totals = keys.totals(keys.version_partition(version_id))
        stored.table.write([Update(totals, remove=("groups",))])
    assert recount_app(stored, app.app_id).differences
    Rebucketing(stored, app.app_id).run()
    assert recount_app(stored, app.app_id).differences == ()
    for sort in ("date", "class", "number_of_crashes", "last_crash_at"):
        assert stored.groups.of_app(app.app_id, Paging(), sort, True).total_entries == CAUSES
