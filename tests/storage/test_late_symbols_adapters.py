"""Symbols that come late, over DynamoDB, S3 and SQS."""

from __future__ import annotations

import time as real
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from chalicelib import clock
from chalicelib.config import Settings
from chalicelib.storage.aws.store import AwsStore
from tests import late_symbols
from tests.disturbances import READS, WRITES, die
from tests.late_symbols import BUILDS, Clock, World

A, B, _, _ = BUILDS


class RealTime(Clock):
    """moto has no clock to turn."""

    def __call__(self) -> float:
        return real.time()

    def moment(self) -> datetime:
        return datetime.now(UTC)

    def let_pass(self, seconds: float) -> None:
        real.sleep(seconds)


@pytest.fixture
def world(aws_store: AwsStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    time = RealTime()
    monkeypatch.setattr(clock, "now", time.moment)
    monkeypatch.setattr(late_symbols, "KNOWN_S", 0)
    settings = Settings(visibility_s=1)
    store = aws_store
    return World(store.table, store.blobs, store.queue, time, settings=settings, idle_rounds=1)


def rest(world: World) -> None:
    world.come_to_rest()
    differences = world.differences()
    assert not differences, "\n".join(differences)


def test_crashes_are_named_as_symbols_come_whatever_happens_meanwhile(world: World) -> None:
    app, other = world.apps
    for place in range(3):
        world.crash(app, [(A, place), (B, place)], version=str(place))
        world.crash(other, [(A, place)])
    world.step(0)
    world.symbols_arrive(0, None, A)
    world.step(0)
    armed = world.processes[0].disturbance
    armed.arm(20, lambda: world.erase(1, other), counted=READS | WRITES)
    world.step(0)
    world.crash(app, [(A, 1), (B, 1)])
    world.processes[0].disturbance.arm(4, die, after=True)
    world.step(0)
    world.symbols_arrive(0, app, B)
    rest(world)
    groups = world.processes[0].services.crashes.of_app(app.app_id)
    assert {report.signature for report in groups} == {"Aa::part0", "Aa::part1"}
