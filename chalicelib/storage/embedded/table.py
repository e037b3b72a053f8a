"""The table on SQLite.

Items are msgpack in a table with a rowid: new items are appended, which at
100,000 random keys took half the time of a table clustered by key. An index
is a table of keys, clustered by the index's order.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgpack

from chalicelib.storage.away import tells_when_away
from chalicelib.storage.batches import KeyPair, checked_keys, checked_read_keys, same_value
from chalicelib.storage.cursors import decode_cursor, encode_cursor, query_digest
from chalicelib.storage.embedded.away import telling
from chalicelib.storage.embedded.database import Database
from chalicelib.storage.ports import (
    EXPIRES_AT,
    MAX_ITEM_BYTES,
    MAX_PAGE_BYTES,
    Check,
    ConditionFailed,
    Delete,
    Index,
    InvalidBatch,
    Item,
    ItemTooLarge,
    Key,
    Operation,
    Page,
    Put,
    SortRange,
    Update,
)
from chalicelib.storage.schema import INDEXES
from chalicelib.storage.sizes import item_bytes

# A msgpack byte never stands for more than four of DynamoDB's (an empty list in a list).
_SURELY_SMALL_BYTES = MAX_ITEM_BYTES // 4 - 100

SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    pk TEXT NOT NULL, sk TEXT NOT NULL, expires_at INTEGER, data BLOB NOT NULL, UNIQUE (pk, sk)
);
CREATE INDEX IF NOT EXISTS expiring ON items (expires_at) WHERE expires_at IS NOT NULL;
""" + "".join(
    f"""
CREATE TABLE IF NOT EXISTS index_{index.name} (
    ipk TEXT NOT NULL, isk TEXT NOT NULL, pk TEXT NOT NULL, sk TEXT NOT NULL,
    PRIMARY KEY (ipk, isk, pk, sk)
) WITHOUT ROWID;
"""
    for index in INDEXES
)

_GET = "SELECT data FROM items WHERE pk = ? AND sk = ? AND (expires_at IS NULL OR expires_at > ?)"
_STORE = """INSERT INTO items (pk, sk, expires_at, data) VALUES (?, ?, ?, ?)
ON CONFLICT (pk, sk) DO UPDATE SET expires_at = excluded.expires_at, data = excluded.data"""
_DELETE = "DELETE FROM items WHERE pk = ? AND sk = ?"
_EXPIRED = "SELECT pk, sk, data FROM items WHERE expires_at <= ? LIMIT ?"

_Fields = dict[str, Any]


@dataclass(slots=True)
class _Changes:
    """The rows that one batch writes."""

    stored: list[tuple[str, str, Any, bytes]] = field(default_factory=list)
    deleted: list[KeyPair] = field(default_factory=list)
    left: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    entered: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)

    def store(self, key: KeyPair, old: Item | None, new: Item) -> None:
        self.stored.append((*key, new.get(EXPIRES_AT), _packed(new)))
        self._move(key, old, new)

    def delete(self, key: KeyPair, old: Item) -> None:
        self.deleted.append(key)
        self._move(key, old, None)

    def apply(self, connection: sqlite3.Connection) -> None:
        if self.stored:
            connection.executemany(_STORE, self.stored)
        if self.deleted:
            connection.executemany(_DELETE, self.deleted)
        for name, rows in self.left.items():
            connection.executemany(
                f"DELETE FROM index_{name} WHERE ipk = ? AND isk = ? AND pk = ? AND sk = ?",  # noqa: S608 - our names
                rows,
            )
        for name, rows in self.entered.items():
            connection.executemany(f"INSERT INTO index_{name} VALUES (?, ?, ?, ?)", rows)  # noqa: S608 - our names

    def _move(self, key: KeyPair, old: Item | None, new: Item | None) -> None:
        for index in INDEXES:
            before = None if old is None else _entry(index, key, old)
            after = None if new is None else _entry(index, key, new)
            if before != after:
                if before is not None:
                    self.left.setdefault(index.name, []).append(before)
                if after is not None:
                    self.entered.setdefault(index.name, []).append(after)


@tells_when_away(telling)
class SqliteTable:
    """`ports.Table` in one SQLite file. A write that returned survives power loss."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        """`database` was opened with this module's `SCHEMA`; `clock` gives seconds since 1970."""
        self._database = database
        self._clock = clock

    def get(self, key: Key) -> Item | None:
        row = self._database.reader().execute(_GET, (key.pk, key.sk, int(self._clock()))).fetchone()
        return None if row is None else _unpacked(row[0])

    def batch_get(self, keys: Sequence[Key]) -> Mapping[Key, Item]:
        wanted = checked_read_keys(keys)
        now = self._clock()
        return {
            Key(pk, sk): _unpacked(data)
            for pk, sk, expires_at, data in _rows(self._database.reader(), wanted)
            if expires_at is None or expires_at > now
        }

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
        if limit < 1:
            raise ValueError("a page has at least one item")
        digest = query_digest(pk, index, sort, descending)
        parameters: list[object] = [pk, int(self._clock())]
        if sort.low is not None:
            parameters.append(sort.low)
        if sort.high is not None:
            parameters.append(sort.high)
        if cursor is not None:
            parameters += decode_cursor(cursor, digest, sort, 1 if index is None else 3)
        parameters.append(limit + 1)
        statement = _query_statement(
            None if index is None else index.name,
            sort.low is not None,
            sort.high is not None,
            cursor is not None,
            descending,
        )
        return _page(self._database.reader().execute(statement, parameters), limit, digest)

    def write(self, operations: Sequence[Operation]) -> None:
        keys = checked_keys(operations)
        now = self._clock()
        with self._database.transaction() as connection:
            found = {
                (pk, sk): (expires_at is None or expires_at > now, data)
                for pk, sk, expires_at, data in _rows(connection, keys)
            }
            changes = _Changes()
            failed = []
            for number, (key, operation) in enumerate(zip(keys, operations, strict=True)):
                alive, data = found.get(key, (False, None))
                if not _plan(operation, key, alive, data, changes):
                    failed.append(number)
            if failed:
                raise ConditionFailed(failed)
            changes.apply(connection)

    def purge_expired(self, limit: int = 1000) -> int:
        """Delete up to `limit` items whose time is over; how many there were."""
        with self._database.transaction(durable=False) as connection:
            changes = _Changes()
            rows = connection.execute(_EXPIRED, (int(self._clock()), limit)).fetchall()
            for pk, sk, data in rows:
                changes.delete((pk, sk), _unpacked(data))
            changes.apply(connection)
        return len(rows)


def _plan(
    operation: Operation, key: KeyPair, alive: bool, data: bytes | None, changes: _Changes
) -> bool:
    """Add what the operation writes to `changes`; False when its condition does not hold.

    `data` is there but not `alive` when the item has expired: conditions take
    it as absent, but its index entries have to go.
    """
    match operation:
        case Put(item, if_absent):
            if if_absent and alive:
                return False
            changes.store(key, None if data is None else _unpacked(data), item)
        case Update():
            if operation.must_exist and not alive:
                return False
            old = None if data is None else _unpacked(data)
            new: _Fields = dict(old) if old and alive else {"pk": key[0], "sk": key[1]}
            for name, value in operation.require.items():
                if not same_value(new.get(name), value):
                    return False
            _change(new, operation)
            changes.store(key, old, new)
        case Delete(must_exist=must_exist, require=require):
            if must_exist and not alive:
                return False
            doomed = None if data is None else _unpacked(data)
            there = doomed if doomed is not None and alive else {}
            if not all(same_value(there.get(name), value) for name, value in require.items()):
                return False
            if doomed is not None:
                changes.delete(key, doomed)
        case Check(exists=exists):
            return alive is exists
    return True


def _change(fields: _Fields, update: Update) -> None:
    for name, number in update.add.items():
        before = fields.get(name, 0)
        if type(before) is not int:
            raise InvalidBatch(f"{name}: there is no number to add to")
        fields[name] = before + number
    fields.update(update.set)
    for name in update.remove:
        fields.pop(name, None)


def _rows(connection: sqlite3.Connection, keys: Sequence[KeyPair]) -> list[tuple[Any, ...]]:
    """(pk, sk, expires_at, data) of those keys that are there, expired ones too."""
    if not keys:
        return []
    parameters = [part for key in keys for part in key]
    return connection.execute(_rows_statement(len(keys)), parameters).fetchall()


@cache
def _rows_statement(count: int) -> str:
    # One joined statement costs half of one statement for each key.
    wanted = ", ".join(["(?, ?)"] * count)
    return (
        f"SELECT i.pk, i.sk, i.expires_at, i.data FROM (VALUES {wanted}) w "  # noqa: S608 - no values
        "CROSS JOIN items i ON i.pk = w.column1 AND i.sk = w.column2"
    )


@cache
def _query_statement(
    index: str | None, low: bool, high: bool, resumed: bool, descending: bool
) -> str:
    """Selects (data, position...); parameters: pk, now, [low], [high], [position...], limit."""
    after, direction = ("<", "DESC") if descending else (">", "ASC")
    if index is None:
        position, marks, first = ["i.sk"], "?", "i.sk"
        source, partition = "items i", "i.pk"
    else:
        position, marks, first = ["x.isk", "x.pk", "x.sk"], "(?, ?, ?)", "x.isk"
        source = f"index_{index} x CROSS JOIN items i ON i.pk = x.pk AND i.sk = x.sk"
        partition = "x.ipk"
    columns = ", ".join(position)
    conditions = [f"{partition} = ?", "(i.expires_at IS NULL OR i.expires_at > ?)"]
    if low:
        conditions.append(f"{first} >= ?")
    if high:
        conditions.append(f"{first} <= ?")
    if resumed:
        conditions.append(f"({columns}) {after} {marks}")
    order = ", ".join(f"{column} {direction}" for column in position)
    return (
        f"SELECT i.data, {columns} FROM {source} "  # noqa: S608 - no values
        f"WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT ?"
    )


def _page(rows: sqlite3.Cursor, limit: int, digest: str) -> Page:
    items: list[Item] = []
    position: tuple[str, ...] = ()
    size = 0
    for data, *key in rows:
        size += len(data)
        if len(items) == limit or (items and size > MAX_PAGE_BYTES):
            rows.close()  # else the statement would go on holding its snapshot
            return Page(tuple(items), encode_cursor(digest, position))
        items.append(_unpacked(data))
        position = tuple(key)
    return Page(tuple(items))


def _entry(index: Index, key: KeyPair, item: Item) -> tuple[Any, ...] | None:
    ipk, isk = item.get(index.pk_attribute), item.get(index.sk_attribute)
    return None if ipk is None or isk is None else (ipk, isk, *key)


def _packed(item: Item) -> bytes:
    try:
        data: bytes = msgpack.packb(item)
    except (OverflowError, UnicodeEncodeError, TypeError, ValueError) as error:
        raise InvalidBatch(f"an item cannot be stored: {error}") from error
    if len(data) > _SURELY_SMALL_BYTES and (size := item_bytes(item)) > MAX_ITEM_BYTES:
        raise ItemTooLarge(f"an item of {size} bytes; the limit is {MAX_ITEM_BYTES}")
    return data


def _unpacked(data: bytes) -> _Fields:
    item: _Fields = msgpack.unpackb(data)
    return item
