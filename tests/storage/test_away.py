"""What the adapters say of a store that is busy, full or out of reach: try again."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from chalicelib.storage.away import tells_when_away
from chalicelib.storage.aws.dynamodb import DynamoTable
from chalicelib.storage.aws.s3 import S3Blobs
from chalicelib.storage.aws.sqs import SqsQueue
from chalicelib.storage.embedded.away import telling
from chalicelib.storage.embedded.store import open_store
from chalicelib.storage.ports import Key, Put, StoreAway

_ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=0.2, read_timeout=0.2)
_KEYS = {
    "region_name": "us-east-1",
    "aws_access_key_id": "x",
    "aws_secret_access_key": "x",
    "config": _ONCE,
}


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ProvisionedThroughputExceededException", 400),
        ("ThrottlingException", 400),
        ("RequestLimitExceeded", 400),
        ("InternalServerError", 500),
    ],
)
def test_a_throttled_or_failing_dynamodb_is_away(code: str, status: int) -> None:
    client = boto3.client("dynamodb", **_KEYS)  # type: ignore[call-overload]
    table = DynamoTable(client, "t", sleep=lambda _: None)
    with Stubber(client) as stub:
        for method in ("get_item", "batch_get_item", "query"):
            stub.add_client_error(method, code, http_status_code=status)
        with pytest.raises(StoreAway):
            table.get(Key("a", "b"))
        with pytest.raises(StoreAway):
            table.batch_get([Key("a", "b")])
        with pytest.raises(StoreAway):
            table.query("a")


def test_a_mistake_of_ours_is_no_store_that_is_away() -> None:
    client = boto3.client("dynamodb", **_KEYS)  # type: ignore[call-overload]
    with Stubber(client) as stub:
        stub.add_client_error("get_item", "AccessDeniedException", http_status_code=400)
        with pytest.raises(ClientError):
            DynamoTable(client, "t").get(Key("a", "b"))


def test_services_that_cannot_be_reached_are_away() -> None:
    nowhere = {**_KEYS, "endpoint_url": "http://127.0.0.1:9"}
    table = DynamoTable(boto3.client("dynamodb", **nowhere), "t")  # type: ignore[call-overload]
    blobs = S3Blobs(boto3.client("s3", **nowhere), "b")  # type: ignore[call-overload]
    queue = SqsQueue(boto3.client("sqs", **nowhere), "http://127.0.0.1:9/q")  # type: ignore[call-overload]
    with pytest.raises(StoreAway):
        table.write([Put({"pk": "a", "sk": "b"})])
    with pytest.raises(StoreAway):
        blobs.put("raw/1", b"x")
    with pytest.raises(StoreAway):
        list(blobs.keys("raw/"))
    with pytest.raises(StoreAway):
        queue.send("x")


def test_a_slowed_down_s3_is_away() -> None:
    client = boto3.client("s3", **_KEYS)  # type: ignore[call-overload]
    with Stubber(client) as stub:
        stub.add_client_error("get_object", "SlowDown", http_status_code=503)
        with pytest.raises(StoreAway):
            S3Blobs(client, "b").get("raw/1")


def test_a_full_disk_is_a_store_that_is_away(tmp_path: Path) -> None:
    """SQLite is told that the file must not grow: it says what it says of a full disk."""
    store = open_store(tmp_path / "data")
    item = {"pk": "a", "sk": "b", "data": "x" * 300_000}
    store.table.write([Put({**item, "sk": "first"})])
    connection = store.table._database._writer_handle().connection
    connection.execute("PRAGMA max_page_count = 1")  # SQLite takes the pages there are instead
    with pytest.raises(StoreAway, match="full"):
        for number in range(20):
            store.table.write([Put({**item, "sk": str(number)})])
    connection.execute("PRAGMA max_page_count = 1000000")
    store.table.write([Put(item)])
    assert store.table.get(Key("a", "b")) == item
    store.close()


@tells_when_away(telling)
class _Failing:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def call(self) -> None:
        raise self._error

    def keys(self) -> Iterator[str]:
        yield "first"
        raise self._error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_files_that_cannot_be_written_are_away(number: int) -> None:
    failing = _Failing(OSError(number, "no"))
    with pytest.raises(StoreAway):
        failing.call()
    keys = failing.keys()
    assert next(keys) == "first"
    with pytest.raises(StoreAway):
        next(keys)


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "no"), sqlite3.OperationalError("no such table")]
)
def test_what_no_other_try_mends_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)):
        _Failing(error).call()
