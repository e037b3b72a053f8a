"""Caches: damage is told, and a file that was opened may go."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from chalicelib.errors import FormatError
from chalicelib.symbols import debug_file, unwind_records
from chalicelib.symbols.demangling import MAX_NAME_CHARS, demangle
from chalicelib.symbols.module_symbols import Caches, open_symbols
from chalicelib.symbols.unwind_cache import UnwindCache, join_rules
from chalicelib.symbols.unwind_records import MAX_SET_CHARS
from tests.symbols.samples import APP_SYM, LIB_SYM


def test_caches_in_files_answer_after_the_files_are_gone(tmp_path: Path) -> None:
    [file] = debug_file.read(LIB_SYM, "x")
    assert file.symbols and file.unwind
    symbols, unwind = tmp_path / "symbols", tmp_path / "unwind"
    symbols.write_bytes(file.symbols)
    unwind.write_bytes(file.unwind)
    opened = open_symbols(Caches(symbols, unwind))
    symbols.unlink()
    unwind.unlink()
    assert opened.locate(0x2090)[0].line == 9
    assert opened.cfi(0x2000)


def test_a_module_may_have_symbols_or_unwind_data_alone() -> None:
    [file] = debug_file.read(APP_SYM, "x")
    assert open_symbols(Caches(file.symbols)).windows_frame(0x1000) is None
    assert open_symbols(Caches(unwind=file.unwind)).locate(0x1000) == ()
    assert open_symbols(Caches()).cfi(0) is None


def test_a_damaged_cache_is_told() -> None:
    [file] = debug_file.read(APP_SYM, "x")
    assert file.unwind
    for damaged in (b"", b"CBUNWIN1", file.unwind[:-1], b"X" + file.unwind[1:]):
        with pytest.raises(FormatError):
            UnwindCache(damaged)
    with pytest.raises(FormatError):
        open_symbols(Caches(b"no SymCache"))


def test_rules_of_a_large_file_are_stored_once_each() -> None:
    rows = b"".join(
        b"STACK CFI INIT %x 10 .cfa: $rsp 8 + .ra: .cfa -8 + ^\nSTACK CFI %x .cfa: $rsp 16 +\n"
        % (address, address + 1)
        for address in range(0x10000, 0x90000, 0x10)
    )
    [file] = debug_file.read(LIB_SYM + rows, "x")
    assert file.unwind
    assert len(file.unwind) < 800_000  # 8 bytes for each of 65,536 rows, and three texts
    cache = UnwindCache(file.unwind)
    for _ in range(200):
        address = random.Random(1).randrange(0x10000, 0x90000)
        rules = cache.rules(address)
        assert rules and rules[".cfa"] == ("$rsp 16 +" if address % 16 else "$rsp 8 +")


@pytest.mark.parametrize(
    ("mangled", "readable"),
    [
        ("_ZN12_GLOBAL__N_15crashEv", "(anonymous namespace)::crash()"),
        ("__ZN3Foo3barEv", "Foo::bar()"),
        ("_ZN4core3ptr13drop_in_place17h0123456789abcdefE", "core::ptr::drop_in_place"),
        ("$s4main3FooC3baryyF", "main.Foo.bar() -> ()"),
        ("-[Foo bar:]", "-[Foo bar:]"),
        ("main", "main"),
        ("_Znonsense", "_Znonsense"),
        ("", ""),
    ],
)
def test_names_are_readable(mangled: str, readable: str) -> None:
    assert demangle(mangled) == readable


def test_a_name_has_a_bound() -> None:
    for name in ("x" * 100_000, "_Z" + "P" * 100_000, "?" + "?$" * 2000):
        assert len(demangle(name)) <= MAX_NAME_CHARS


def test_rows_that_each_add_a_rule_take_no_more_room_than_rules_of_programs() -> None:
    rows = b"".join(b"STACK CFI %x r%d: %d\n" % (0x3001 + n, n, n) for n in range(5_000))
    first = b"STACK CFI INIT 3000 10000 .cfa: $rsp 8 + .ra: .cfa -8 + ^\n"
    built = unwind_records.build(first + rows)
    assert len(built) < 1_000_000  # and not some 200 MB
    rules = UnwindCache(built).rules(0xFFFF)
    assert rules and rules[".cfa"] == "$rsp 8 +" and rules["r99"] == "99"
    assert len(join_rules(rules)) <= MAX_SET_CHARS


def test_more_different_rules_than_any_program_has_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unwind_records, "MAX_SETS_CHARS", 1_000_000)
    rule = b".cfa: $rsp 8 + .ra: .cfa -8 + ^ r1: " + b"1 + " * 450
    rows = b"".join(b"STACK CFI INIT %x 1 %b%d\n" % (n, rule, n) for n in range(600))
    assert unwind_records.build(rows[: len(rows) // 2])
    with pytest.raises(FormatError, match="more different rules"):
        unwind_records.build(rows)
