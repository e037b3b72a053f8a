"""What both table adapters refuse, and how they decide a condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chalicelib.storage.ports import (
    EXPIRES_AT,
    MAX_BATCH_ITEMS,
    Delete,
    InvalidBatch,
    Item,
    Key,
    Operation,
    Put,
    Update,
    Value,
)
from chalicelib.storage.schema import INDEXES
from chalicelib.storage.sizes import value_bytes

MAX_PK_BYTES = 2048  # DynamoDB's limits for the two parts of a key
MAX_SK_BYTES = 1024

_INDEX_ATTRIBUTES = {
    **{index.pk_attribute: MAX_PK_BYTES for index in INDEXES},
    **{index.sk_attribute: MAX_SK_BYTES for index in INDEXES},
}
_SCALARS = frozenset({str, int, bytes, bool, type(None)})
_KEY_ATTRIBUTES = frozenset({"pk", "sk"})

KeyPair = tuple[str, str]


def checked_keys(operations: Sequence[Operation]) -> list[KeyPair]:
    """The key of every operation; `InvalidBatch` where the batch cannot be written as it is."""
    if not 0 < len(operations) <= MAX_BATCH_ITEMS:
        raise InvalidBatch(f"{len(operations)} operations; a batch has 1 to {MAX_BATCH_ITEMS}")
    keys = [_checked_key(operation) for operation in operations]
    if len(set(keys)) != len(keys):
        raise InvalidBatch("a batch names one item twice")
    return keys


def checked_read_keys(keys: Sequence[Key]) -> list[KeyPair]:
    """The distinct keys of a batch read; `InvalidBatch` for more than `MAX_BATCH_ITEMS`."""
    distinct = list(dict.fromkeys((key.pk, key.sk) for key in keys))
    if len(distinct) > MAX_BATCH_ITEMS:
        raise InvalidBatch(f"{len(distinct)} keys; a batch has at most {MAX_BATCH_ITEMS}")
    return distinct


def needs_transaction(operations: Sequence[Operation]) -> bool:
    """Whether the batch must be a DynamoDB transaction, at twice the price.

    A single plain write repeated after a lost answer must change nothing: a
    counter would count twice, and a condition would fail against its own
    first try. Only a transaction carries a token against that.
    """
    if len(operations) > 1:
        return True
    match operations[0]:
        case Put(if_absent=conditional):
            return conditional
        case Update(add=add, require=require, must_exist=must_exist):
            return bool(add or require or must_exist)
        case Delete(require=require, must_exist=must_exist):
            return bool(require or must_exist)
        case _:
            return True


def is_expired(item: Item, now: float) -> bool:
    """Whether the item's time is over, and it must look absent."""
    expires_at = item.get(EXPIRES_AT)
    return isinstance(expires_at, int) and expires_at <= now


def same_value(left: Value, right: Value) -> bool:
    """Equality as DynamoDB has it: True is not 1, and a list is a list whatever made it."""
    if isinstance(left, Mapping):
        return (
            isinstance(right, Mapping)
            and left.keys() == right.keys()
            and all(same_value(value, right[name]) for name, value in left.items())
        )
    if isinstance(left, Sequence) and not isinstance(left, str | bytes):
        return (
            isinstance(right, Sequence)
            and not isinstance(right, str | bytes)
            and len(left) == len(right)
            and all(map(same_value, left, right))
        )
    return isinstance(left, bool) is isinstance(right, bool) and left == right


def _checked_key(operation: Operation) -> KeyPair:
    key: tuple[Value, Value]
    if isinstance(operation, Put):
        item = operation.item
        try:
            key = (item["pk"], item["sk"])
        except KeyError as error:
            raise InvalidBatch(f"an item without {error}") from error
        _check_attributes(item)
    else:
        key = (operation.key.pk, operation.key.sk)
        if isinstance(operation, Update):
            _check_update(operation)
    pk, sk = key
    return _key_part("pk", pk, MAX_PK_BYTES), _key_part("sk", sk, MAX_SK_BYTES)


def _check_update(update: Update) -> None:
    changed = [*update.add, *update.set, *update.remove]
    names = set(changed)
    if not changed:
        raise InvalidBatch("an update that changes nothing")
    if len(names) != len(changed):
        raise InvalidBatch("an update names one attribute twice")
    if names & _KEY_ATTRIBUTES:
        raise InvalidBatch("an update cannot change the key of an item")
    for name, number in update.add.items():
        if type(number) is not int:
            raise InvalidBatch(f"{name}: only integers can be added")
    _check_attributes(update.set)
    if update.require:
        _check_attributes({n: v for n, v in update.require.items() if v is not None})


def _check_attributes(attributes: Mapping[str, Value]) -> None:
    if not _SCALARS.issuperset(map(type, attributes.values())):
        for value in attributes.values():
            value_bytes(value)
    if EXPIRES_AT in attributes and type(attributes[EXPIRES_AT]) is not int:
        raise InvalidBatch(f"{EXPIRES_AT} is whole seconds since 1970")
    for name in _INDEX_ATTRIBUTES.keys() & attributes.keys():
        _key_part(name, attributes[name], _INDEX_ATTRIBUTES[name])


def _key_part(name: str, value: Value, limit: int) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidBatch(f"{name} must be a string that is not empty")
    if len(value) * 4 > limit and len(value.encode(errors="replace")) > limit:
        raise InvalidBatch(f"{name} has more than {limit} bytes")
    return value
