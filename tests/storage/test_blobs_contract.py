"""What every store of blobs does, on both adapters."""

from __future__ import annotations

import time
import urllib.parse
import urllib.request
from collections.abc import Callable

import pytest

from chalicelib.errors import PayloadTooLarge
from chalicelib.storage.aws.store import AwsStore
from chalicelib.storage.embedded.store import EmbeddedStore
from chalicelib.storage.events import created_objects
from chalicelib.storage.ports import (
    BlobExists,
    BlobNotFound,
    Blobs,
    InvalidSignature,
    SignedUpload,
)
from tests.storage import s3_policy
from tests.storage.conftest import AWS_SECRET, Clock
from tests.storage.threads import together

Store = AwsStore | EmbeddedStore


@pytest.mark.parametrize("size", [0, 1, 3_000, 131_072, 131_073, 3_000_000])
def test_a_blob_comes_back_as_it_was_put_whatever_its_size(blobs: Blobs, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    blobs.put("a/b.bin", data)
    assert blobs.get("a/b.bin") == data
    assert blobs.size("a/b.bin") == size


@pytest.mark.parametrize("size", [1_000, 400_000])
def test_a_part_of_a_blob_can_be_read(blobs: Blobs, size: int) -> None:
    data = bytes(index % 251 for index in range(size))
    blobs.put("part", data)
    assert blobs.get("part", start=10, length=20) == data[10:30]
    assert blobs.get("part", length=64 * 1024) == data[: 64 * 1024]
    assert blobs.get("part", start=size - 5) == data[-5:]
    assert blobs.get("part", start=size - 5, length=100) == data[-5:]


def test_a_second_put_replaces_the_first(blobs: Blobs) -> None:
    for data in (b"small", bytes(300_000), b"small again"):
        blobs.put("key", data)
        assert blobs.get("key") == data


def test_a_put_if_absent_finds_what_is_there(blobs: Blobs) -> None:
    blobs.put("key", b"first", if_absent=True)
    for data in (b"second", bytes(300_000)):
        with pytest.raises(BlobExists):
            blobs.put("key", data, if_absent=True)
    assert blobs.get("key") == b"first"


def test_of_many_puts_if_absent_one_wins(blobs: Blobs) -> None:
    won: list[int] = []

    def work(number: int) -> None:
        try:
            blobs.put("contended", b"%d" % number, if_absent=True)
        except BlobExists:
            return
        won.append(number)

    together(8, work)
    assert [b"%d" % number for number in won] == [blobs.get("contended")]


def test_what_is_not_there_is_not_found_and_deleting_it_is_no_error(blobs: Blobs) -> None:
    blobs.delete("nothing")
    assert blobs.size("nothing") is None
    with pytest.raises(BlobNotFound):
        blobs.get("nothing")
    blobs.put("something", bytes(300_000))
    blobs.delete("something")
    with pytest.raises(BlobNotFound):
        blobs.get("something")


def test_keys_are_listed_by_prefix_in_order(blobs: Blobs) -> None:
    wanted = ["a/1", "a/10", "a/2", "a/ä", "a/漢字 and blank"]
    for key in (*reversed(wanted), "b/1", "aa"):
        blobs.put(key, b"x")
    assert list(blobs.keys("a/")) == sorted(wanted, key=str.encode)
    assert blobs.get("a/漢字 and blank") == b"x"


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_put_under_a_notified_prefix_is_a_message_and_no_other_is(
    store: Store, size: int
) -> None:
    store.blobs.put("raw/ab/ü 1+2", bytes(size))
    store.blobs.put("elsewhere/1", b"x")
    store.blobs.put("dumps/app/a.dmp", bytes(size))
    messages = [message for _ in range(3) for message in store.queue.receive(10)]
    created = [entry for message in messages for entry in created_objects(message.body)]
    assert {entry.key for entry in created} == {"raw/ab/ü 1+2", "dumps/app/a.dmp"}
    assert len(created) == 2
    for entry in created:
        assert entry.at is not None
        assert abs(entry.at.timestamp() - time.time()) < 60


def test_a_refused_put_sends_no_message(store: Store) -> None:
    store.blobs.put("raw/1", b"first", if_absent=True)
    with pytest.raises(BlobExists):
        store.blobs.put("raw/1", b"second", if_absent=True)
    keys = [
        created.key
        for _ in range(3)
        for message in store.queue.receive(10)
        for created in created_objects(message.body)
    ]
    assert keys == ["raw/1"]


@pytest.mark.parametrize("size", [0, 10, 300_000])
def test_a_fetched_blob_is_deleted_unless_it_was_replaced_meanwhile(
    blobs: Blobs, size: int
) -> None:
    blobs.put("key", bytes(size))
    fetched = blobs.fetch("key", length=1_000_000)
    assert fetched.data == bytes(size)
    blobs.put("key", b"x" * size + b"x")
    blobs.delete("key", version=fetched.version)
    assert blobs.size("key") == size + 1
    blobs.delete("key", version=blobs.fetch("key", length=1).version)
    assert blobs.size("key") is None
    blobs.delete("key", version=fetched.version)
    with pytest.raises(BlobNotFound):
        blobs.fetch("key", length=1)


@pytest.mark.parametrize("size", [1_000, 300_000])
def test_of_a_blob_no_more_is_fetched_than_asked_for(blobs: Blobs, size: int) -> None:
    blobs.put("key", bytes(range(200)) * (size // 200))
    assert blobs.fetch("key", length=150).data == bytes(range(150))


# --- signed links ---


def download(store: Store, url: str) -> bytes:
    """What a stranger gets with the link."""
    if isinstance(store, EmbeddedStore):
        query = dict(urllib.parse.parse_qsl(url.partition("?")[2], keep_blank_values=True))
        return store.blobs.open_download(query).data
    with urllib.request.urlopen(url) as answer:
        return bytes(answer.read())


def upload(
    store: Store, clock: Clock, form: SignedUpload, data: bytes, fields: dict[str, str]
) -> str:
    """What happens to a stranger's upload with the form's fields."""
    if isinstance(store, EmbeddedStore):
        return store.blobs.accept_upload(fields, data)
    key = s3_policy.accept(fields, data, AWS_SECRET, clock())
    store.blobs.put(key, data)
    return key


REFUSALS = (InvalidSignature, PayloadTooLarge, s3_policy.Refused)


@pytest.mark.parametrize("size", [5, 300_000])
def test_a_signed_download_gives_the_blob_to_whoever_has_it(
    embedded_store: EmbeddedStore, size: int
) -> None:
    embedded_store.blobs.put("key", bytes(size))
    url = embedded_store.blobs.signed_download("key", expires_in_s=60, filename="crash ü.log")
    assert download(embedded_store, url) == bytes(size)


def test_an_embedded_link_that_expired_or_was_changed_is_refused(
    embedded_store: EmbeddedStore, clock: Clock
) -> None:
    embedded_store.blobs.put("key", b"x")
    embedded_store.blobs.put("other", b"secret")
    url = embedded_store.blobs.signed_download("key", expires_in_s=60)
    for changed in (
        url.replace("key=key", "key=other"),
        url.replace("expires=1", "expires=2"),
        url.replace("signature=", "signature=0"),
        url.partition("?")[0] + "?key=other",
    ):
        with pytest.raises(InvalidSignature):
            download(embedded_store, changed)
    clock.advance(61)
    with pytest.raises(InvalidSignature):
        download(embedded_store, url)


def test_an_s3_link_is_signed_for_its_key_and_its_time(aws_store: AwsStore) -> None:
    aws_store.blobs.put("key", b"x")
    url = urllib.parse.urlsplit(
        aws_store.blobs.signed_download("key", expires_in_s=60, filename="crash.log")
    )
    query = dict(urllib.parse.parse_qsl(url.query))
    assert url.path.endswith("/key")
    assert query["X-Amz-Expires"] == "60"
    assert query["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert "crash.log" in query["response-content-disposition"]


def test_a_signed_upload_puts_the_one_blob(store: Store, clock: Clock) -> None:
    form = store.blobs.signed_upload("raw/in/1", max_bytes=1000, expires_in_s=60)
    assert form.method == "POST"
    assert upload(store, clock, form, bytes(1000), dict(form.fields)) == "raw/in/1"
    assert store.blobs.size("raw/in/1") == 1000


@pytest.mark.parametrize(
    "spoil",
    [
        lambda fields: fields | {"key": "raw/in/2"},
        lambda fields: {name: value[::-1] for name, value in fields.items()} | {"key": "raw/in/1"},
        lambda fields: {
            name: ("0" * 64 if "signature" in name else value) for name, value in fields.items()
        },
    ],
    ids=["another key", "everything else", "the signature"],
)
def test_a_changed_upload_form_is_refused(
    store: Store, clock: Clock, spoil: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    form = store.blobs.signed_upload("raw/in/1", max_bytes=1000, expires_in_s=60)
    with pytest.raises((*REFUSALS, ValueError)):
        upload(store, clock, form, b"x", spoil(dict(form.fields)))
    assert list(store.blobs.keys("raw/")) == []


def test_an_upload_that_is_too_large_or_too_late_is_refused(store: Store, clock: Clock) -> None:
    form = store.blobs.signed_upload("raw/in/1", max_bytes=1000, expires_in_s=60)
    with pytest.raises(REFUSALS):
        upload(store, clock, form, bytes(1001), dict(form.fields))
    clock.advance(61)
    with pytest.raises(REFUSALS):
        upload(store, clock, form, b"x", dict(form.fields))
    assert list(store.blobs.keys("raw/")) == []


def test_large_blobs_leave_no_file_behind(embedded_store: EmbeddedStore, clock: Clock) -> None:
    for _ in range(3):
        embedded_store.blobs.put("key", bytes(300_000))
    embedded_store.blobs.delete("key")
    clock.advance(10_000_000)
    assert embedded_store.blobs.remove_orphans(older_than_s=0) == 0
