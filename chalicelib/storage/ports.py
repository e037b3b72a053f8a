"""The storage ports, and the values that pass through them.

Each has an AWS adapter (DynamoDB, S3, SQS, SNS) and an embedded one (SQLite, files
and the log); one contract test suite holds both to what is written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, Union

from chalicelib.errors import CrashbucketError, TryAgain

# --- table ---------------------------------------------------------------

Value: TypeAlias = Union[None, bool, int, str, bytes, Sequence["Value"], Mapping[str, "Value"]]
"""What an attribute may hold. No floats: DynamoDB's numbers are decimals."""

Item: TypeAlias = Mapping[str, Value]
"""Attributes by name. Every item has the strings `pk` and `sk`; the item is in
an index exactly when it has both of that index's attributes. `expires_at`
(seconds since 1970) makes it disappear some time after that moment."""

MAX_BATCH_ITEMS = 100  # DynamoDB's limit for TransactWriteItems and BatchGetItem
MAX_ITEM_BYTES = 400_000  # DynamoDB's limit, names and values together
MAX_PAGE_BYTES = 1_000_000  # a query answers at most this much before it gives a cursor
EXPIRES_AT = "expires_at"


@dataclass(frozen=True, slots=True)
class Key:
    pk: str
    sk: str


@dataclass(frozen=True, slots=True)
class Index:
    """A secondary index over the items that have both attributes (strings)."""

    name: str
    pk_attribute: str
    sk_attribute: str


@dataclass(frozen=True, slots=True)
class Put:
    """Write the whole item; with `if_absent`, only where none is."""

    item: Item
    if_absent: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """Change some attributes of one item, which is made if it is absent.

    `add` adds integers to counters (an absent one is 0), `set` replaces
    attributes, `remove` takes attributes away. The update happens only where
    every attribute in `require` has exactly that value (None: is absent) and,
    with `must_exist`, where the item is there. One attribute may stand in one
    of `add`, `set`, `remove` only.
    """

    key: Key
    add: Mapping[str, int] = field(default_factory=dict)
    set: Mapping[str, Value] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    require: Mapping[str, Value] = field(default_factory=dict)
    must_exist: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """Take the item away; with `must_exist`, fail where there is none.

    With `require`, only where every attribute in it has exactly that value
    (None: is absent).
    """

    key: Key
    must_exist: bool = False
    require: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """Write nothing, but fail the batch unless the item is there (or, not there)."""

    key: Key
    exists: bool = True


Operation: TypeAlias = Union[Put, Update, Delete, Check]


@dataclass(frozen=True, slots=True)
class SortRange:
    """Sort keys from `low` to `high`, both inclusive, in UTF-8 byte order."""

    low: str | None = None
    high: str | None = None

    @classmethod
    def beginning_with(cls, prefix: str) -> SortRange:
        return cls(prefix, prefix + "\U0010ffff")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a query. `cursor` is None on the last page, else opaque."""

    items: tuple[Item, ...]
    cursor: str | None = None


class ConditionFailed(CrashbucketError):
    """A condition of the batch did not hold, so none of it was written.

    `indexes` are the places, in the batch, of every operation whose condition
    failed, in rising order.
    """

    def __init__(self, indexes: Sequence[int]) -> None:
        super().__init__(f"the condition of operation {', '.join(map(str, indexes))} did not hold")
        self.indexes = tuple(indexes)


class StoreAway(TryAgain):
    """The store does not answer, refuses for its load, or has no room: try again."""


class Conflict(TryAgain):
    """Another batch held one of the items for too long; nothing was written. Try again."""


class ItemTooLarge(CrashbucketError):
    """An item would be larger than `MAX_ITEM_BYTES`; nothing was written."""


class InvalidBatch(CrashbucketError):
    """More than `MAX_BATCH_ITEMS` operations, none at all, one item named twice, or one the table
    cannot hold (a float, an integer beyond 64 bits, an empty key, a counter that is no number)."""


class InvalidCursor(CrashbucketError):
    """The cursor was not made by this query."""


class Table(Protocol):
    """Items under (pk, sk). Reads of base items are strongly consistent."""

    def get(self, key: Key) -> Item | None: ...

    def batch_get(self, keys: Sequence[Key]) -> Mapping[Key, Item]:
        """The items that exist, of at most `MAX_BATCH_ITEMS` keys (duplicates are asked once)."""
        ...

    def query(
        self,
        pk: str,
        *,
        index: Index | None = None,
        sort: SortRange = SortRange(),
        limit: int = 1000,
        descending: bool = False,
        cursor: str | None = None,
    ) -> Page:
        """At most `limit` items of one partition in sort order.

        A page may be shorter than `limit` though more follows (see
        `MAX_PAGE_BYTES`): only a `cursor` of None says that it was the last.
        Expired items are left out. An index may lag behind on DynamoDB.
        """
        ...

    def write(self, operations: Sequence[Operation]) -> None:
        """All of the operations or none, at one moment.

        Raises `ConditionFailed`, `Conflict`, `ItemTooLarge` or `InvalidBatch`.
        """
        ...


def query_all(
    table: Table,
    pk: str,
    *,
    index: Index | None = None,
    sort: SortRange = SortRange(),
    descending: bool = False,
    page_size: int = 1000,
) -> Iterator[Item]:
    """Every item of the partition, page after page."""
    cursor: str | None = None
    while True:
        page = table.query(
            pk, index=index, sort=sort, limit=page_size, descending=descending, cursor=cursor
        )
        yield from page.items
        if page.cursor is None:
            return
        cursor = page.cursor


def get_all(table: Table, wanted: Iterable[Key]) -> dict[Key, Item]:
    """The items that exist of any number of keys, `MAX_BATCH_ITEMS` a request."""
    distinct = list(dict.fromkeys(wanted))
    found: dict[Key, Item] = {}
    for start in range(0, len(distinct), MAX_BATCH_ITEMS):
        found.update(table.batch_get(distinct[start : start + MAX_BATCH_ITEMS]))
    return found


# --- blobs ---------------------------------------------------------------


class BlobExists(CrashbucketError):
    """`put(if_absent=True)` found a blob under that key."""


class BlobNotFound(CrashbucketError):
    """There is no blob under that key."""


class InvalidSignature(CrashbucketError):
    """A signed link was changed, has expired, or does not cover what is asked."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The beginning of a blob, and the blob's version: another one has another content."""

    data: bytes
    version: str


@dataclass(frozen=True, slots=True)
class SignedUpload:
    """How a client without credentials may put one blob.

    A `POST` is multipart/form-data with `fields` before the part `file`
    (S3's presigned POST); the embedded store honours the same form.
    """

    url: str
    method: str
    fields: Mapping[str, str]


class Blobs(Protocol):
    """Bytes under a key. A put is durable (survives a crash of the machine) when it returns.

    A put under a notified prefix also sends a message (S3's event JSON) to
    the intake queue: on AWS S3 does that, the embedded store does it in the
    same transaction.
    """

    def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        if_absent: bool = False,
    ) -> None: ...

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        """The bytes from `start`, at most `length` of them; `BlobNotFound` if there is none."""
        ...

    def size(self, key: str) -> int | None:
        """Size in bytes, or None when there is no such blob."""
        ...

    def fetch(self, key: str, *, length: int) -> Fetched:
        """The first `length` bytes with the blob's version; `BlobNotFound` if there is none."""
        ...

    def delete(self, key: str, *, version: str | None = None) -> None:
        """Take the blob away; no error when there is none, or not of that version any more."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key that begins with `prefix`, in UTF-8 byte order."""
        ...

    def signed_download(self, key: str, *, expires_in_s: int, filename: str | None = None) -> str:
        """A URL that gives the blob to anyone who has it, until it expires."""
        ...

    def signed_upload(self, key: str, *, max_bytes: int, expires_in_s: int) -> SignedUpload:
        """A way for anyone who has it to put this one blob, once or again, until it expires."""
        ...


# --- queue ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """A received message: `receipt` is good for this delivery only; `deliveries` counts from 1."""

    receipt: str
    body: str
    deliveries: int


class Queue(Protocol):
    """At-least-once messages. A sent message is durable when `send` returns."""

    def send(self, body: str, *, delay_s: int = 0) -> None: ...

    def receive(
        self, max_messages: int = 10, *, visibility_s: int = 60, wait_s: float = 0.0
    ) -> Sequence[Message]:
        """Up to `max_messages`, hidden from others for `visibility_s`; waits up to `wait_s`.

        A message delivered as often as the queue allows and not
        acknowledged goes to `dead_letters` instead of being given again.
        """
        ...

    def ack(self, messages: Sequence[Message]) -> None:
        """These are done. A receipt that has been overtaken by a redelivery does nothing."""
        ...

    def release(self, message: Message, *, delay_s: int = 0) -> None:
        """Give the message back, to be delivered again after `delay_s`."""
        ...

    def depth(self) -> int:
        """How many messages wait or are being worked on (about, on SQS); those sent for later
        are none of them until their time has come."""
        ...

    @property
    def dead_letters(self) -> Queue:
        """Where messages go that were delivered too often; itself a queue without one."""
        ...


# --- topic ---------------------------------------------------------------


class Topic(Protocol):
    """Where people listen: a message to whoever has subscribed."""

    def publish(self, subject: str, text: str, attributes: Mapping[str, str]) -> None:
        """A line, and the text below it; what is too long for the topic is cut.

        Subscribers may ask for messages by their `attributes`, at most ten.
        """
        ...
