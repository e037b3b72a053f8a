"""The processing step: idempotent, atomic, exact, and stopped by nothing."""

from __future__ import annotations

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib import bootstrap, clock, keys
from chalicelib.bootstrap import Services
from chalicelib.bucketing.assignment import Founder
from chalicelib.bucketing.index import Index
from chalicelib.bucketing.stack import normalise
from chalicelib.bucketing.terms import ALL
from chalicelib.payload import PARTYCRASHER, Payload
from chalicelib.processing import Outcome
from chalicelib.queries.paging import Paging
from chalicelib.records import App
from chalicelib.recount import recount_app
from chalicelib.storage.counting import CountingBlobs
from chalicelib.symbols.source import SymbolsAway
from tests.crashes import ANDROID_EXAMPLE, android_log, drain, receive
from tests.formats.minidump.builder import MinidumpBuilder


def total(services: Services, app: App) -> int:
    pending = services.counts.pending(app.app_id)
    return services.counts.total(keys.app_partition(app.app_id), pending.rows)


def groups(services: Services, app: App) -> dict[str | None, int]:
    listed = services.groups.of_app(app.app_id, Paging(per_page=100), "date", True)
    return {entry.group.class_name: entry.total for entry in listed.entries}


def test_the_documents_example_becomes_a_group_named_by_the_innermost_cause(
    services: Services, app: App
) -> None:
    receive(services, app, ANDROID_EXAMPLE.encode())
    drain(services)
    listed = services.groups.of_app(app.app_id, Paging(), "date", True)
    (entry,) = listed.entries
    group = entry.group
    assert (group.class_name, group.method) == ("org.json.JSONTokener", "nextCleanInternal")
    assert (group.file, group.line) == ("JSONTokener.java", 112)
    assert group.reason == "java.lang.NullPointerException"
    assert entry.total == 1
    assert entry.version.number == "33"


def test_one_event_ten_times_gives_one_report_counted_once(services: Services, app: App) -> None:
    report_id = receive(services, app, android_log())
    outcomes = [services.processor.process([report_id]) for _ in range(10)]
    assert [outcome.stored for outcome in outcomes] == [(report_id,)] + [()] * 9
    assert all(outcome.already_stored == (report_id,) for outcome in outcomes[1:])
    assert total(services, app) == 1


def test_events_of_stored_reports_are_settled_by_a_look_once_some_have_come(
    services: Services, app: App
) -> None:
    """As they come by a door that has each report processed before it answers."""
    blobs = CountingBlobs(services.blobs)
    built = bootstrap.build(services.settings, services.table, blobs, services.queue)
    ids = [receive(services, app, android_log(cause)) for cause in ("a", "b", "c")]
    services.processor.process(ids)

    def fetched(*wanted: int) -> int:
        blobs.reset()
        assert built.processor.process(wanted).already_stored == wanted
        return blobs.snapshot().gets

    assert fetched(ids[0]) == 1
    assert fetched(*ids[1:]) == 0
    new = receive(services, app, android_log("d"))
    outcome = built.processor.process([*ids, new])
    assert (outcome.already_stored, outcome.stored) == (tuple(ids), (new,))
    assert total(services, app) == 4
    other = receive(services, app, android_log("e"))
    assert built.processor.process([other]).stored == (other,)
    assert fetched(other) == 1  # the last batch had none: it is not looked for


def test_a_payload_at_hand_is_not_fetched(services: Services, app: App) -> None:
    blobs = CountingBlobs(services.blobs)
    built = bootstrap.build(services.settings, services.table, blobs, services.queue)
    received = Payload(app.app_id, "hockeyapp", clock.now(), android_log())
    report_id = built.intake.receive(received)
    assert built.processor.process([report_id], {report_id: received}).stored == (report_id,)
    assert blobs.snapshot().gets == 0
    assert total(services, app) == 1


def test_one_event_twice_in_one_batch_is_counted_once(services: Services, app: App) -> None:
    report_id = receive(services, app, android_log())
    assert services.processor.process([report_id, report_id]).stored == (report_id,)
    assert total(services, app) == 1


def test_events_in_any_order_from_several_workers_are_counted_once(
    services: Services, app: App
) -> None:
    ids = [receive(services, app, android_log(f"cause{n % 7}")) for n in range(60)]
    deliveries = ids * 5
    random.Random(7).shuffle(deliveries)
    batches = [deliveries[start : start + 13] for start in range(0, len(deliveries), 13)]

    def work(batch: list[int]) -> int:
        worker = bootstrap.build(
            services.settings, services.table, services.blobs, services.queue
        ).processor
        stored = len(worker.process(batch).stored)
        worker.fold()
        return stored

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, batches)) == 60
    assert total(services, app) == 60
    assert sum(groups(services, app).values()) == 60
    assert len(groups(services, app)) == 7


def test_identical_new_stacks_at_the_same_moment_make_one_group(
    services: Services, app: App
) -> None:
    ids = [receive(services, app, android_log("same")) for _ in range(16)]

    def work(report_id: int) -> None:
        bootstrap.build(
            services.settings, services.table, services.blobs, services.queue
        ).processor.process([report_id])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, ids))
    assert groups(services, app) == {"de.codenauts.hockeyapp.Same": 16}
    assert recount_app(services, app.app_id).differences == ()


def test_groups_span_versions_and_each_version_has_its_part(services: Services, app: App) -> None:
    for version in ("1", "2", "2"):
        receive(services, app, android_log("same", version))
    drain(services)
    (entry,) = services.groups.of_app(app.app_id, Paging(), "date", True).entries
    assert entry.total == 3
    parts = {
        version.number: services.groups.of_version(version, Paging(), "date", True).entries[0].total
        for version in services.groups.versions(app.app_id)
    }
    assert parts == {"1": 1, "2": 2}
    services.processor.fold()
    assert services.groups.of_app(app.app_id, Paging(), "date", True).entries[0].total == 3


def test_counts_are_the_same_before_and_after_folding(services: Services, app: App) -> None:
    for number in range(40):
        receive(services, app, android_log(f"cause{number % 9}", str(number % 3)))
    drain(services)
    before = groups(services, app)
    assert services.counts.pending(app.app_id).rows
    services.counts.fold_all(app.app_id)
    assert not services.counts.pending(app.app_id).rows
    assert groups(services, app) == before
    assert total(services, app) == 40


def test_a_payload_that_cannot_be_read_is_a_dead_letter_and_stops_nothing(
    services: Services, app: App
) -> None:
    bad = receive(services, app, b"\x00\x01\x02 no log at all")
    good = receive(services, app, android_log())
    outcome = services.processor.process([bad, good])
    assert (outcome.stored, outcome.dead) == ((good,), (bad,))
    (letter,) = services.crashes.dead_letters()
    assert letter.report_id == bad
    assert letter.app_id == app.app_id
    assert letter.reason
    assert total(services, app) == 1


def test_a_dead_letter_can_be_replayed_after_a_fix(services: Services, app: App) -> None:
    bad = receive(services, app, b"nothing to see")
    services.processor.process([bad])
    assert services.processor.replay(bad).dead == (bad,)
    assert [letter.report_id for letter in services.crashes.dead_letters()] == [bad]
    services.processor._parse = lambda _: services_parse(android_log())
    assert services.processor.replay(bad).stored == (bad,)
    assert not list(services.crashes.dead_letters())
    assert total(services, app) == 1


def services_parse(log: bytes):
    from chalicelib.formats import log as log_format

    return log_format.parse(log)


def receive_named(services: Services, app: App, database_id: str, cause: str) -> int:
    fields = {"database_id": database_id}
    return services.intake.receive(
        Payload(app.app_id, "hockeyapp", clock.now(), android_log(cause), fields=fields)
    )


def test_of_two_reports_with_one_database_id_the_first_is_stored(
    services: Services, app: App
) -> None:
    first, second = (receive_named(services, app, "same", cause) for cause in ("a", "b"))
    outcome = services.processor.process([first, second])
    assert (outcome.stored, outcome.duplicates) == ((first,), (second,))
    assert services.processor.process([first]).already_stored == (first,)
    assert services.processor.process([second]).gone == (second,)
    assert services.crashes.report(first).database_id == "same"
    assert total(services, app) == 1
    assert not list(services.crashes.dead_letters())


def test_of_many_reports_with_one_database_id_at_the_same_moment_one_is_stored(
    services: Services, app: App
) -> None:
    ids = [receive_named(services, app, f"id {n % 3}", f"cause{n}") for n in range(24)]

    def work(report_id: int) -> Outcome:
        return bootstrap.build(
            services.settings, services.table, services.blobs, services.queue
        ).processor.process([report_id])

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(work, ids))
    assert sum(len(outcome.stored) for outcome in outcomes) == 3
    assert sum(len(outcome.duplicates) for outcome in outcomes) == 21
    assert recount_app(services, app.app_id).differences == ()
    assert len(list(services.blobs.keys("raw/"))) == 3
    assert Index(services.table).read([])[ALL].stacks == 3  # of the others, bucketing knows nothing


def test_a_forced_report_that_comes_again_after_its_stack_was_grouped_is_stored(
    services: Services, app: App
) -> None:
    def given(name: str, **fields: str) -> int:
        fields["database_id"] = name
        body = b'{"stacktrace": [{"function": "run"}, {"function": "main"}]}'
        made = Payload(app.app_id, PARTYCRASHER, clock.now(), body, fields=fields)
        return services.intake.receive(made)

    forced, plain = given("one", force_bucket="mine"), given("two")
    stack = normalise(services.reader.report(services.crashes.payload(forced)))
    services.bucketing.assign(stack, Founder("one", app.app_id), "mine")  # and then it was killed
    assert services.processor.process([plain]).stored == (plain,)
    assert services.processor.process([forced]).stored == (forced,)
    assert recount_app(services, app.app_id).differences == ()


def test_a_deleted_payload_is_passed_over(services: Services, app: App) -> None:
    report_id = receive(services, app, android_log())
    services.blobs.delete(keys.raw_blob(report_id))
    assert services.processor.process([report_id]).gone == (report_id,)


def test_a_batch_in_which_everything_is_new_still_fits(services: Services) -> None:
    """Each crash with its own app, version, stack and group: the most a batch can hold."""
    ids = []
    for number in range(30):
        own = services.accounts.create_app(f"app {number}")
        ids.append(receive(services, own, android_log(f"cause{number}", str(number))))
    assert len(services.processor.process(ids).stored) == 30


def test_reports_without_frames_do_not_share_a_group_because_both_are_empty(
    services: Services, app: App
) -> None:
    header = "Package: de.codenauts.hockeyapp\nVersion: 1\n\n"
    for reason in ("java.lang.OutOfMemoryError", "java.lang.StackOverflowError"):
        receive(services, app, f"{header}{reason}\n".encode())
    drain(services)
    assert len(services.groups.of_app(app.app_id, Paging(), "date", True).entries) == 2


def test_deltas_do_not_pile_up_where_nobody_folds(services: Services, app: App) -> None:
    """A door that processes inline is no worker, and never idle."""
    for number in range(100):
        services.processor.process([receive(services, app, android_log(f"cause{number % 5}"))])
    assert len(services.counts.pending(app.app_id).rows) < 40
    assert total(services, app) == 100


def test_a_dump_that_somebody_took_away_is_a_dead_letter(services: Services, app: App) -> None:
    there = Payload(app.app_id, "upload", clock.now(), b"", log_key="kept/00/256.dmp")
    report_id = services.intake.receive(there)
    assert services.processor.process([report_id]).dead == (report_id,)
    (letter,) = services.crashes.dead_letters()
    assert (letter.report_id, letter.app_id, letter.door) == (report_id, app.app_id, "upload")
    assert "kept/00/256.dmp" in letter.reason


def test_a_store_of_symbols_that_fails_buries_no_crash(
    services: Services, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.symbols.source import SymbolSources

    def failing(*_: object) -> None:
        raise OSError("the disk is full")

    dump = (
        MinidumpBuilder(os="linux", cpu="amd64")
        .module("/opt/app", 0x7000_0000, 0x1_0000, build_id=bytes(range(20)))
        .thread(7, {"rip": 0x7000_1234, "rsp": 0x8000_0000}, stack=bytes(64))
        .exception(7, code=11, flags=1, address=0x45)
        .build()
    )
    report_id = services.intake.receive(Payload(app.app_id, "breakpad", clock.now(), dump))
    with monkeypatch.context() as patched:
        patched.setattr(SymbolSources, "module", failing)
        with pytest.raises(SymbolsAway):
            services.processor.process([report_id])
    assert list(services.crashes.dead_letters()) == []
    assert services.processor.process([report_id]).stored == (report_id,)


def test_a_stored_report_never_becomes_a_dead_letter_too(services: Services, app: App) -> None:
    report_id = receive(services, app, android_log())
    services.processor.process([report_id])
    services.blobs.put(keys.raw_blob(report_id), b"damaged since")
    services.processor.process([report_id])
    assert list(services.crashes.dead_letters()) == []


def test_a_batch_of_large_dumps_is_not_held_in_memory_at_once(services: Services, app: App) -> None:
    import tracemalloc

    dump = MinidumpBuilder(os="linux", cpu="amd64").thread(1, {"rip": 0x1000}).build()
    filler = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(1000)) * 312
    received = Payload(app.app_id, "breakpad", clock.now(), dump + filler)
    ids = [services.intake.receive(received) for _ in range(8)]
    size = len(received.log)
    del received, filler
    tracemalloc.start()
    try:
        assert len(services.processor.process(ids).stored) == 8
        assert tracemalloc.get_traced_memory()[1] < 4 * size
    finally:
        tracemalloc.stop()
