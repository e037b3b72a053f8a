"""Items in DynamoDB's wire form and back, with ints as ints and bytes as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from chalicelib.storage.ports import InvalidBatch, Item, Value

Attribute: TypeAlias = dict[str, Any]
"""A value under the letter of its type, as `{"S": "text"}`."""

_LOWEST, _HIGHEST = -(2**63), 2**64 - 1  # what the embedded store can hold


def to_attributes(item: Item) -> dict[str, Attribute]:
    """The whole item; `InvalidBatch` for a value that the table cannot hold."""
    return {name: to_attribute(value) for name, value in item.items()}


def to_attribute(value: Value) -> Attribute:
    """One value; `InvalidBatch` where it is of no storable type."""
    if isinstance(value, str):
        return {"S": value}
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        if not _LOWEST <= value <= _HIGHEST:
            raise InvalidBatch("an integer beyond 64 bits")
        return {"N": str(value)}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, Mapping):
        return {"M": to_attributes(value)}
    return {"L": [to_attribute(element) for element in value]}


def from_attributes(attributes: Mapping[str, Any]) -> dict[str, Value]:
    """The item that `to_attributes` was given."""
    return {name: from_attribute(attribute) for name, attribute in attributes.items()}


def from_attribute(attribute: Mapping[str, Any]) -> Value:
    """The value that `to_attribute` was given; a list comes back for any sequence."""
    ((kind, content),) = attribute.items()
    match kind:
        case "S" | "B" | "BOOL":
            value: Value = content
            return value
        case "N":
            return int(content)
        case "NULL":
            return None
        case "M":
            return from_attributes(content)
        case "L":
            return [from_attribute(element) for element in content]
    raise ValueError(f"an attribute of DynamoDB's type {kind}, which no item of ours has")
