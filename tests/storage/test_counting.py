"""The counting wrapper charges as DynamoDB does."""

from __future__ import annotations

import pytest

from chalicelib.storage.counting import CountingTable
from chalicelib.storage.embedded.store import EmbeddedStore
from chalicelib.storage.ports import Delete, Key, Put, Update
from chalicelib.storage.schema import BY_APP
from chalicelib.storage.sizes import item_bytes


@pytest.fixture
def counting(embedded_store: EmbeddedStore) -> CountingTable:
    return CountingTable(embedded_store.table)


def item(size: int, **more: str) -> dict[str, str]:
    values = {"pk": "p", "sk": "s", **more, "v": ""}
    values["v"] = "x" * (size - item_bytes(values))
    assert item_bytes(values) == size
    return values


@pytest.mark.parametrize(("size", "units"), [(1000, 1), (1024, 1), (1025, 2), (4096, 4)])
def test_a_single_write_costs_a_unit_a_kilobyte(
    counting: CountingTable, size: int, units: int
) -> None:
    counting.write([Put(item(size))])
    assert counting.snapshot().write_units == units


def test_a_transaction_costs_twice(counting: CountingTable) -> None:
    counting.write([Put({"pk": "a", "sk": "1"}), Put({"pk": "b", "sk": "1"})])
    assert counting.snapshot().write_units == 4


def test_an_index_entry_costs_a_unit_more(counting: CountingTable) -> None:
    counting.write([Put(item(500, **{BY_APP.pk_attribute: "a", BY_APP.sk_attribute: "1"}))])
    assert counting.snapshot().write_units == 2


@pytest.mark.parametrize(("size", "units"), [(4096, 1), (4097, 2), (8192, 2)])
def test_a_consistent_read_costs_a_unit_for_four_kilobytes(
    counting: CountingTable, size: int, units: int
) -> None:
    counting.write([Put(item(size))])
    counting.reset()
    counting.get(Key("p", "s"))
    assert counting.snapshot().read_units == units


def test_what_is_not_there_costs_a_read_all_the_same(counting: CountingTable) -> None:
    counting.get(Key("no", "no"))
    assert counting.snapshot().read_units == 1


def test_writes_are_counted_by_partition_key(counting: CountingTable) -> None:
    counting.write([Put({"pk": "hot", "sk": "1"})])
    counting.write([Update(Key("hot", "2"), add={"n": 1})])
    counting.write([Delete(Key("hot", "1"))])
    counting.write([Put({"pk": "cold", "sk": "1"})])
    per_key = counting.snapshot().writes_per_key
    assert sum(count for key, count in per_key.items() if "hot" in str(key)) == 3
    assert sum(count for key, count in per_key.items() if "cold" in str(key)) == 1


def test_an_index_of_a_transaction_costs_once_as_it_follows_by_itself(
    counting: CountingTable,
) -> None:
    indexed = item(500, **{BY_APP.pk_attribute: "a", BY_APP.sk_attribute: "1"})
    counting.write([Put(indexed), Put({"pk": "b", "sk": "1"})])
    assert counting.snapshot().write_units == 2 * 2 + 1


def test_what_is_stored_counts_each_copy_and_what_every_item_takes_on_top(
    counting: CountingTable,
) -> None:
    indexed = item(500, **{BY_APP.pk_attribute: "a", BY_APP.sk_attribute: "1"})
    counting.write([Put(indexed)])
    assert counting.snapshot().stored_bytes == 2 * (500 + 100)
    counting.write([Update(Key("p", "s"), remove=(BY_APP.pk_attribute, BY_APP.sk_attribute))])
    lean = {name: value for name, value in indexed.items() if not name.startswith("app_")}
    assert counting.snapshot().stored_bytes == item_bytes(lean) + 100
    counting.write([Delete(Key("p", "s"))])
    assert counting.snapshot().stored_bytes == 0
