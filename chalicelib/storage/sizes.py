"""How large DynamoDB says an item is.

Source: Amazon DynamoDB Developer Guide, "DynamoDB item sizes and formats".
Both table adapters, the counting wrapper and the tests use this one function,
so that a limit or a cost means the same everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chalicelib.storage.ports import InvalidBatch, Item, Value

_CONTAINER_BYTES = 3  # of a list or a map, whatever it holds
_ELEMENT_BYTES = 1  # for each element of a list and each entry of a map


def item_bytes(item: Item) -> int:
    """The item's size in bytes: every attribute's name and value.

    Raises `InvalidBatch` for a value that the table cannot hold.
    """
    return sum(_text_bytes(name) + value_bytes(value) for name, value in item.items())


def value_bytes(value: Value) -> int:
    """The size in bytes of one value; `InvalidBatch` where it is of no storable type."""
    if isinstance(value, str):
        return _text_bytes(value)
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, int):
        return _number_bytes(value)
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, Mapping):
        return _CONTAINER_BYTES + sum(
            _text_bytes(name) + value_bytes(element) + _ELEMENT_BYTES
            for name, element in value.items()
        )
    if isinstance(value, Sequence) and not isinstance(value, bytearray | memoryview):
        return _CONTAINER_BYTES + sum(value_bytes(element) + _ELEMENT_BYTES for element in value)
    raise InvalidBatch(f"a {type(value).__name__} cannot be stored")


def _text_bytes(text: str) -> int:
    if not isinstance(text, str):
        raise InvalidBatch(f"a name must be a string, not a {type(text).__name__}")
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidBatch("a lone surrogate cannot be stored") from error


def _number_bytes(number: int) -> int:
    """One byte for two significant digits, one more, and one for a minus sign."""
    digits = len(str(abs(number)).rstrip("0")) or 1
    return (digits + 1) // 2 + 1 + (number < 0)
