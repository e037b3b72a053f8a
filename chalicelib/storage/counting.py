"""Ports that count what passes through them, in DynamoDB's units.

The cost model is measured with these over the embedded store. Source of the
arithmetic: Amazon DynamoDB Developer Guide, "DynamoDB read and write operations".
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from chalicelib.storage.batches import checked_keys, checked_read_keys, needs_transaction
from chalicelib.storage.ports import (
    Blobs,
    Check,
    ConditionFailed,
    Delete,
    Fetched,
    Index,
    Item,
    Key,
    Message,
    Operation,
    Page,
    Put,
    Queue,
    SignedUpload,
    SortRange,
    Table,
    Update,
)
from chalicelib.storage.schema import INDEXES
from chalicelib.storage.sizes import item_bytes

_READ_UNIT_BYTES = 4096
_WRITE_UNIT_BYTES = 1024
_STORED_BYTES = 100  # that DynamoDB charges on top for each item, in the table and in an index
BASE = "table"
"""Stands for the table itself where an index's name could stand."""


@dataclass(frozen=True, slots=True)
class TableCounts:
    """What was asked of a table.

    `read_units` and `write_units` are what DynamoDB would charge; `stored_bytes`
    is how much larger what it charges for storage has become, indexes included;
    `writes_per_key` and `write_units_per_key` go by (index name or `BASE`,
    partition key): 1,000 write units a second is DynamoDB's limit for one.
    """

    read_requests: int = 0
    items_read: int = 0
    bytes_read: int = 0
    read_units: float = 0.0
    write_requests: int = 0
    items_written: int = 0
    bytes_written: int = 0
    write_units: int = 0
    stored_bytes: int = 0
    failed_writes: int = 0
    writes_per_key: Counter[tuple[str, str]] = field(default_factory=Counter)
    write_units_per_key: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class BlobCounts:
    """What was asked of the blobs; `writes_per_key` goes by a key's first part."""

    puts: int = 0
    gets: int = 0
    sizes: int = 0
    deletes: int = 0
    lists: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    writes_per_key: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """What was asked of a queue, in messages; `requests` are calls that moved or looked for any."""

    requests: int = 0
    sent: int = 0
    received: int = 0
    acked: int = 0
    released: int = 0
    bytes_read: int = 0
    bytes_written: int = 0


_Counts = TypeVar("_Counts")


class _Counting(Generic[_Counts]):
    """Numbers by the names of the fields of a counts class."""

    def __init__(self, kind: type[_Counts]) -> None:
        self._kind = kind
        self._lock = threading.Lock()
        self.reset()

    def snapshot(self) -> _Counts:
        """The counts since the last reset."""
        with self._lock:
            keyed: dict[str, Any] = {name: counts.copy() for name, counts in self._keyed.items()}
            return self._kind(**self._numbers, **keyed)

    def reset(self) -> None:
        """Begin again at zero."""
        with self._lock:
            self._numbers: defaultdict[str, Any] = defaultdict(int)
            self._keyed: defaultdict[str, Counter[Any]] = defaultdict(Counter)

    def _add(self, **numbers: float) -> None:
        with self._lock:
            for name, number in numbers.items():
                self._numbers[name] += number

    def _add_to(self, name: str, key: object, number: int) -> None:
        with self._lock:
            self._keyed[name][key] += number


class CountingTable(_Counting[TableCounts]):
    """`ports.Table` that counts. It reads an item before writing it, uncounted: what an index
    write costs depends on what was there."""

    def __init__(self, inner: Table) -> None:
        super().__init__(TableCounts)
        self._inner = inner

    def get(self, key: Key) -> Item | None:
        item = self._inner.get(key)
        found = [item] if item is not None else []
        self._count_read(found, float(_read_units(item_bytes(item) if item is not None else 0)))
        return item

    def batch_get(self, keys: Sequence[Key]) -> Mapping[Key, Item]:
        found = self._inner.batch_get(keys)
        absent = len(checked_read_keys(keys)) - len(found)
        units = absent + sum(_read_units(item_bytes(item)) for item in found.values())
        self._count_read(list(found.values()), float(units))
        return found

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
        page = self._inner.query(
            pk, index=index, sort=sort, limit=limit, descending=descending, cursor=cursor
        )
        # A query is rounded up once, not for each item; an index cannot be strongly consistent.
        units = _read_units(sum(map(item_bytes, page.items)))
        self._count_read(page.items, units / 2 if index is not None else float(units))
        return page

    def write(self, operations: Sequence[Operation]) -> None:
        keys = [Key(*key) for key in checked_keys(operations)]
        before = self._inner.batch_get(keys)
        try:
            self._inner.write(operations)
        except ConditionFailed:
            self._add(write_requests=1, failed_writes=1)
            raise
        self._add(write_requests=1)
        price = 2 if needs_transaction(operations) else 1
        for key, operation in zip(keys, operations, strict=True):
            old = before.get(key)
            self._count_write(key, old, _after(operation, old), price)

    def _count_read(self, items: Sequence[Item], units: float) -> None:
        self._add(
            read_requests=1,
            items_read=len(items),
            bytes_read=sum(map(item_bytes, items)),
            read_units=units,
        )

    def _count_write(self, key: Key, old: Item | None, new: Item | None, price: int) -> None:
        old_bytes = item_bytes(old) if old is not None else 0
        new_bytes = item_bytes(new) if new is not None else 0
        units = price * _write_units(max(old_bytes, new_bytes))
        self._add(items_written=1, bytes_written=new_bytes)
        self._charge((BASE, key.pk), units)
        if old == new:
            return
        self._add(stored_bytes=_stored_bytes(new) - _stored_bytes(old))
        for index in INDEXES:
            left, entered = _entry(index, old), _entry(index, new)
            if left is not None and left != entered:
                self._charge((index.name, left[0]), _write_units(old_bytes))
            if entered is not None:
                size = max(old_bytes, new_bytes) if left == entered else new_bytes
                self._charge((index.name, entered[0]), _write_units(size))

    def _charge(self, partition: tuple[str, str], units: int) -> None:
        self._add(write_units=units)
        self._add_to("writes_per_key", partition, 1)
        self._add_to("write_units_per_key", partition, units)


class CountingBlobs(_Counting[BlobCounts]):
    """`ports.Blobs` that counts. Signed links go past it."""

    def __init__(self, inner: Blobs) -> None:
        super().__init__(BlobCounts)
        self._inner = inner

    def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        if_absent: bool = False,
    ) -> None:
        self._inner.put(key, data, content_type=content_type, if_absent=if_absent)
        self._add(puts=1, bytes_written=len(data))
        self._add_to("writes_per_key", key.partition("/")[0], 1)

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        data = self._inner.get(key, start=start, length=length)
        self._add(gets=1, bytes_read=len(data))
        return data

    def size(self, key: str) -> int | None:
        self._add(sizes=1)
        return self._inner.size(key)

    def fetch(self, key: str, *, length: int) -> Fetched:
        fetched = self._inner.fetch(key, length=length)
        self._add(gets=1, bytes_read=len(fetched.data))
        return fetched

    def delete(self, key: str, *, version: str | None = None) -> None:
        self._inner.delete(key, version=version)
        self._add(deletes=1)

    def keys(self, prefix: str) -> Iterator[str]:
        self._add(lists=1)
        return self._inner.keys(prefix)

    def signed_download(self, key: str, *, expires_in_s: int, filename: str | None = None) -> str:
        return self._inner.signed_download(key, expires_in_s=expires_in_s, filename=filename)

    def signed_upload(self, key: str, *, max_bytes: int, expires_in_s: int) -> SignedUpload:
        return self._inner.signed_upload(key, max_bytes=max_bytes, expires_in_s=expires_in_s)


class CountingQueue(_Counting[QueueCounts]):
    """`ports.Queue` that counts. Its dead letters are the inner queue's, uncounted."""

    def __init__(self, inner: Queue) -> None:
        super().__init__(QueueCounts)
        self._inner = inner

    def send(self, body: str, *, delay_s: int = 0) -> None:
        self._inner.send(body, delay_s=delay_s)
        self._add(requests=1, sent=1, bytes_written=len(body.encode()))

    def receive(
        self, max_messages: int = 10, *, visibility_s: int = 60, wait_s: float = 0.0
    ) -> Sequence[Message]:
        messages = self._inner.receive(max_messages, visibility_s=visibility_s, wait_s=wait_s)
        size = sum(len(message.body.encode()) for message in messages)
        self._add(requests=1, received=len(messages), bytes_read=size)
        return messages

    def ack(self, messages: Sequence[Message]) -> None:
        self._inner.ack(messages)
        self._add(requests=1, acked=len(messages))

    def release(self, message: Message, *, delay_s: int = 0) -> None:
        self._inner.release(message, delay_s=delay_s)
        self._add(requests=1, released=1)

    def depth(self) -> int:
        return self._inner.depth()

    @property
    def dead_letters(self) -> Queue:
        return self._inner.dead_letters


def _after(operation: Operation, old: Item | None) -> Item | None:
    match operation:
        case Put(item=item):
            return item
        case Update(key=key, add=add, set=changed, remove=remove):
            new: dict[str, Any] = dict(old) if old is not None else {"pk": key.pk, "sk": key.sk}
            for name, number in add.items():
                new[name] = new.get(name, 0) + number
            new.update(changed)
            return {name: value for name, value in new.items() if name not in remove}
        case Delete():
            return None
        case Check():
            return old


def _entry(index: Index, item: Item | None) -> tuple[str, str] | None:
    if item is None or index.pk_attribute not in item or index.sk_attribute not in item:
        return None
    return str(item[index.pk_attribute]), str(item[index.sk_attribute])


def _stored_bytes(item: Item | None) -> int:
    if item is None:
        return 0
    copies = 1 + sum(_entry(index, item) is not None for index in INDEXES)
    return copies * (item_bytes(item) + _STORED_BYTES)


def _read_units(size: int) -> int:
    return max(1, -(-size // _READ_UNIT_BYTES))


def _write_units(size: int) -> int:
    return max(1, -(-size // _WRITE_UNIT_BYTES))
