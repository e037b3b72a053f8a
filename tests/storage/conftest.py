"""Both adapters of each port, under one clock that a test can turn."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from chalicelib.storage.aws.store import AwsClients, AwsStore, create_clients, create_store
from chalicelib.storage.embedded.store import EmbeddedStore, open_store
from chalicelib.storage.ports import Blobs, Queue, Table

AWS_SECRET = "testing-secret"
_store_numbers = itertools.count(1)


@dataclass
class Clock:
    """The real time, moved forward as far as a test says."""

    offset_s: float = field(default=0.0)

    def __call__(self) -> float:
        return time.time() + self.offset_s

    def advance(self, seconds: float) -> None:
        self.offset_s += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def embedded_store(tmp_path: Path, clock: Clock) -> Iterator[EmbeddedStore]:
    store = open_store(tmp_path / "data", clock=clock, max_deliveries=3)
    yield store
    store.close()


@pytest.fixture(scope="module")
def aws_clients() -> Iterator[AwsClients]:
    """Clients of a moto that lives as long as the module; making them takes half a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", AWS_SECRET)
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        patch.delenv("AWS_PROFILE", raising=False)
        with mock_aws(config={"core": {"mock_credentials": False}}):
            clients = create_clients("us-east-1")
            every = (clients.dynamodb, clients.s3, clients.sqs)
            one_by_one(*every)
            yield clients
            for client in every:
                client.close()


@pytest.fixture
def aws_store(aws_clients: AwsClients, clock: Clock) -> AwsStore:
    name = f"crashbucket-{next(_store_numbers)}"
    store = create_store(name, clients=aws_clients, max_deliveries=3, clock=clock)
    store.queue.ack(store.queue.receive())  # the test event that S3 sends first
    return store


@pytest.fixture(params=["embedded", "aws"])
def store(request: pytest.FixtureRequest) -> AwsStore | EmbeddedStore:
    chosen: AwsStore | EmbeddedStore = request.getfixturevalue(f"{request.param}_store")
    return chosen


@pytest.fixture
def table(store: AwsStore | EmbeddedStore) -> Table:
    return store.table


@pytest.fixture
def blobs(store: AwsStore | EmbeddedStore) -> Blobs:
    return store.blobs


@pytest.fixture
def queue(store: AwsStore | EmbeddedStore) -> Queue:
    return store.queue


def let_pass(store: AwsStore | EmbeddedStore, clock: Clock, seconds: float) -> None:
    """Time passes for the store: moto has no clock to turn, so there it really passes."""
    if isinstance(store, AwsStore):
        time.sleep(seconds + 0.05)
    else:
        clock.advance(seconds + 0.05)


def one_by_one(*clients: Any) -> None:
    """Make each request one moment, as AWS does; moto's own handlers know no threads."""
    lock = threading.Lock()

    def guarded(call: Callable[..., Any]) -> Callable[..., Any]:
        def make_api_call(*arguments: Any) -> Any:
            with lock:
                return call(*arguments)

        return make_api_call

    for client in clients:
        client._make_api_call = guarded(client._make_api_call)
