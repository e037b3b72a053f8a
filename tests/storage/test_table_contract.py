"""What every table adapter must do; each test runs on both."""

from __future__ import annotations

import pytest

from chalicelib.storage.ports import (
    MAX_BATCH_ITEMS,
    MAX_ITEM_BYTES,
    Check,
    ConditionFailed,
    Conflict,
    Delete,
    InvalidBatch,
    InvalidCursor,
    Item,
    ItemTooLarge,
    Key,
    Put,
    SortRange,
    Table,
    Update,
    Value,
    query_all,
)
from chalicelib.storage.schema import BY_APP, BY_GROUP
from chalicelib.storage.sizes import item_bytes
from tests.storage.conftest import Clock
from tests.storage.threads import together, write_until_done

KEY = Key("p", "s")


def item(key: Key = KEY, **attributes: Value) -> Item:
    return {"pk": key.pk, "sk": key.sk, **attributes}


def in_app(number: int, app: str = "app", **attributes: Value) -> Item:
    key = Key(f"report{number}", "r")
    return item(key, app_pk=app, app_sk=f"{number:04d}", n=number, **attributes)


# --- items ---------------------------------------------------------------


def test_an_item_comes_back_as_it_was_put(table: Table) -> None:
    whole = item(
        text="naïve ☃ 🪣 \u0000 line\nbreak",
        empty="",
        number=-(2**63),
        large=2**63 - 1,
        zero=0,
        yes=True,
        no=False,
        nothing=None,
        binary=bytes(range(256)),
        no_bytes=b"",
        mixed=["a", 1, None, True, b"\xff", [], {}, {"ключ": ["v"]}],
        nested={"a": {"b": {"c": 1}}},
    )
    table.write([Put(whole)])
    found = table.get(KEY)
    assert found == whole
    assert found is not None
    assert [type(found[name]) for name in ("number", "yes", "binary")] == [int, bool, bytes]


def test_an_absent_item_is_none(table: Table) -> None:
    assert table.get(KEY) is None


def test_a_put_replaces_the_whole_item(table: Table) -> None:
    table.write([Put(item(a=1, b=2))])
    table.write([Put(item(b=3))])
    assert table.get(KEY) == item(b=3)


def test_keys_of_any_script_are_told_apart(table: Table) -> None:
    keys = [Key("Ж#1", "é"), Key("Ж#1", "e\u0301"), Key("ж#1", "é"), Key("🪣", "\U0010fffd")]
    table.write([Put(item(key, name=key.sk)) for key in keys])
    assert {key: found["name"] for key, found in table.batch_get(keys).items()} == {
        key: key.sk for key in keys
    }


def test_batch_get_gives_what_is_there_and_asks_duplicates_once(table: Table) -> None:
    keys = [Key("p", str(number)) for number in range(MAX_BATCH_ITEMS)]
    table.write([Put(item(key)) for key in keys[::2]])
    assert set(table.batch_get(keys + keys)) == set(keys[::2])
    assert table.batch_get([]) == {}


def test_batch_get_of_too_many_keys_is_refused(table: Table) -> None:
    with pytest.raises(InvalidBatch):
        table.batch_get([Key("p", str(number)) for number in range(MAX_BATCH_ITEMS + 1)])


# --- batches -------------------------------------------------------------


def test_a_hundred_items_are_written_at_once_and_101_refused(table: Table) -> None:
    puts = [Put(item(Key("p", f"{number:03d}"))) for number in range(MAX_BATCH_ITEMS + 1)]
    table.write(puts[:MAX_BATCH_ITEMS])
    assert len(table.query("p").items) == MAX_BATCH_ITEMS
    with pytest.raises(InvalidBatch):
        table.write(puts)
    with pytest.raises(InvalidBatch):
        table.write([])


@pytest.mark.parametrize("second", [Put(item(a=2)), Delete(KEY), Check(KEY), Update(KEY, {"a": 1})])
def test_one_item_twice_in_a_batch_is_refused(
    table: Table, second: Put | Delete | Check | Update
) -> None:
    with pytest.raises(InvalidBatch):
        table.write([Put(item(a=1)), second])
    assert table.get(KEY) is None


def test_a_failed_condition_leaves_nothing_written_and_names_every_failure(table: Table) -> None:
    there, absent = Key("p", "there"), Key("p", "absent")
    table.write([Put(item(there, state="open"))])
    with pytest.raises(ConditionFailed) as failure:
        table.write(
            [
                Put(item(Key("p", "new"))),
                Put(item(there), if_absent=True),
                Update(Key("p", "counter"), add={"n": 1}),
                Delete(absent, must_exist=True),
                Update(Key("p", "x"), set={"a": 1}, must_exist=True),
                Check(Key("p", "y")),
                Update(Key("p", "z"), set={"a": 1}, require={"state": "open"}),
            ]
        )
    assert failure.value.indexes == (1, 3, 4, 5, 6)
    assert table.query("p").items == (item(there, state="open"),)


def test_checks_see_whether_an_item_is_there(table: Table) -> None:
    table.write([Put(item())])
    table.write([Check(KEY), Check(Key("p", "absent"), exists=False), Put(item(Key("p", "1")))])
    with pytest.raises(ConditionFailed) as failure:
        table.write([Put(item(Key("p", "2"))), Check(KEY, exists=False), Check(Key("p", "absent"))])
    assert failure.value.indexes == (1, 2)
    assert table.get(Key("p", "2")) is None
    with pytest.raises(ConditionFailed):
        table.write([Check(Key("p", "absent"))])


def test_a_delete_takes_the_item_away(table: Table) -> None:
    table.write([Put(in_app(1))])
    table.write([Delete(Key("report1", "r"), must_exist=True)])
    assert table.get(Key("report1", "r")) is None
    assert table.query("app", index=BY_APP).items == ()
    table.write([Delete(Key("report1", "r"))])
    with pytest.raises(ConditionFailed):
        table.write([Delete(Key("report1", "r"), must_exist=True)])


def test_a_delete_with_require_takes_away_only_what_is_as_required(table: Table) -> None:
    table.write([Put(item(state="open", n=0))])
    for require in ({"state": "closed"}, {"state": None}, {"state": "open", "n": 1}):
        with pytest.raises(ConditionFailed):
            table.write([Delete(KEY, require=require)])
    table.write([Delete(KEY, require={"state": "open", "n": 0, "other": None})])
    assert table.get(KEY) is None
    table.write([Delete(KEY, require={"state": None})])  # nothing there is as required
    with pytest.raises(ConditionFailed):
        table.write([Delete(KEY, require={"state": "open"})])


def test_a_delete_with_require_takes_an_expired_item_as_absent(table: Table, clock: Clock) -> None:
    table.write([Put(item(state="open", expires_at=int(clock()) + 10))])
    clock.advance(11)
    with pytest.raises(ConditionFailed):
        table.write([Delete(KEY, require={"state": "open"})])
    table.write([Delete(KEY, require={"state": None})])


@pytest.mark.parametrize("size, fits", [(MAX_ITEM_BYTES, True), (MAX_ITEM_BYTES + 1, False)])
def test_an_item_may_have_400_kb(table: Table, size: int, fits: bool) -> None:
    padded = item(data=b"x" * (size - item_bytes(item(data=b""))))
    assert item_bytes(padded) == size
    batches = [[Put(padded)], [Put(item(Key("p", "other"))), Put(padded)]]
    for batch in batches:
        if fits:
            table.write(batch)
            assert table.get(KEY) == padded
        else:
            with pytest.raises(ItemTooLarge):
                table.write(batch)
            assert table.query("p").items == ()


@pytest.mark.parametrize("alone", [True, False])
def test_an_update_cannot_make_an_item_too_large(table: Table, alone: bool) -> None:
    table.write([Put(item(a=b"x" * 250_000))])
    update = Update(KEY, set={"b": b"x" * 250_000})
    with pytest.raises(ItemTooLarge):
        table.write([update] if alone else [update, Put(item(Key("p", "other")))])
    assert table.query("p").items == (item(a=b"x" * 250_000),)


@pytest.mark.parametrize(
    "operation",
    [
        Put({"pk": "p"}),
        Put({"pk": "", "sk": "s"}),
        Put({"pk": "p", "sk": "x" * 1025}),
        Put({"pk": "x" * 2049, "sk": "s"}),
        Put(item(a=0.5)),  # type: ignore[arg-type]
        Put(item(a=[{"b": 0.5}])),  # type: ignore[list-item]
        Put(item(a=2**64)),
        Put(item(a="\ud800")),
        Put(item(app_pk=7, app_sk="x")),
        Put(item(app_pk="", app_sk="x")),
        Put(item(expires_at="tomorrow")),
        Update(KEY),
        Update(KEY, add={"a": 1}, set={"a": 2}),
        Update(KEY, set={"pk": "other"}),
        Update(KEY, set={"a": 1}, remove=("a",)),
        Update(KEY, add={"a": 0.5}),  # type: ignore[dict-item]
    ],
)
def test_what_cannot_be_stored_is_refused(table: Table, operation: Put | Update) -> None:
    with pytest.raises(InvalidBatch):
        table.write([operation])
    with pytest.raises(InvalidBatch):
        table.write([Put(item(Key("p", "good"))), operation])
    assert table.query("p").items == ()


# --- updates -------------------------------------------------------------


def test_an_update_makes_the_item_and_changes_only_what_it_names(table: Table) -> None:
    table.write([Update(KEY, add={"n": 2}, set={"a": "x"}, remove=("never",))])
    assert table.get(KEY) == item(n=2, a="x")
    table.write([Update(KEY, add={"n": -5, "m": 1}, set={"b": b"y"}, remove=("a",))])
    assert table.get(KEY) == item(n=-3, m=1, b=b"y")


@pytest.mark.parametrize("beside", [[], [Put(item(Key("p", "other")))]])
def test_an_update_happens_only_where_it_is_required_to(table: Table, beside: list[Put]) -> None:
    table.write([Put(item(state="open", tags=["a"], flag=True))])
    for require in (
        {"state": "closed"},
        {"state": None},
        {"tags": ["b"]},
        {"absent": "x"},
        {"state": "open", "flag": False},
    ):
        with pytest.raises(ConditionFailed) as failure:
            table.write([*beside, Update(KEY, set={"state": "won"}, require=require)])
        assert failure.value.indexes == (len(beside),)
    require_all: dict[str, Value] = {"state": "open", "tags": ["a"], "flag": True, "absent": None}
    table.write([*beside, Update(KEY, set={"state": "won"}, require=require_all)])
    assert table.get(KEY) == item(state="won", tags=["a"], flag=True)


def test_an_attribute_that_is_required_absent_may_be_null(table: Table) -> None:
    table.write([Put(item(owner=None))])
    table.write([Update(KEY, set={"owner": "a"}, require={"owner": None})])
    with pytest.raises(ConditionFailed):
        table.write([Update(KEY, set={"owner": "b"}, require={"owner": None})])
    assert table.get(KEY) == item(owner="a")


@pytest.mark.parametrize("beside", [[], [Put(item(Key("p", "other")))]])
def test_adding_to_what_is_no_number_is_refused(table: Table, beside: list[Put]) -> None:
    table.write([Put(item(a="text"))])
    with pytest.raises(InvalidBatch):
        table.write([*beside, Update(KEY, add={"a": 1})])
    assert table.query("p").items == (item(a="text"),)


def test_attributes_may_be_called_like_dynamodbs_words(table: Table) -> None:
    table.write([Update(KEY, add={"count": 1}, set={"status": "a", "name.first": "b", "#x": "c"})])
    assert table.get(KEY) == item(count=1, status="a", **{"name.first": "b", "#x": "c"})


# --- races ---------------------------------------------------------------


def test_of_many_puts_if_absent_exactly_one_wins(table: Table) -> None:
    winners: list[int] = []

    def claim(number: int) -> None:
        while True:
            try:
                table.write([Put(item(winner=number), if_absent=True)])
            except Conflict:
                continue
            except ConditionFailed:
                return
            winners.append(number)
            return

    together(8, claim)
    assert len(winners) == 1
    assert table.get(KEY) == item(winner=winners[0])


def test_no_concurrent_add_is_lost(table: Table) -> None:
    def count(number: int) -> None:
        for turn in range(5):
            write_until_done(
                table, Update(KEY, add={"n": 1}), Put(item(Key(f"delta{number}", str(turn))))
            )

    together(6, count)
    assert table.get(KEY) == item(n=30)


# --- queries -------------------------------------------------------------


def test_a_partition_is_read_in_utf8_order_both_ways(table: Table) -> None:
    sort_keys = ["", "A", "a", "aa", "a\u0301", "é", "я", "\uffee", "🪣"][1:]
    assert sort_keys == sorted(sort_keys, key=str.encode)
    table.write([Put(item(Key("p", sk))) for sk in reversed(sort_keys)])
    table.write([Put(item(Key("q", "other")))])
    assert [found["sk"] for found in table.query("p").items] == sort_keys
    assert [found["sk"] for found in table.query("p", descending=True).items] == sort_keys[::-1]


@pytest.mark.parametrize(
    "sort, expected",
    [
        (SortRange(), "abcde"),
        (SortRange("b"), "bcde"),
        (SortRange(None, "d"), "abcd"),
        (SortRange("b", "d"), "bcd"),
        (SortRange("bb", "cc"), "c"),
        (SortRange("d", "b"), ""),
        (SortRange("", ""), ""),
        (SortRange(""), "abcde"),
        (SortRange.beginning_with("c"), "c"),
    ],
)
@pytest.mark.parametrize("index", [None, BY_GROUP])
def test_a_range_includes_both_ends(
    table: Table, sort: SortRange, expected: str, index: None
) -> None:
    table.write([Put(item(Key("p", sk), group_pk="p", group_sk=sk)) for sk in "abcde"])
    assert "".join(str(i["sk"]) for i in table.query("p", index=index, sort=sort).items) == expected
    down = table.query("p", index=index, sort=sort, descending=True)
    assert "".join(str(found["sk"]) for found in down.items) == expected[::-1]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("page_size", [1, 3, 10])
def test_pages_by_an_index_hold_every_item_once(
    table: Table, descending: bool, page_size: int
) -> None:
    table.write([Put(in_app(number)) for number in range(10)])
    table.write([Put(in_app(number, app="other")) for number in range(10, 15)])
    found = query_all(table, "app", index=BY_APP, descending=descending, page_size=page_size)
    numbers = [number["n"] for number in found]
    assert numbers == sorted(range(10), reverse=descending)


def test_pages_hold_every_item_though_sort_keys_of_an_index_are_equal(table: Table) -> None:
    table.write([Put(item(Key(f"p{n}", "s"), app_pk="a", app_sk="same")) for n in range(7)])
    found = list(query_all(table, "a", index=BY_APP, page_size=2))
    assert sorted(str(i["pk"]) for i in found) == [f"p{n}" for n in range(7)]


@pytest.mark.parametrize("descending", [False, True])
def test_a_page_ends_at_one_megabyte_with_a_cursor(table: Table, descending: bool) -> None:
    for number in range(8):
        table.write([Put(in_app(number, data=bytes([number]) * 300_000))])
    first = table.query("app", index=BY_APP, descending=descending)
    assert first.cursor is not None
    assert 1 <= len(first.items) <= 4
    numbers = [i["n"] for i in query_all(table, "app", index=BY_APP, descending=descending)]
    assert numbers == sorted(range(8), reverse=descending)


def test_an_item_follows_its_index_attributes(table: Table) -> None:
    key = Key("report1", "r")
    table.write([Put(in_app(1))])
    table.write([Update(key, set={"app_sk": "9999", "group_pk": "g", "group_sk": "1"})])
    assert [i["app_sk"] for i in table.query("app", index=BY_APP).items] == ["9999"]
    assert len(table.query("g", index=BY_GROUP).items) == 1
    table.write([Update(key, remove=("app_sk",), set={"group_pk": "h"})])
    assert table.query("app", index=BY_APP).items == ()
    assert table.query("g", index=BY_GROUP).items == ()
    assert [i["n"] for i in table.query("h", index=BY_GROUP).items] == [1]
    table.write([Put(item(key))])
    assert table.query("h", index=BY_GROUP).items == ()


def test_a_cursor_is_good_for_its_own_query_only(table: Table) -> None:
    table.write([Put(in_app(number)) for number in range(5)])
    table.write([Put(item(Key("app", str(number)))) for number in range(5)])
    cursor = table.query("app", index=BY_APP, limit=2).cursor
    assert cursor is not None
    assert len(table.query("app", index=BY_APP, limit=9, cursor=cursor).items) == 3
    with pytest.raises(InvalidCursor):
        table.query("other", index=BY_APP, limit=2, cursor=cursor)
    with pytest.raises(InvalidCursor):
        table.query("app", limit=2, cursor=cursor)
    with pytest.raises(InvalidCursor):
        table.query("app", index=BY_GROUP, limit=2, cursor=cursor)
    with pytest.raises(InvalidCursor):
        table.query("app", index=BY_APP, limit=2, cursor=cursor, descending=True)
    with pytest.raises(InvalidCursor):
        table.query("app", index=BY_APP, limit=2, cursor=cursor, sort=SortRange("0"))


@pytest.mark.parametrize("cursor", ["", "x", "é", "AAAA", "bnVsbA==", "W10=", "WzEsMl0=", "=" * 9])
def test_a_cursor_that_is_none_is_refused(table: Table, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        table.query("app", index=BY_APP, cursor=cursor)


# --- time to live --------------------------------------------------------


def test_an_expired_item_is_invisible_at_once(table: Table, clock: Clock) -> None:
    expires_at = int(clock()) + 100
    table.write([Put(in_app(1, expires_at=expires_at)), Put(in_app(2))])
    assert len(table.query("app", index=BY_APP).items) == 2
    clock.advance(101)
    keys = [Key("report1", "r"), Key("report2", "r")]
    assert table.get(keys[0]) is None
    assert set(table.batch_get(keys)) == {keys[1]}
    assert table.query("report1").items == ()
    assert [i["n"] for i in query_all(table, "app", index=BY_APP, page_size=1)] == [2]


@pytest.mark.parametrize("beside", [[], [Put(item(Key("p", "other")))]])
def test_conditions_take_an_expired_item_as_absent(
    table: Table, clock: Clock, beside: list[Put]
) -> None:
    expired: list[Put | Update | Delete | Check] = [
        Update(KEY, set={"a": 1}, must_exist=True),
        Update(KEY, set={"a": 1}, require={"old": 1}),
        Delete(KEY, must_exist=True),
        Check(KEY),
    ]
    table.write([Put(item(old=1, expires_at=int(clock()) + 10))])
    clock.advance(11)
    for operation in expired:
        with pytest.raises(ConditionFailed) as failure:
            table.write([*beside, operation])
        assert failure.value.indexes == (len(beside),)
    table.write([*beside, Check(KEY, exists=False)])
    table.write([*beside, Put(item(new=1), if_absent=True)])
    assert table.get(KEY) == item(new=1)


@pytest.mark.parametrize("require", [{}, {"old": None}])
@pytest.mark.parametrize("beside", [[], [Put(item(Key("p", "other")))]])
def test_an_update_of_an_expired_item_begins_anew(
    table: Table, clock: Clock, beside: list[Put], require: dict[str, Value]
) -> None:
    table.write([Put(item(old=1, n=7, app_pk="a", app_sk="1", expires_at=int(clock()) + 10))])
    clock.advance(11)
    table.write([*beside, Update(KEY, add={"n": 1}, require=require)])
    assert table.get(KEY) == item(n=1)
    assert table.query("a", index=BY_APP).items == ()


def test_a_failure_beside_an_expired_item_names_only_itself(table: Table, clock: Clock) -> None:
    there = Key("p", "there")
    table.write([Put(item(n=7, expires_at=int(clock()) + 10)), Put(item(there))])
    clock.advance(11)
    with pytest.raises(ConditionFailed) as failure:
        table.write([Update(KEY, add={"n": 1}), Put(item(there), if_absent=True)])
    assert failure.value.indexes == (1,)


def test_a_longer_life_keeps_an_item(table: Table, clock: Clock) -> None:
    now = int(clock())
    table.write([Put(item(expires_at=now + 10))])
    table.write([Update(KEY, set={"expires_at": now + 1000})])
    clock.advance(100)
    assert table.get(KEY) == item(expires_at=now + 1000)
