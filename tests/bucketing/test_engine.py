"""Assigning stacks to buckets, on the embedded store."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from chalicelib import bootstrap, clock, keys
from chalicelib.bootstrap import Services
from chalicelib.bucketing import engine, index, terms
from chalicelib.bucketing.assignment import THRESHOLDS, TOP_SCORE, Founder
from chalicelib.bucketing.engine import Bucketing
from chalicelib.bucketing.forgetting import Forgetting
from chalicelib.bucketing.stack import Stack, normalise
from chalicelib.bucketing.terms import Term
from chalicelib.model import ExceptionInfo, Frame, Report
from chalicelib.payload import Payload
from chalicelib.queries.paging import Paging
from chalicelib.records import App
from chalicelib.recount import recount_app
from chalicelib.storage.embedded.store import open_store
from chalicelib.storage.ports import Delete, Operation, Table, Update
from tests.crashes import drain, receive

HOST = ("com.acme.core.Queue.run", "com.acme.core.Server.serve", "com.acme.Main.main")


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    store = open_store(tmp_path / "data")
    yield store.table
    store.close()


@pytest.fixture
def bucketing(table: Table) -> Bucketing:
    return Bucketing(table)


def stack(*names: str, kind: str = "java.lang.IllegalStateException", message: str = "") -> Stack:
    frames = tuple(Frame(function=name, in_app=True) for name in (*names, *HOST))
    exception = ExceptionInfo(kind, message or None, frames)
    return normalise(Report("java", exceptions=(exception,)))


def words(**properties: str) -> Stack:
    return normalise(Report("other", properties=tuple(properties.items())))


_numbers = itertools.count()


def founder(name: str | None = None) -> Founder:
    return Founder(name or f"report-{next(_numbers)}", "app")


def test_a_known_stack_has_its_buckets_at_the_price_of_one_read(bucketing: Bucketing) -> None:
    first = bucketing.assign(stack("a.B.c", "a.B.d"), founder("one"))
    again = bucketing.assign(stack("a.B.c", "a.B.d"), founder("two"))
    assert again == first
    assert set(first.buckets) == set(THRESHOLDS)
    assert set(first.buckets.values()) == {"one"}


def test_a_similar_stack_joins_up_to_its_score_and_founds_buckets_above(
    bucketing: Bucketing,
) -> None:
    bucketing.assign(stack("a.B.c", "a.B.d", "a.B.e"), founder("one"))
    other = bucketing.assign(stack("a.B.c", "a.B.d", "a.X.y"), founder("two"))
    assert other.match is not None
    assert other.match.founder.database_id == "one"
    assert 4.0 <= other.match.score < TOP_SCORE
    for threshold, bucket_id in other.buckets.items():
        assert bucket_id == ("one" if float(threshold) <= other.match.score else "two")


def test_a_stack_that_is_like_no_other_founds_all_its_buckets(bucketing: Bucketing) -> None:
    bucketing.assign(stack("a.B.c", "a.B.d"), founder("one"))
    other = bucketing.assign(stack("q.R.s", "q.R.t", kind="java.io.IOException"), founder("two"))
    assert other.buckets["4.0"] == "two"


def test_a_preview_stores_nothing_and_tells_what_assigning_would(bucketing: Bucketing) -> None:
    new = stack("a.B.c", "a.B.d", "a.X.y")
    assert set(bucketing.preview(new).buckets.values()) == {None}
    bucketing.assign(stack("a.B.c", "a.B.d", "a.B.e"), founder("one"))
    preview = bucketing.preview(new)
    assert bucketing.preview(new) == preview
    assigned = bucketing.assign(new, founder("two"))
    assert preview.match == assigned.match
    expected = {t: None if b == "two" else b for t, b in assigned.buckets.items()}
    assert dict(preview.buckets) == expected


def test_thresholds_are_a_setting(table: Table) -> None:
    bucketing = Bucketing(table, ("2.5", "7.5"), "2.5")
    assert set(bucketing.assign(stack("a.B.c"), founder("one")).buckets) == {"2.5", "7.5"}
    assert bucketing.default_threshold == "2.5"
    # A threshold that came into use later: the stack's own bucket.
    later = Bucketing(table, ("2.5", "3.0"), "3.0").assign(stack("a.B.c"), founder("two"))
    assert later.buckets == {"2.5": "one", "3.0": "one"}


# --- forced ---


def test_a_forced_report_is_in_that_bucket_at_every_threshold(bucketing: Bucketing) -> None:
    bucketing.assign(stack("a.B.c", "a.B.d"), founder("one"))
    forced = bucketing.assign(stack("a.B.c", "a.B.d"), founder("two"), forced="mine")
    assert set(forced.buckets.values()) == {"mine"}
    assert bucketing.assignments([forced.fingerprint])[forced.fingerprint].buckets == forced.buckets
    assert bucketing.assign(stack("a.B.c", "a.B.d"), founder("two"), forced="mine") == forced
    unforced = bucketing.assign(stack("a.B.c", "a.B.d"), founder("three"))
    assert set(unforced.buckets.values()) == {"one"}
    assert list(bucketing.members("4.0", "mine")) == [forced.fingerprint]


def test_what_is_like_a_stack_that_was_new_when_forced_follows_it(bucketing: Bucketing) -> None:
    bucketing.assign(stack("a.B.c", "a.B.d", "a.B.e"), founder("one"), forced="mine")
    other = bucketing.assign(stack("a.B.c", "a.B.d", "a.X.y"), founder("two"))
    assert other.buckets["4.0"] == "mine"


def test_a_forced_report_of_a_new_stack_is_where_it_was_when_it_comes_again(
    bucketing: Bucketing,
) -> None:
    first = bucketing.assign(stack("a.B.c", "a.B.d"), founder("one"), forced="mine")
    assert bucketing.assign(stack("a.B.c", "a.B.d"), founder("one"), forced="mine") == first
    other = bucketing.assign(stack("a.B.c", "a.B.d"), founder("two"), forced="theirs")
    assert set(other.buckets.values()) == {"theirs"}


# --- without frames ---


def test_crashes_that_say_the_same_share_buckets_but_not_the_highest(bucketing: Bucketing) -> None:
    found = [bucketing.assign(words(note="lost the flux"), founder(name)) for name in "abc"]
    assert {each.buckets["4.0"] for each in found} == {"a"}
    assert [each.buckets["11.0"] for each in found] == ["a", "b", "c"]


def test_crashes_with_nothing_to_compare_found_their_own_buckets(bucketing: Bucketing) -> None:
    found = [bucketing.assign(words(), founder(name)) for name in "abc"]
    assert [set(each.buckets.values()) for each in found] == [{"a"}, {"b"}, {"c"}]


def test_a_crash_without_frames_that_comes_again_is_where_it_was(bucketing: Bucketing) -> None:
    for crash in (words(note="lost"), words()):
        first = bucketing.assign(crash, founder("same"))
        assert bucketing.assign(crash, founder("same")) == first


def test_crashes_without_frames_are_compared_by_what_else_they_say(bucketing: Bucketing) -> None:
    said = "the printer on the third floor does not answer any more"
    bucketing.assign(words(note=said, step="print"), founder("a"))
    near = bucketing.assign(words(note=f"{said} since noon", step="print"), founder("b"))
    far = bucketing.assign(words(note="no memory left on device", step="boot"), founder("c"))
    assert near.buckets["4.0"] == "a"
    assert far.buckets["1.0"] == "c"


# --- messages ---


def test_a_stack_whose_messages_never_end_stops_counting_them(bucketing: Bucketing) -> None:
    fruits = ("apple", "pear", "plum", "fig", "kiwi", "lime", "date", "nut", "pea", "bean", "corn")
    frames = ("a.B.parse", "a.B.read")
    found = [
        bucketing.assign(stack(*frames, message=f"For input string: {fruit}"), founder())
        for fruit in (*fruits, *fruits)
    ]
    assert len({each.fingerprint for each in found}) <= engine._MAX_MESSAGES + 1


# --- rarity ---


def test_rarity_is_minus_log2_of_the_share_of_reports(services: Services, app: App) -> None:
    for number in range(12):
        names = [f"a.Main.run{'abc'[number % 3]}", "a.Main.main", *["a.Rare.one"][: number == 0]]
        frames = "".join(f"\tat {name}(M.java:1)\n" for name in names)
        log = f"Package: de.codenauts.hockeyapp\n\nX: y\n{frames}"
        receive(services, app, log.encode())
    drain(services)
    services.processor.fold()
    rarity = services.bucketing.rarity(["a.Main.main", "a.Main.runa", "a.Rare.one", "a.No.where"])
    assert rarity["a.Main.main"] == 0
    assert rarity["a.Main.runa"] == pytest.approx(math.log2(3))
    assert rarity["a.Rare.one"] == pytest.approx(math.log2(12))
    assert "a.No.where" not in rarity


def test_counts_in_steps_are_right_on_average() -> None:
    for truth in (40, 400, 4_000):
        counted = []
        for run in range(200):
            count = 0
            for number in range(truth):
                step = index.step_of(count, total=10_000)
                count += step if index.chance_of(f"{run} {number}") * step < 1 else 0
            counted.append(count)
        assert sum(counted) / len(counted) == pytest.approx(truth, rel=0.05)
        spread = math.sqrt(sum((c - truth) ** 2 for c in counted) / len(counted))
        assert spread < 0.2 * truth


# --- at once ---


def test_eight_workers_split_no_stack_and_lose_no_count(services: Services, app: App) -> None:
    """Eight processors with their own caches, each report twice, in random order."""
    chance = random.Random(7)
    parts = "abcdefghij"
    logs = [
        "Package: de.codenauts.hockeyapp\n\njava.lang.Error: z\n"
        f"\tat x.{parts[cause]}.Reader{parts[cause]}.read(R.java:{cause})\n"
        + "".join(f"\tat x.core.Step.again{parts[turn]}(S.java:1)\n" for turn in range(depth))
        + "\tat x.Main.main(M.java:2)\n"
        for cause in range(10)
        for depth in range(6)
    ]
    ids = [receive(services, app, log.encode()) for log in [*logs, *logs, *logs]]
    told = [*ids, *ids]
    chance.shuffle(told)
    workers = [
        bootstrap.build(services.settings, services.table, services.blobs, services.queue).processor
        for _ in range(8)
    ]

    def work(number: int) -> None:
        mine = told[number::8]
        for start in range(0, len(mine), 5):
            workers[number].process(mine[start : start + 5])
        workers[number].fold()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    services.counts.fold_all(app.app_id)
    reports = list(services.crashes.of_app(app.app_id))
    assert len(reports) == len(ids)
    groups: dict[str, set[int]] = {}
    for report in reports:
        groups.setdefault(report.fingerprint, set()).add(report.group_id)
    assert len(groups) == len(logs)
    assert all(len(of_stack) == 1 for of_stack in groups.values())
    assert recount_app(services, app.app_id).differences == ()
    totals = services.counts.of_stacks(app.app_id, groups)
    assert {name: total.reports for name, total in totals.items()} == dict.fromkeys(groups, 3)
    listed = services.groups.of_app(app.app_id, Paging(per_page=100), "date", False)
    assert sum(entry.total for entry in listed.entries) == len(ids)


def test_the_same_new_stack_at_one_moment_opens_one_bucket(table: Table) -> None:
    new = stack("a.B.c", "a.B.d")
    engines = [Bucketing(table) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda each: each.assign(new, founder()), engines))
    assert len({each.buckets["4.0"] for each in found}) == 1
    assert len({each.founder for each in found}) == 1


def test_the_same_words_at_one_moment_open_one_bucket(table: Table) -> None:
    engines = [Bucketing(table) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda each: each.assign(words(note="lost"), founder()), engines))
    assert len({each.buckets["4.0"] for each in found}) == 1


class BusyTable:
    """The table, with another worker that adds to a term right before each write."""

    def __init__(self, table: Table, term: Term) -> None:
        self._table = table
        self._term = term

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def write(self, operations: Sequence[Operation]) -> None:
        self._table.write([Update(keys.term(self._term.key), add={"stacks": 1})])
        self._table.write(operations)


def test_a_stack_is_counted_under_a_term_that_never_rests_and_found_by_the_others(
    table: Table,
) -> None:
    busy, rare = terms.frame("a.Common.f"), terms.frame("a.Rare.f")
    new = Bucketing(cast(Table, BusyTable(table, busy))).assign(
        stack("a.Rare.f", "a.Common.f"), founder()
    )
    known = index.Index(table).read([busy, rare])
    assert known[busy].reports == known[rare].reports == known[terms.ALL].reports == 1
    assert [name.hex() for name in known[rare].newest()] == [new.fingerprint]


def test_reports_that_several_workers_count_at_one_moment_are_all_counted(
    services: Services, app: App
) -> None:
    log = b"Package: p\n\nX: y\n\tat a.Main.run(M.java:1)\n\tat a.Main.main(M.java:2)\n"
    ids = [receive(services, app, log) for _ in range(64)]
    parts = (services.settings, services.table, services.blobs, services.queue)
    workers = [bootstrap.build(*parts).processor for _ in range(8)]

    def work(number: int) -> None:
        for report_id in ids[number::8]:
            workers[number].process([report_id])
            workers[number].fold()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    services.counts.fold_all(app.app_id)
    known = index.Index(services.table).read([terms.frame("a.Main.run")])
    assert {posting.reports for posting in known.values()} == {64}


def test_a_deleted_stack_is_no_ones_match(bucketing: Bucketing, table: Table) -> None:
    first = bucketing.assign(stack("a.B.c", "a.B.d", "a.B.e"), founder("one"))
    bucketing.assign(stack("a.B.c", "a.B.d", "a.B.f"), founder("warm"), forced="aside")
    Forgetting(table).forget([first.fingerprint], ["app"])
    assert table.get(keys.stack(first.fingerprint)) is None
    other = bucketing.assign(stack("a.B.c", "a.B.d", "a.X.y"), founder("two"))
    assert "one" not in other.buckets.values()


def test_a_stack_that_lost_its_reports_to_others_can_be_forgotten(
    bucketing: Bucketing, table: Table
) -> None:
    """A term that was counted down to 0 says 0, and not nothing."""
    made = [bucketing.assign(stack("a.B.c", last), founder()) for last in ("a.B.d", "x.Y.z")]
    stacks = [assignment.fingerprint for assignment in made]
    for reports in (2, 0):  # as folding counts a second one of each, and then that all have moved
        for name in stacks:
            table.write([Update(keys.reports_of_stack(name, "app"), set={"reports": reports})])
        bucketing.count_reports("app", stacks)
    shared = terms.frame("a.B.c")
    assert index.Index(table).read([shared])[shared].reports == 0
    for name in stacks:
        Forgetting(table).forget([name], ["app"])
        assert table.get(keys.stack(name)) is None
    assert table.get(keys.term(shared.key)) is None


def test_a_stack_that_is_forgotten_while_it_is_counted_leaves_nothing(
    services: Services, app: App
) -> None:
    """A count without reports would break every later folding of the stack."""
    receive(services, app, b"Package: a\n\nX: y\n\tat a.Main.run(M.java:1)\n")
    drain(services)
    services.counts.fold_all(app.app_id)
    fingerprint = next(services.crashes.of_app(app.app_id)).fingerprint
    place = keys.reports_of_stack(fingerprint, app.app_id)

    class Meanwhile:
        """A table on which the stack is forgotten just before it is counted."""

        def __getattr__(self, name: str) -> object:
            return getattr(services.table, name)

        def write(self, operations: Sequence[Operation]) -> None:
            Forgetting(services.table).forget([fingerprint], [app.app_id])
            services.table.write([Delete(place)])
            services.table.write(operations)

    services.table.write([Update(place, set={"reports": 2}, remove=("counted",))])
    Bucketing(cast(Table, Meanwhile())).count_reports(app.app_id, [fingerprint])
    assert services.table.get(place) is None


def test_a_stack_of_which_another_app_has_reports_stays(bucketing: Bucketing, table: Table) -> None:
    first = bucketing.assign(stack("a.B.c", "a.B.d", "a.B.e"), founder("one"))
    place = keys.reports_of_stack(first.fingerprint, "other")
    table.write([Update(place, set={"reports": 1})])
    Forgetting(table).forget([first.fingerprint], ["app"])
    assert table.get(keys.stack(first.fingerprint)) is not None


def test_a_payload_is_bucketed_whatever_app_it_is_of(services: Services, app: App) -> None:
    """Buckets span apps, groups do not."""
    other = services.accounts.create_app("Other")
    log = b"X: y\n\tat a.Main.run(M.java:1)\n\tat a.Main.main(M.java:2)\n"
    header = b"Package: de.codenauts.hockeyapp\n\n"
    receive(services, app, header + log)
    services.intake.receive(Payload(other.app_id, "hockeyapp", clock.now(), header + log))
    drain(services)
    ours, theirs = (next(services.crashes.of_app(each.app_id)) for each in (app, other))
    assert ours.fingerprint == theirs.fingerprint
    assert ours.group_id != theirs.group_id
