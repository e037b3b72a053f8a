"""Breakpad symbol files with records that `symbolic` does not take, where Breakpad does.

The records are those of Breakpad's `basic_source_line_resolver_unittest.cc` (the tests of
SymbolParseHelper, TestLoadAndResolveOldInlines) and of its `common/module.cc`.
"""

from __future__ import annotations

import pytest

from chalicelib.errors import FormatError
from chalicelib.formats.minidump.symbol_source import ModuleSymbols
from chalicelib.symbols import debug_file
from chalicelib.symbols.breakpad_repair import MAX_BAD_RECORDS
from chalicelib.symbols.module_symbols import Caches, open_symbols

HEAD = "MODULE Linux x86_64 111122223333444455556666777788881 game\nFILE 0 a.cc\nFILE 1 b.cc\n"
FIRST = "FUNC 1000 10 0 first\n1000 10 7 0\n"
LAST = "FUNC 2000 10 0 last\n2000 10 9 1\n"


def opened(text: str) -> ModuleSymbols:
    [file] = debug_file.read(text.encode(), "game.sym")
    return open_symbols(Caches(file.symbols, file.unwind))


def shown(symbols: ModuleSymbols, offset: int) -> list[tuple[str, str | None, int | None]]:
    return [(place.function, place.file, place.line) for place in symbols.locate(offset)]


@pytest.mark.parametrize(
    "record",
    [
        "INLINE_ORIGIN x1 1 f", "INLINE_ORIGIN 3", "INLINE_ORIGIN -1 1 f",
        "INLINE 0 1 -2 3 4", "INLINE -1 1 2 3 4", "INLINE 0 1 0 0 1000", "INLINE 0 1 0 0",
        "FUNC zz 10 0 f", "FUNC m", "FUNC 0x3000 10 0 f", "FUNC 3000 10 -1 f", "FUNC",
        "1000 10", "1000 zz 1 1", "1000 10 5", "1000 10 5 -1", "1000 10 5 0 9 9",
        "FILE x y", "FILE 5", "PUBLIC zz 0 f", "PUBLIC 3000", "STACK", "STACK CFI",
        "INFO", "INFO GENERATOR tool 2.3", "MODULE a second one", "hello", "\x00",
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_read_costs_itself_only(record: str) -> None:
    symbols = opened(f"{HEAD}{FIRST}{record}\n{LAST}")
    assert shown(symbols, 0x1005) == [("first", "a.cc", 7)]
    assert shown(symbols, 0x2005) == [("last", "b.cc", 9)]


def test_an_inlined_call_from_no_file_is_shown_without_one() -> None:
    function = "FUNC 1000 10 0 first\nINLINE 0 3 -1 0 1000 8\n1000 10 7 0\n"
    assert shown(opened(f"{HEAD}INLINE_ORIGIN 0 in()\n{function}"), 0x1005) == [
        ("in()", "a.cc", 7),
        ("first", None, 3),
    ]


def test_inlined_calls_of_the_old_kind_are_in_the_file_of_the_function_around_them() -> None:
    symbols = opened(
        f"{HEAD}FILE 2 c.cc\nINLINE_ORIGIN 0 2 bar()\nINLINE_ORIGIN 1 1 foo(int, int)\n"
        "INLINE_ORIGIN 2 -1 made by the compiler\nFUNC 1000 100 0 main\n"
        "INLINE 0 42 1 1010 80 10a0 8\nINLINE 1 39 0 1020 40\nINLINE 0 60 2 10b0 10\n"
        "INLINE 1 61 0 10b8 8\n"
        "1000 10 41 0\n1010 10 36 1\n1020 40 37 2\n1060 a0 50 0\n"
    )
    assert shown(symbols, 0x1005) == [("main", "a.cc", 41)]
    assert shown(symbols, 0x1015) == [("foo(int, int)", "b.cc", 36), ("main", "a.cc", 42)]
    assert shown(symbols, 0x1025) == [
        ("bar()", "c.cc", 37), ("foo(int, int)", "b.cc", 39), ("main", "a.cc", 42),
    ]  # fmt: skip
    assert shown(symbols, 0x10A4)[1:] == [("main", "a.cc", 42)]
    assert shown(symbols, 0x10B8)[1:] == [("made by the compiler", None, 61), ("main", "a.cc", 60)]


def test_blanks_do_not_matter() -> None:
    symbols = opened(f"{HEAD}FUNC  1000\t10  0 first(int)\n1000  10\t7 0 \n\n{LAST}bad\n")
    assert shown(symbols, 0x1005) == [("first(int)", "a.cc", 7)]


@pytest.mark.parametrize("end", ["", "bad\n"])
def test_records_may_come_in_any_order(end: str) -> None:
    rules = "STACK CFI INIT 1000 10 .cfa: $rsp 8 + .ra: .cfa -8 + ^\n"
    symbols = opened(f"{HEAD}{rules}{FIRST}{rules}PUBLIC 3000 0 open\n{LAST}{end}")
    assert shown(symbols, 0x1005) == [("first", "a.cc", 7)]
    assert shown(symbols, 0x2005) == [("last", "b.cc", 9)]
    assert shown(symbols, 0x3005) == [("open", None, None)]
    assert symbols.cfi(0x1000) == {".cfa": "$rsp 8 +", ".ra": ".cfa -8 + ^"}
    symbols = opened(f"{HEAD}{FIRST}FILE 3 d.cc\nFUNC 3000 10 0 late\n3000 10 5 3")
    assert shown(symbols, 0x3005) == [("late", "d.cc", 5)]


def test_a_file_of_bad_records_is_refused() -> None:
    bad = "".join(f"bad {number}\n" for number in range(MAX_BAD_RECORDS + 1))
    assert shown(opened(HEAD + FIRST + bad[: bad.rindex("bad")] + LAST), 0x2005)
    with pytest.raises(FormatError, match="more than 100 records"):
        opened(HEAD + FIRST + bad + LAST)
