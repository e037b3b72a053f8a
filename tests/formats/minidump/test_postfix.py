"""The postfix language of unwind data; most expressions are those of Breakpad's own tests."""

from __future__ import annotations

import struct

import pytest

from chalicelib.formats.minidump.postfix import MAX_TERMS, PostfixError, assign, value_of
from chalicelib.formats.minidump.stack_memory import StackMemory

STACK = StackMemory(0x1000, memoryview(struct.pack("<8I", *range(0x50, 0x58))), 4)
NAMES = {"$ebp": 0x1008, "$esp": 0x1000, ".cfa": 0x1010}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("5", 5),
        ("-4", 0xFFFF_FFFC),
        ("$ebp", 0x1008),
        ("$ebp 8 +", 0x1010),
        ("$esp 1 -", 0x0FFF),
        ("0 1 -", 0xFFFF_FFFF),
        ("3 4 *", 12),
        ("17 5 /", 3),
        ("17 5 %", 2),
        ("23 8 @", 16),
        (".cfa 4 - ^", 0x53),
        (".cfa -4 + ^", 0x53),
        ("$ebp ^ 1 +", 0x53),
        ("4294967295 2 +", 1),
    ],
)
def test_an_expression_has_the_value(expression: str, value: int) -> None:
    assert value_of(expression, NAMES, STACK) == value


@pytest.mark.parametrize(
    "expression",
    ["", "+", "5 +", "5 6", "$eax", "$ebp 0 /", "$ebp 0 %", "$esp 4 - ^", ".cfa 16 + ^", "0x10",
     "$ebp 5 =", "1 " * (MAX_TERMS + 1)],
)  # fmt: skip
def test_an_expression_that_cannot_be_evaluated_is_an_error(expression: str) -> None:
    with pytest.raises(PostfixError):
        value_of(expression, NAMES, STACK)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (
            "$T0 $ebp = $eip $T0 4 + ^ = $ebp $T0 ^ = $esp $T0 8 + =",
            {"$T0": 0x1008, "$eip": 0x53, "$ebp": 0x52, "$esp": 0x1010},
        ),
        # Visual Studio 2010 glues the assignment to the next name.
        ("$T0 $ebp 4 + =$eip $T0 ^ =", {"$T0": 0x100C, "$eip": 0x53}),
    ],
)
def test_a_program_assigns(program: str, expected: dict[str, int]) -> None:
    names = dict(NAMES)
    assigned: set[str] = set()
    assign(program, names, assigned, STACK)
    assert assigned == set(expected)
    assert {name: names[name] for name in expected} == expected


def test_a_program_that_fails_keeps_what_it_assigned_before() -> None:
    names = dict(NAMES)
    assigned: set[str] = set()
    with pytest.raises(PostfixError):
        assign("$eip 5 = $esp $nothing =", names, assigned, STACK)
    assert (assigned, names["$eip"]) == ({"$eip"}, 5)


@pytest.mark.parametrize("program", ["5 6 =", ".cfa 5 =", "$eip 5 = 7", "$eip ="])
def test_a_program_assigns_only_to_registers_and_leaves_nothing(program: str) -> None:
    with pytest.raises(PostfixError):
        assign(program, dict(NAMES), set(), STACK)
