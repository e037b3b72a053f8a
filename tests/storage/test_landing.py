"""Dumps that land in the store become crashes, each once, on both adapters."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest
import requests

from chalicelib import bootstrap, keys, payload
from chalicelib.bootstrap import Services
from chalicelib.config import Settings
from chalicelib.errors import NotFound
from chalicelib.landing import Landings
from chalicelib.records import App
from chalicelib.storage.aws.store import AwsStore
from chalicelib.storage.embedded.store import EmbeddedStore
from chalicelib.storage.ports import BlobNotFound, Blobs, SignedUpload, Table
from chalicelib.worker import Worker
from tests.formats.minidump.builder import MinidumpBuilder
from tests.storage import s3_policy
from tests.storage.conftest import AWS_SECRET, Clock
from tests.storage.threads import together

Store = AwsStore | EmbeddedStore


def minidump(address: int = 0x7000_1234) -> bytes:
    return (
        MinidumpBuilder(os="linux", cpu="amd64")
        .module("/opt/app/bin/app", 0x7000_0000, 0x1_0000, build_id=bytes(range(20)))
        .thread(7, {"rip": address, "rsp": 0x8000_0000}, stack=bytes(64), name="main")
        .exception(7, code=11, flags=1, address=0x45)
        .build()
    )


@pytest.fixture
def services(store: Store) -> Services:
    settings = Settings(max_dump_bytes=1_000_000)
    return bootstrap.build(settings, store.table, store.blobs, store.queue)


@pytest.fixture
def app(services: Services) -> App:
    return services.accounts.create_app("Landed")


def reports(services: Services, app: App) -> list[int]:
    return [report.report_id for report in services.crashes.of_app(app.app_id)]


def put(services: Services, app: App, data: bytes, name: str = "a.dmp") -> str:
    """As `aws s3 cp` does."""
    key = f"dumps/{app.app_id}/{name}"
    services.blobs.put(key, data)
    return key


def send(store: Store, clock: Clock, form: SignedUpload, data: bytes) -> None:
    """What a client without credentials does with a signed form."""
    if isinstance(store, EmbeddedStore):
        store.blobs.accept_upload(form.fields, data)
        return
    s3_policy.accept(form.fields, data, AWS_SECRET, clock())  # moto takes any form
    answer = requests.post(form.url, data=dict(form.fields), files={"file": data}, timeout=10)
    assert answer.status_code == 204


def test_an_upload_in_two_steps_becomes_a_crash_with_what_its_client_said(
    services: Services, app: App, store: Store, clock: Clock
) -> None:
    dump = minidump()
    said = {"prod": "App", "ver": "9.9", "guid": "g", "color": "blue"}
    begun = services.uploads.begin(app.app_id, len(dump), said)
    state = services.uploads.state
    assert state(app.app_id, begun.upload_id).state == "waiting"
    send(store, clock, begun.form, dump)
    assert state(app.app_id, begun.upload_id).state == "received"
    Worker(services).drain()
    done = state(app.app_id, begun.upload_id)
    assert (done.state, done.reason) == ("processed", None)
    assert reports(services, app) == [done.crash_id]
    assert done.crash_id is not None
    report = services.crashes.report(done.crash_id)
    assert (report.bundle_version, report.install_id, report.door) == ("9.9", "g", "upload")
    kept = services.crashes.payload(done.crash_id)
    assert (kept.log, dict(kept.annotations)) == (dump, said)
    assert list(services.blobs.keys("dumps/")) == []
    assert services.queue.depth() == 0


def test_a_dump_that_was_copied_into_the_bucket_becomes_a_crash(
    services: Services, app: App
) -> None:
    put(services, app, minidump(), "2026/ü 1+2.DMP")
    Worker(services).drain()
    (report_id,) = reports(services, app)
    received = services.crashes.payload(report_id)
    assert received.log == minidump()
    assert received.annotations == {"filename": "2026/ü 1+2.DMP"}
    assert list(services.crashes.dead_letters()) == []


def test_the_same_dump_copied_again_is_no_second_crash_and_another_one_is(
    services: Services, app: App
) -> None:
    for dump in (minidump(), minidump(), minidump(0x7000_4321), minidump()):
        put(services, app, dump)
        Worker(services).drain()
    first, second = sorted(reports(services, app))
    assert services.crashes.payload(first).log == minidump()
    assert services.crashes.payload(second).log == minidump(0x7000_4321)
    put(services, app, minidump(), "b.dmp")  # elsewhere it is another crash
    Worker(services).drain()
    assert len(reports(services, app)) == 3


def test_an_upload_is_one_crash_whatever_is_put_under_its_form_again(
    services: Services, app: App, store: Store, clock: Clock
) -> None:
    begun = services.uploads.begin(app.app_id, None, {})
    for dump in (minidump(), minidump(0x7000_4321)):
        send(store, clock, begun.form, dump)
        Worker(services).drain()
    (report_id,) = reports(services, app)
    assert services.crashes.payload(report_id).log == minidump()
    assert list(services.blobs.keys("dumps/")) == []


def test_an_event_delivered_twice_or_at_two_workers_makes_one_crash(
    services: Services, app: App
) -> None:
    key = put(services, app, minidump())
    (event,) = services.queue.receive()
    for _ in range(2):
        services.queue.send(event.body)
    together(4, lambda _: services.landings.land(key))
    Worker(services).drain()
    assert len(reports(services, app)) == 1
    assert len(list(services.blobs.keys("raw/"))) == 1
    assert len(list(services.blobs.keys("kept/"))) == 1


class Died(BaseException):
    """kill -9: nothing of the worker runs after it."""


class Dying:
    """A port whose user dies before, or right after, the n-th write to any of them."""

    def __init__(self, port: object, countdown: list[int], *, after: bool) -> None:
        self._port, self._countdown, self._after = port, countdown, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name not in {"put", "write", "delete"}:
            return method

        def writing(*args: Any, **kwargs: Any) -> Any:
            self._countdown[0] -= 1
            if self._countdown[0] == 0 and not self._after:
                raise Died
            answer = method(*args, **kwargs)
            if self._countdown[0] == 0:
                raise Died
            return answer

        return writing


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_a_worker_that_dies_at_any_write_loses_nothing_and_makes_no_second_crash(
    services: Services, app: App, store: Store, clock: Clock, after: bool, signed: bool
) -> None:
    expected = 0
    for step in range(1, 10):
        if signed:
            begun = services.uploads.begin(app.app_id, None, {"ver": str(step)})
            send(store, clock, begun.form, minidump())
            key = f"dumps/{app.app_id}/{begun.upload_id}.dmp"
        else:
            key = put(services, app, minidump(), f"{step}.dmp")
        expected += 1
        countdown = [step]
        dying = Landings(
            cast(Table, Dying(services.table, countdown, after=after)),
            cast(Blobs, Dying(services.blobs, countdown, after=after)),
            services.ids,
            1_000_000,
        )
        try:
            dying.land(key)
        except Died:
            pass
        else:
            break  # it has fewer writes
        Worker(services).drain()  # the event comes back
        assert len(reports(services, app)) == expected
        assert list(services.blobs.keys("dumps/")) == []
    else:
        raise AssertionError("it writes more often than that")
    assert step > 4  # claim, dump, payload, delete
    assert len(list(services.blobs.keys("raw/"))) == expected
    assert len(list(services.blobs.keys("kept/"))) == expected


def test_an_id_that_another_process_took_is_left_to_it(
    services: Services, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = services.ids.next()
    services.blobs.put(keys.raw_blob(taken), b"of a door")
    ids = iter([taken, services.ids.next()])
    monkeypatch.setattr(services.ids, "next", lambda: next(ids))
    key = put(services, app, minidump())
    landed = services.landings.land(key)
    assert landed not in {None, taken}
    assert services.blobs.get(keys.raw_blob(taken)) == b"of a door"
    assert services.blobs.size(key) is None


def test_a_dump_that_replaced_another_before_it_was_read_is_not_taken_away_unread(
    services: Services, app: App
) -> None:
    key = put(services, app, minidump())
    fetch = services.blobs.fetch

    class Late:
        """Somebody replaces the dump between our reading and our taking it away."""

        def __getattr__(self, name: str) -> Any:
            return getattr(services.blobs, name)

        def fetch(self, key: str, *, length: int) -> Any:
            found = fetch(key, length=length)
            services.blobs.put(key, minidump(0x7000_4321))
            return found

    late = Landings(services.table, cast(Blobs, Late()), services.ids, 1_000_000)
    late.land(key)
    Worker(services).drain()
    logs = {services.crashes.payload(report_id).log for report_id in reports(services, app)}
    assert logs == {minidump(), minidump(0x7000_4321)}


# --- what cannot become a crash ---


def dead(services: Services) -> Mapping[str | None, str]:
    return {letter.app_id: letter.reason for letter in services.crashes.dead_letters()}


def test_what_is_no_dump_is_a_dead_letter(
    services: Services, app: App, store: Store, clock: Clock
) -> None:
    begun = services.uploads.begin(app.app_id, None, {})
    send(store, clock, begun.form, b"no dump")
    Worker(services).drain()
    found = services.uploads.state(app.app_id, begun.upload_id)
    assert found.state == "failed"
    assert found.reason == dead(services)[app.app_id]
    assert "MDMP" in str(found.reason) or "minidump" in str(found.reason)


def test_an_unknown_app_is_a_dead_letter(services: Services) -> None:
    services.blobs.put("dumps/nobody/a.dmp", minidump())
    Worker(services).drain()
    assert dead(services) == {"nobody": "app nobody does not exist any more"}


def test_a_dump_above_the_limit_is_a_dead_letter_until_the_limit_is_raised(
    services: Services, app: App
) -> None:
    dump = minidump() + bytes(1_000_000)
    key = put(services, app, dump)
    Worker(services).drain()
    assert dead(services) == {app.app_id: "the dump is larger than 1000000 bytes, the limit"}
    assert services.blobs.size(key) == len(dump)
    raised = dataclasses.replace(services.settings, max_dump_bytes=2_000_000)
    anew = bootstrap.build(raised, services.table, services.blobs, services.queue)
    (letter,) = services.crashes.dead_letters()
    assert anew.processor.replay(letter.report_id).stored == (letter.report_id,)
    assert dead(services) == {}


@pytest.mark.parametrize("signed", [False, True])
def test_a_dump_that_cannot_be_landed_is_given_up_and_can_be_replayed(
    services: Services,
    app: App,
    store: Store,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    signed: bool,
) -> None:
    begun = services.uploads.begin(app.app_id, None, {"ver": "7"})
    if signed:
        send(store, clock, begun.form, minidump())
    else:
        put(services, app, minidump())
    hasty = dataclasses.replace(
        services, settings=dataclasses.replace(services.settings, visibility_s=0)
    )

    def fail(*_: object) -> int:
        raise RuntimeError("the store is away")

    with monkeypatch.context() as patched:
        patched.setattr(Landings, "land", fail)
        for _ in range(10):
            Worker(hasty).drain()
    (letter,) = services.crashes.dead_letters()
    assert "given up after" in letter.reason
    if signed:
        assert services.uploads.state(app.app_id, begun.upload_id).state == "failed"
    assert reports(services, app) == []
    services.processor.replay(letter.report_id)
    Worker(services).drain()
    assert len(reports(services, app)) == 1
    assert dead(services) == {}
    if signed:
        assert services.uploads.state(app.app_id, begun.upload_id).state == "processed"


@pytest.mark.parametrize("key", ["dumps/a.dmp", "dumps/APP/notes.txt", "dumps//a.dmp"])
def test_other_blobs_under_the_prefix_are_left_alone(
    services: Services, app: App, key: str
) -> None:
    key = key.replace("APP", app.app_id)
    if "//" not in key:
        services.blobs.put(key, minidump())
    Worker(services).drain()
    assert services.queue.depth() == 0
    assert dead(services) == {}
    assert list(services.blobs.keys("raw/")) == []


# --- the rest of a dump's life ---


def test_a_gzipped_dump_is_kept_inflated(services: Services, app: App) -> None:
    put(services, app, gzip.compress(minidump()))
    Worker(services).drain()
    (report_id,) = reports(services, app)
    assert services.blobs.get(keys.dump_blob(report_id)) == minidump()


def test_a_crash_has_the_date_at_which_its_dump_landed(services: Services, app: App) -> None:
    key = put(services, app, minidump())
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    report_id = services.landings.land(key, at)
    assert report_id is not None
    stored = payload.read_as_stored(services.blobs, keys.raw_blob(report_id))
    assert stored.received_at == at


def test_erasing_an_app_takes_its_dumps_landings_and_uploads_along(
    services: Services, app: App
) -> None:
    other = services.accounts.create_app("Other")
    for owner in (app, other):
        put(services, owner, minidump())
        put(services, owner, b"no dump", "b.dmp")
        Worker(services).drain()
        services.blobs.put(f"dumps/{owner.app_id}/notes.txt", b"x")
    begun = services.uploads.begin(app.app_id, None, {})
    assert services.eraser.erase([app.app_id])
    with pytest.raises(NotFound):
        services.uploads.state(app.app_id, begun.upload_id)
    for partition in keys.landings_of_app(app.app_id):
        assert services.table.query(partition).items == ()
    assert list(services.blobs.keys(f"dumps/{app.app_id}")) == []
    assert len(list(services.blobs.keys("kept/"))) == 2
    (kept,) = reports(services, other)
    assert services.crashes.payload(kept).log == minidump()


def test_the_payload_of_a_dump_that_is_gone_is_not_found(services: Services, app: App) -> None:
    put(services, app, minidump())
    Worker(services).drain()
    (report_id,) = reports(services, app)
    services.blobs.delete(keys.dump_blob(report_id))
    with pytest.raises(NotFound):
        services.crashes.payload(report_id)
    with pytest.raises(BlobNotFound):
        payload.read(services.blobs, keys.raw_blob(report_id))


def test_20_megabytes_are_landed_and_read_in_a_few_times_their_size(
    embedded_store: EmbeddedStore,
) -> None:
    import tracemalloc

    services = bootstrap.build(
        Settings(), embedded_store.table, embedded_store.blobs, embedded_store.queue
    )
    app = services.accounts.create_app("Large")
    filler = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(1000)) * 625
    put(services, app, minidump() + filler)
    del filler
    tracemalloc.start()
    try:
        Worker(services).drain()
        assert len(reports(services, app)) == 1
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()
