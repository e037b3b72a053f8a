"""What a million reports cost: the bound that is promised, and the arithmetic that shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import bill, prices, usage
from benchmarks.doors import DOORS
from benchmarks.usage import BUSY, Usage

_FEW = replace(BUSY, folded_together=60, reports=60)


@pytest.fixture(scope="module")
def known() -> Usage:
    return usage.measure(DOORS[0], _FEW, known=True)


def test_a_million_reports_of_known_stacks_cost_less_than_is_promised(known: Usage) -> None:
    assert 10 < bill.dollars(bill.lines(known, _FEW.batch)) < bill.ALLOWED


def test_a_report_is_one_request_one_put_one_get_and_a_part_of_a_batch(known: Usage) -> None:
    assert (known.puts, known.gets, known.sent) == (1, 1, 1)
    assert known.calls["api"] == 1
    assert known.calls["process"] == pytest.approx(1 / _FEW.batch)
    assert 500 < known.blob_bytes < 3_000
    assert 3_000 < known.table_bytes < 8_000


def test_a_new_stack_is_dearer_and_a_mix_lies_between(known: Usage) -> None:
    new = usage.measure(DOORS[0], replace(_FEW, reports=40, folded_together=40), known=False)
    one_in_ten = bill.dollars(bill.lines(known.mixed(new, 0.1), _FEW.batch))
    cheap, dear = (bill.dollars(bill.lines(each, _FEW.batch)) for each in (known, new))
    assert dear > 3 * cheap
    assert one_in_ten == pytest.approx(0.9 * cheap + 0.1 * dear, rel=0.01)


@pytest.mark.parametrize("door", DOORS[1:], ids=lambda door: door.name)
def test_every_door_takes_its_crash_and_has_it_counted(door: usage.Door) -> None:
    few = replace(BUSY, folded_together=5, reports=5)
    used = usage.measure(door, few, known=True)
    assert used.puts >= 1
    assert used.write_units > 4
    assert used.calls["api"] == 1
    assert used.calls["process"] >= 1 / few.batch


def test_less_memory_is_slower_and_cheaper(known: Usage) -> None:
    lasts = [bill.milliseconds(known, "process", 40.0, memory) for memory in (512, 1024, 1769)]
    assert lasts == sorted(lasts, reverse=True)
    costs = [memory * ms for memory, ms in zip((512, 1024, 1769), lasts, strict=True)]
    assert costs == sorted(costs)


def test_a_line_says_what_it_is_made_of() -> None:
    line = prices.Line("DynamoDB, writes", 13.5, "M units", prices.WRITE_UNITS)
    assert line.arithmetic() == "13.500 M units x 0.625 = 8.44"


def test_a_quiet_stack_has_its_price_too() -> None:
    assert 5 < bill.dollars(bill.fixed()) < 20
