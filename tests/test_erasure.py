"""Erasing an app's reports leaves nothing of them, in the table or among the blobs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chalicelib import clock, keys
from chalicelib.bootstrap import Services
from chalicelib.payload import Attachment, Payload
from chalicelib.records import App
from chalicelib.storage.embedded.store import open_store
from chalicelib.worker import Worker
from tests.crashes import android_log, receive
from tests.formats.minidump.builder import MinidumpBuilder
from tests.late_symbols import BUILDS, Clock, World

BUILD = bytes(range(20))


def minidump(function: int, filler: int = 0) -> bytes:
    """A crash in a module without symbols."""
    return (
        MinidumpBuilder(os="linux", cpu="amd64")
        .module("/opt/app/bin/app", 0x7000_0000, 0x1_0000, build_id=BUILD)
        .thread(7, {"rip": 0x7000_0000 + function, "rsp": 0x8000_0000}, stack=bytes(64))
        .exception(7, code=11, flags=1, address=0x45)
        .build()
    ) + bytes(filler)


def everything(data: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(data / "table.db")) as table:
        return set(table.execute("SELECT pk, sk FROM items"))


@pytest.fixture
def data(services: Services, tmp_path: Path) -> Path:
    assert services.settings.store == "embedded"
    return tmp_path / "data"


def crashes_of_every_kind(services: Services, app: App) -> list[int]:
    """Minidumps by several ways, with all that is kept of them, a log, and dead letters."""
    posted = [
        services.intake.receive(
            Payload(
                app.app_id, "omaha", clock.now(), minidump(function, 5_000_000), b"it broke",
                {"database_id": f"{app.app_id}-{function}", "user": "jo"},
                (Attachment("log", "a.log", "text/plain", 3, b"abc"),), {"ver": "1"},
            )
        )
        for function in (16, 32)
    ]  # fmt: skip
    services.blobs.put(keys.landing_blob(app.app_id, "a.dmp"), minidump(48))
    services.blobs.put(keys.landing_blob(app.app_id, "b.dmp"), b"no dump")
    begun = services.uploads.begin(app.app_id, None, {"secret": "annotation"})
    services.blobs.put(keys.landing_blob(app.app_id, f"{begun.upload_id}.dmp"), minidump(64))
    services.uploads.begin(app.app_id, None, {"never": "sent"})
    posted.append(services.intake.receive(Payload(app.app_id, "breakpad", clock.now(), b"damaged")))
    receive(services, app, android_log())
    Worker(services).drain()
    for report_id in posted[:2]:
        services.feedback.add(report_id, "it broke", "badly")
        assert services.downloads.open(report_id, "minidump").url  # which makes a copy
    assert services.missing_symbols.of_app(app.app_id)
    assert len(list(services.crashes.dead_letters())) >= 2
    return posted


def test_nothing_of_an_apps_reports_is_left(services: Services, app: App, data: Path) -> None:
    before = everything(data)
    crashes_of_every_kind(services, app)
    assert len({key.partition("/")[0] for key in services.blobs.keys("")}) >= 3
    assert services.eraser.erase([app.app_id])
    assert everything(data) - before == set()
    assert list(services.blobs.keys("")) == []


def test_the_reports_of_other_apps_stay_as_they_are(
    services: Services, app: App, data: Path
) -> None:
    other = services.accounts.create_app("Other")
    crashes_of_every_kind(services, other)
    before, blobs = everything(data), list(services.blobs.keys(""))
    missing = services.missing_symbols.of_app(other.app_id)
    crashes_of_every_kind(services, app)
    assert services.eraser.erase([app.app_id])
    # Terms of stacks that both have are counted by chance: what they say is not compared.
    assert everything(data) == before
    assert list(services.blobs.keys("")) == blobs
    assert services.missing_symbols.of_app(other.app_id) == missing


def test_what_is_left_of_groups_that_are_not_settled_goes_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Clock()
    monkeypatch.setattr(clock, "now", time.moment)
    store = open_store(tmp_path, clock=time)
    world = World(store.table, store.blobs, store.queue, time)
    before = everything(tmp_path)
    for place in range(6):
        world.crash(world.apps[0], [(BUILDS[0], place), (BUILDS[1], place)])
    world.step(0)
    world.symbols_arrive(0, world.apps[0], BUILDS[0])
    world.step(0)
    world.step(0)
    left = keys.left_stack(world.apps[0].app_id, "").sk
    assert any(sk.startswith(left) for _, sk in everything(tmp_path))
    world.erase(0, world.apps[0])
    assert everything(tmp_path) - before == set()
    world.come_to_rest()
    assert everything(tmp_path) - before == set()
    store.close()


def test_what_was_decided_about_the_app_stays_and_its_webhooks(
    services: Services, app: App
) -> None:
    hook = services.webhooks.create("https://hooks.example.com/", app_id=app.app_id)
    decided: dict[str, object] = {"stored_per_minute": 7, "retention_days": 3, "alerts": ["spike"]}
    services.policies.change(app.app_id, decided)
    known = services.accounts.app(app.app_id)
    receive(services, app, android_log())
    Worker(services).drain()
    services.eraser.erase([app.app_id])
    assert services.policies.decided(app.app_id) == decided
    assert services.webhooks.listed(app.app_id) == [hook]
    assert services.accounts.app(app.app_id) == known
    assert [it.retention_days for it in services.accounts.apps()] == [3]


def test_symbols_stay_with_the_app(services: Services, app: App) -> None:
    from tests.symbols.samples import APP_SYM

    services.symbols.add(APP_SYM, app_id=app.app_id, filename="app.sym")
    services.eraser.erase([app.app_id])
    assert services.symbols.files(app.app_id).total == 1
