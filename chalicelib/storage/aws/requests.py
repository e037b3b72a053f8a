"""The port's operations as DynamoDB's requests.

DynamoDB deletes an expired item days late. Until then each condition here
takes it as absent, as the embedded store does.
"""

from __future__ import annotations

from typing import Any

from chalicelib.storage.aws.attributes import Attribute, to_attribute, to_attributes
from chalicelib.storage.ports import (
    EXPIRES_AT,
    MAX_ITEM_BYTES,
    Check,
    Delete,
    Index,
    ItemTooLarge,
    Key,
    Operation,
    Put,
    SortRange,
    Update,
    Value,
)
from chalicelib.storage.sizes import item_bytes

_ALIVE = "(attribute_not_exists(#expires_at) OR #expires_at > :now)"
_PRESENT = f"attribute_exists(pk) AND {_ALIVE}"
_ABSENT = "(attribute_not_exists(pk) OR #expires_at <= :now)"

Request = dict[str, Any]


def write_request(operation: Operation, table: str, now: int) -> tuple[str, Request]:
    """The member of a TransactWriteItems entry: ("Put", {...}), with its condition.

    Raises `ItemTooLarge` for a put; of an update only DynamoDB knows the result.
    """
    match operation:
        case Put(item, if_absent):
            _check_size(item_bytes(item))
            request: Request = {"TableName": table, "Item": to_attributes(item)}
            return "Put", _with_condition(request, _ABSENT if if_absent else None, now)
        case Update():
            return "Update", _update_request(operation, table, now)
        case Delete():
            return "Delete", _delete_request(operation, table, now)
        case Check(key, exists):
            request = {"TableName": table, "Key": key_attributes(key)}
            return "ConditionCheck", _with_condition(request, _PRESENT if exists else _ABSENT, now)


def purge_request(key: Key, table: str, now: int) -> Request:
    """A DeleteItem for an item that has expired by `now`, and for no other."""
    request = {"TableName": table, "Key": key_attributes(key)}
    return _with_condition(request, "#expires_at <= :now", now)


def key_if_expired_may_block(operation: Operation) -> Key | None:
    """The item to purge so that this failed operation may succeed, if there is one.

    An update cannot both ignore an old item's attributes and be one request,
    so it fails on an expired item, which has to go first.
    """
    match operation:
        case Update(key=key, must_exist=False, require=require):
            return key if all(value is None for value in require.values()) else None
    return None


def query_request(
    table: str, pk: str, index: Index | None, sort: SortRange, *, limit: int, descending: bool
) -> Request:
    """A Query without a start key; strongly consistent where DynamoDB can be."""
    values: dict[str, Attribute] = {":pk": {"S": pk}}
    request: Request = {
        "TableName": table,
        "ExpressionAttributeNames": {"#pk": index.pk_attribute if index else "pk"},
        "ExpressionAttributeValues": values,
        "Limit": limit,
        "ScanIndexForward": not descending,
    }
    if index:
        request["IndexName"] = index.name
    else:
        request["ConsistentRead"] = True
    condition = "#pk = :pk"
    if sort.low:  # DynamoDB refuses an empty string, which every sort key is above
        values[":low"] = {"S": sort.low}
    if sort.high is not None:
        values[":high"] = {"S": sort.high}
    if len(values) > 1:
        request["ExpressionAttributeNames"]["#sk"] = index.sk_attribute if index else "sk"
        match ":low" in values, ":high" in values:
            case True, True:
                condition += " AND #sk BETWEEN :low AND :high"
            case True, False:
                condition += " AND #sk >= :low"
            case _:
                condition += " AND #sk <= :high"
    request["KeyConditionExpression"] = condition
    return request


def key_attributes(key: Key) -> dict[str, Attribute]:
    """The key as DynamoDB wants it."""
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def _update_request(update: Update, table: str, now: int) -> Request:
    names: dict[str, str] = {}
    values: dict[str, Attribute] = {}

    def named(name: str) -> str:
        names[f"#n{len(names)}"] = name
        return f"#n{len(names) - 1}"

    def valued(value: Attribute) -> str:
        values[f":v{len(values)}"] = value
        return f":v{len(values) - 1}"

    _check_size(item_bytes(update.set))
    sets = [f"{named(n)} = {valued(to_attribute(v))}" for n, v in update.set.items()]
    adds = [f"{named(n)} {valued(to_attribute(v))}" for n, v in update.add.items()]
    removes = [named(name) for name in update.remove]
    clauses = [("SET", sets), ("ADD", adds), ("REMOVE", removes)]
    conditions = [_PRESENT if update.must_exist else _ALIVE]
    for name, value in update.require.items():
        mark, wanted = named(name), valued(to_attribute(value))
        condition = f"{mark} = {wanted}"
        if value is None:
            condition = f"(attribute_not_exists({mark}) OR {condition})"
        conditions.append(condition)
    request: Request = {
        "TableName": table,
        "Key": key_attributes(update.key),
        "UpdateExpression": " ".join(f"{word} {', '.join(c)}" for word, c in clauses if c),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }
    return _with_condition(request, " AND ".join(conditions), now)


def _delete_request(delete: Delete, table: str, now: int) -> Request:
    request: Request = {"TableName": table, "Key": key_attributes(delete.key)}
    conditions = [_PRESENT] if delete.must_exist else []
    for number, (name, value) in enumerate(delete.require.items()):
        mark, wanted = f"#n{number}", f":v{number}"
        request.setdefault("ExpressionAttributeNames", {})[mark] = name
        request.setdefault("ExpressionAttributeValues", {})[wanted] = to_attribute(value)
        conditions.append(_required(mark, wanted, value))
    return _with_condition(request, " AND ".join(conditions) or None, now)


def _required(mark: str, wanted: str, value: Value) -> str:
    """The attribute has the value; where that is None, an item without it will do, or none."""
    if value is None:
        return f"(attribute_not_exists({mark}) OR {mark} = {wanted} OR #expires_at <= :now)"
    return f"({mark} = {wanted} AND {_ALIVE})"


def _with_condition(request: Request, condition: str | None, now: int) -> Request:
    if condition is not None:
        request["ConditionExpression"] = condition
        request.setdefault("ExpressionAttributeNames", {})["#expires_at"] = EXPIRES_AT
        request.setdefault("ExpressionAttributeValues", {})[":now"] = {"N": str(now)}
    return request


def _check_size(size: int) -> None:
    if size > MAX_ITEM_BYTES:
        raise ItemTooLarge(f"an item of {size} bytes; the limit is {MAX_ITEM_BYTES}")
