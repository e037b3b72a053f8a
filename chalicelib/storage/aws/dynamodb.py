"""The table on DynamoDB."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from chalicelib.storage.away import tells_when_away
from chalicelib.storage.aws.attributes import from_attributes
from chalicelib.storage.aws.away import telling
from chalicelib.storage.aws.requests import (
    Request,
    key_attributes,
    key_if_expired_may_block,
    purge_request,
    query_request,
    write_request,
)
from chalicelib.storage.batches import (
    checked_keys,
    checked_read_keys,
    is_expired,
    needs_transaction,
)
from chalicelib.storage.cursors import decode_cursor, encode_cursor, query_digest
from chalicelib.storage.ports import (
    ConditionFailed,
    Conflict,
    Index,
    InvalidBatch,
    Item,
    ItemTooLarge,
    Key,
    Operation,
    Page,
    SortRange,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ATTEMPTS = 8  # with the pauses below about 2 s, well inside any Lambda's or door's time
_FIRST_PAUSE_S = 0.025
_LONGEST_PAUSE_S = 1.0
_CONDITION_CODES = frozenset({"ConditionalCheckFailed", "ConditionalCheckFailedException"})
_INVALID_CODES = frozenset({"ValidationError", "ValidationException"})
_AGAIN_CODES = frozenset(
    {
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
        "ThrottlingError",
        "ThrottlingException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
    }
)


@tells_when_away(telling)
class DynamoTable:
    """`ports.Table` on one DynamoDB table with the indexes of `schema.INDEXES`, all projected."""

    def __init__(
        self,
        client: DynamoDBClient,
        name: str,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`clock` gives seconds since 1970."""
        self._client = client
        self._name = name
        self._clock = clock
        self._sleep = sleep

    def get(self, key: Key) -> Item | None:
        answer = self._client.get_item(
            TableName=self._name, Key=key_attributes(key), ConsistentRead=True
        )
        if "Item" not in answer:
            return None
        item = from_attributes(answer["Item"])
        return None if is_expired(item, self._clock()) else item

    def batch_get(self, keys: Sequence[Key]) -> Mapping[Key, Item]:
        wanted: list[Any] = [key_attributes(Key(*key)) for key in checked_read_keys(keys)]
        found: dict[Key, Item] = {}
        now = self._clock()
        attempt = 0
        while wanted:
            answer = self._client.batch_get_item(
                RequestItems={self._name: {"Keys": wanted, "ConsistentRead": True}}
            )
            for attributes in answer["Responses"].get(self._name, ()):
                item = from_attributes(attributes)
                if not is_expired(item, now):
                    found[Key(str(item["pk"]), str(item["sk"]))] = item
            unprocessed = answer.get("UnprocessedKeys", {})
            left = unprocessed[self._name]["Keys"] if self._name in unprocessed else []
            # An answer is cut at 16 MB; only one that brought nothing was throttled.
            attempt = attempt + 1 if len(left) == len(wanted) else 0
            wanted = list(left)
            if wanted and attempt:
                self._pause(attempt, "DynamoDB does not answer a batch read")
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
        if limit < 1:
            raise ValueError("a page has at least one item")
        digest = query_digest(pk, index, sort, descending)
        names = ("sk",) if index is None else (index.sk_attribute, "pk", "sk")
        request = query_request(self._name, pk, index, sort, limit=limit, descending=descending)
        if cursor is not None:
            position = decode_cursor(cursor, digest, sort, len(names))
            start = dict(zip(names, position, strict=True))
            start["pk" if index is None else index.pk_attribute] = pk
            request["ExclusiveStartKey"] = {name: {"S": text} for name, text in start.items()}
        if sort.high == "" or (sort.low and sort.high and sort.low > sort.high):
            return Page(())  # DynamoDB refuses to look for nothing
        answer = self._client.query(**request)
        now = self._clock()
        items = [from_attributes(attributes) for attributes in answer["Items"]]
        last = answer.get("LastEvaluatedKey")
        return Page(
            tuple(item for item in items if not is_expired(item, now)),
            encode_cursor(digest, tuple(last[name]["S"] for name in names)) if last else None,
        )

    def write(self, operations: Sequence[Operation]) -> None:
        checked_keys(operations)
        now = int(self._clock())
        requests = [write_request(operation, self._name, now) for operation in operations]
        send = self._transact if needs_transaction(operations) else self._send_plainly
        token = uuid.uuid4().hex
        attempt = 0
        while True:
            try:
                send(requests, token)
                return
            except ClientError as error:
                reasons = _reasons(error, len(operations))
            attempt += 1
            if _AGAIN_CODES.isdisjoint(code for code, _ in reasons):
                self._make_room_or_raise(operations, reasons, now)
            else:
                self._pause(attempt, "other writers hold an item of this batch")
            if all(code != "TransactionInProgressException" for code, _ in reasons):
                token = uuid.uuid4().hex  # that one was refused for good, nothing was written

    def _transact(self, requests: Sequence[tuple[str, Request]], token: str) -> None:
        # The token makes botocore's repetition after a lost answer change nothing.
        self._client.transact_write_items(
            TransactItems=[{kind: request} for kind, request in requests],  # type: ignore[misc]
            ClientRequestToken=token,
        )

    def _send_plainly(self, requests: Sequence[tuple[str, Request]], _token: str) -> None:
        ((kind, request),) = requests
        match kind:
            case "Put":
                self._client.put_item(**request)
            case "Update":
                self._client.update_item(**request)
            case "Delete":
                self._client.delete_item(**request)

    def _make_room_or_raise(
        self, operations: Sequence[Operation], reasons: Sequence[tuple[str, str]], now: int
    ) -> None:
        """Purge the expired items that stood in the way; raise if it was anything else."""
        for code, message in reasons:
            if code in _INVALID_CODES:
                raise ItemTooLarge(message) if "size" in message else InvalidBatch(message)
        failed = [number for number, (code, _) in enumerate(reasons) if code in _CONDITION_CODES]
        purged = 0
        for number in failed:
            key = key_if_expired_may_block(operations[number])
            purged += key is not None and self._purge(key, now)
        if not purged:
            raise ConditionFailed(failed)

    def _purge(self, key: Key, now: int) -> bool:
        try:
            self._client.delete_item(**purge_request(key, self._name, now))
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _pause(self, attempt: int, problem: str) -> None:
        if attempt >= ATTEMPTS:
            raise Conflict(f"{problem}; gave up after {ATTEMPTS} attempts")
        longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)
        self._sleep(random.uniform(0, longest))  # noqa: S311 - spreads load, keeps no secret


def _reasons(error: ClientError, count: int) -> list[tuple[str, str]]:
    """(code, message) for each operation; re-raises what no operation is to blame for."""
    response: Mapping[str, Any] = error.response
    code = response["Error"]["Code"]
    if code == "TransactionCanceledException":
        reasons = response.get("CancellationReasons", [])
        if len(reasons) == count:
            return [(reason.get("Code", "None"), reason.get("Message", "")) for reason in reasons]
    if code in _CONDITION_CODES | _INVALID_CODES | _AGAIN_CODES:
        return [(code, response["Error"].get("Message", ""))]
    raise error
