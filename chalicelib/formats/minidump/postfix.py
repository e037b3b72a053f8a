"""Postfix expressions of unwind data: `$rsp 16 +`, `.cfa 8 - ^`, `$T0 $ebp = $eip $T0 4 + ^ =`.

The language of Breakpad's `STACK CFI` and `STACK WIN` records; source:
Breakpad's `postfix_evaluator-inl.h`. Values are unsigned and wrap at the
word of the CPU. `^` reads the stack, `@` aligns down, `=` assigns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping
from functools import lru_cache

from chalicelib.formats.minidump.stack_memory import StackMemory

MAX_TERMS = 512  # compilers write a few dozen; the symbol file is a stranger's


class PostfixError(Exception):
    """An expression cannot be evaluated: it says why."""


@lru_cache(maxsize=8192)
def _terms(expression: str) -> tuple[str | int, ...]:
    """The operators and identifiers as text, literals as integers (negative ones too)."""
    found: list[str | int] = []
    for term in expression.split(None, MAX_TERMS + 1):
        # Visual Studio 2010 glues an assignment to what follows: `$T0 $ebp 128 + =$eip ...`.
        if len(term) > 1 and term[0] == "=":
            found += ["=", _literal(term[1:])]
        else:
            found.append(_literal(term))
    if len(found) > MAX_TERMS:
        raise PostfixError("too long")
    return tuple(found)


def _literal(term: str) -> str | int:
    digits = term.removeprefix("-")
    # No address has more than 20 digits; what cannot be a literal is an identifier.
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
        return term
    return int(term)


def value_of(expression: str, names: Mapping[str, int], stack: StackMemory) -> int:
    """The one value that an expression leaves; raises `PostfixError`."""
    usual = _usual(expression)
    if usual is None:
        left = _run(_terms(expression), names, None, stack)
        if len(left) != 1:
            raise PostfixError("leaves other than one value")
        return _value(left[0], names, stack.mask)
    name, distance, is_read = usual
    base = names.get(name)
    if base is None:
        raise PostfixError(f"{name} is not known")
    value = base + distance & stack.mask
    if not is_read:
        return value
    read = stack.read(value)
    if read is None:
        raise PostfixError("reads outside of the stack")
    return read


_USUAL = re.compile(r"([.$A-Za-z_][\w.$]*) (-?\d{1,9}) ([+-])( \^)?", re.ASCII)


@lru_cache(maxsize=8192)
def _usual(expression: str) -> tuple[str, int, bool] | None:
    """Nearly every rule is `$rsp 16 +` or `.cfa -8 + ^`: a register, the distance from it, and
    whether the memory there is meant. None for any other."""
    found = _USUAL.fullmatch(expression)
    if not found:
        return None
    distance = int(found[2])
    return found[1], distance if found[3] == "+" else -distance, found[4] is not None


def assign(
    program: str, names: MutableMapping[str, int], assigned: set[str], stack: StackMemory
) -> None:
    """Run a program of assignments on `names`; the names that it sets are put in `assigned`.

    Raises `PostfixError`; what was assigned before that stays assigned.
    """

    def store(name: str | int, value: int) -> None:
        if not isinstance(name, str) or not name.startswith("$"):
            raise PostfixError(f"cannot assign to {name}")
        names[name] = value
        assigned.add(name)

    if _run(_terms(program), names, store, stack):
        raise PostfixError("leaves values behind")


def _run(
    terms: tuple[str | int, ...],
    names: Mapping[str, int],
    store: Callable[[str | int, int], None] | None,
    stack: StackMemory,
) -> list[str | int]:
    mask = stack.mask
    values: list[str | int] = []
    try:
        for term in terms:
            if term == "^":
                read = stack.read(_value(values.pop(), names, mask))
                if read is None:
                    raise PostfixError("reads outside of the stack")
                values.append(read)
            elif term in _BINARY:
                right = _value(values.pop(), names, mask)
                left = _value(values.pop(), names, mask)
                values.append(_binary(term, left, right, mask))
            elif term == "=":
                value = _value(values.pop(), names, mask)
                if store is None:
                    raise PostfixError("assigns in an expression")
                store(values.pop(), value)
            else:
                values.append(term)
    except IndexError:
        raise PostfixError("an operator lacks its operands") from None
    return values


_BINARY = frozenset("+-*/%@")


def _binary(operator: str | int, left: int, right: int, mask: int) -> int:
    if operator == "+":
        return (left + right) & mask
    if operator == "-":
        return (left - right) & mask
    if operator == "*":
        return (left * right) & mask
    if operator == "@":
        return left & ~(right - 1) & mask
    if right == 0:
        raise PostfixError("divides by zero")
    return left // right if operator == "/" else left % right


def _value(entry: str | int, names: Mapping[str, int], mask: int) -> int:
    if isinstance(entry, int):
        return entry & mask
    found = names.get(entry)
    if found is None:
        raise PostfixError(f"{entry} is not known")
    return found
