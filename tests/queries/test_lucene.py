"""Lucene's syntax: what each form means, and what is refused, with the column."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import InvalidQuery
from chalicelib.queries.lucene import MAX_CLAUSES, MAX_QUERY_CHARS, parse
from chalicelib.queries.query import (
    And,
    Everything,
    Exists,
    Fuzzy,
    Not,
    Or,
    Phrase,
    Query,
    Range,
    Wildcard,
    Word,
)

A, B, C = Word("a"), Word("b"), Word("c")


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("a", A),
        ("a b", And((A, B))),
        ("a AND b", And((A, B))),
        ("a && b", And((A, B))),
        ("a OR b", Or((A, B))),
        ("a || b", Or((A, B))),
        ("a OR b AND c", Or((A, And((B, C))))),
        ("a b OR c", And((A, Or((B, C))))),
        ("(a OR b) c", And((Or((A, B)), C))),
        ("NOT a", Not(A)),
        ("a -b", And((A, Not(B)))),
        ("a !b", And((A, Not(B)))),
        ("!(a b)", Not(And((A, B)))),
        ('a !"b c"', And((A, Not(Phrase("b c"))))),
        ("!!a", Not(Not(A))),
        ("+a b", And((A, B))),
        ("+a OR b", A),
        ("a OR NOT b", Or((A, Not(B)))),
        ("", Everything()),
        ("  \t\n", Everything()),
        ("*:*", Everything()),
        ("*", Everything()),
        ("((a))", A),
    ],
)
def test_words_are_anded_and_operators_bind_as_in_logic(text: str, query: Query) -> None:
    assert parse(text) == query


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("os:ubuntu", Word("ubuntu", "os")),
        ("os: ubuntu", Word("ubuntu", "os")),
        ("os:(a OR b)", Or((Word("a", "os"), Word("b", "os")))),
        ("os:(a -b) c", And((And((Word("a", "os"), Not(Word("b", "os")))), C))),
        ("stacktrace.function:main", Word("main", "stacktrace.function")),
        ("buckets.4.0.id:x", Word("x", "buckets.4.0.id")),
        ('os:"Ubuntu 8.10"', Phrase("Ubuntu 8.10", "os")),
        (r"my\ field:a", Word("a", "my field")),
        ("*:a", A),
        ("-os:a", Not(Word("a", "os"))),
        ("_exists_:os", Exists("os")),
        ("os:*", Exists("os")),
        ("os:[* TO *]", Exists("os")),
        ("NOT _exists_:os", Not(Exists("os"))),
        ("launchpad:0000450543", Word("0000450543", "launchpad")),
    ],
)
def test_a_field_stands_before_a_colon(text: str, query: Query) -> None:
    assert parse(text) == query


@pytest.mark.parametrize(
    ("text", "query"),
    [
        (r"launchpad\:123", Word("launchpad:123")),
        (r"database_id:launchpad\:123", Word("launchpad:123", "database_id")),
        ('database_id:"launchpad:123"', Phrase("launchpad:123", "database_id")),
        (r"std\:\:string", Word("std::string")),
        (r"a\*b", Word("a*b")),
        (r"\(a\)", Word("(a)")),
        (r"\!a", Word("!a")),
        (r"\AND", Word("AND")),
        (r'"say \"hi\""', Phrase('say "hi"')),
        ('"a*b"', Phrase("a*b")),
        ("g++", Word("g++")),
        ("a-b.c_d", Word("a-b.c_d")),
        ("a!b", Word("a!b")),
        ("a&&b", Word("a&&b")),
        ("TO", Word("TO")),
        ("or", Word("or")),
        ("é:ü", Word("ü", "é")),
    ],
)
def test_a_backslash_or_quotes_take_characters_as_they_are(text: str, query: Query) -> None:
    assert parse(text) == query


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("g_main*", Wildcard("g_main*")),
        ("f:?ain*", Wildcard("?ain*", "f")),
        (r"a\**", Wildcard(r"a\**")),
        ("roam~", Fuzzy("roam", 2)),
        ("roam~1", Fuzzy("roam", 1)),
        ("roam~0.8", Fuzzy("roam", 0)),
        ("function~0.8", Fuzzy("function", 1)),
        ('"a b"~3', Phrase("a b", None, 3)),
        ("a^4 b^0.5", And((A, B))),
        ("(a b)^2", And((A, B))),
        ("a^^", A),
    ],
)
def test_wildcards_fuzzy_words_proximity_and_boosts(text: str, query: Query) -> None:
    assert parse(text) == query


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("f:[a TO b]", Range("a", "b", True, True, "f")),
        ("f:{a TO b}", Range("a", "b", False, False, "f")),
        ("f:[a TO b}", Range("a", "b", True, False, "f")),
        ("f:[3 TO *]", Range("3", None, True, True, "f")),
        ("f:[* TO 3}", Range(None, "3", True, False, "f")),
        ("f:>3", Range("3", None, False, True, "f")),
        ("f:>=3", Range("3", None, True, True, "f")),
        ("f:<3", Range(None, "3", True, False, "f")),
        ("f:<=3", Range(None, "3", True, True, "f")),
        ("f:(>=1 AND <5)", And((Range("1", None, field="f"), Range(None, "5", True, False, "f")))),
        ("f:[-5 TO -1]", Range("-5", "-1", True, True, "f")),
        ("f:>-5", Range("-5", None, False, True, "f")),
        ("f:-5", Word("-5", "f")),
        ("f:-a", Not(Word("a", "f"))),
        ('f:["a b" TO c]', Range("a b", "c", True, True, "f")),
        ("date:[2015-01-01 TO 2015-02-01]", Range("2015-01-01", "2015-02-01", field="date")),
        ("date:>2015-01-01T10:00:00", Range("2015-01-01T10:00:00", None, False, field="date")),
    ],
)
def test_ranges_in_brackets_and_by_comparison(text: str, query: Query) -> None:
    assert parse(text) == query


@pytest.mark.parametrize(
    ("text", "column", "told"),
    [
        ("a (b", 5, "ends too early"),
        ("a )", 3, "closes nothing"),
        ("()", 2, "nothing between"),
        ("a AND", 6, "ends too early"),
        ("AND a", 1, "before and after"),
        ("a && && b", 6, "&&"),
        ('os:"ubuntu', 4, "quote"),
        ("os:", 4, "ends too early"),
        ("Foo::bar", 5, r"\:"),
        ("a:b:c", 3, "inside of the field a"),
        ("x:/a.*b/", 3, "regular expressions"),
        ("dylib:/usr/lib/a.so", 7, "quotes"),
        ("[a TO b", 8, "closing bracket"),
        ("f:[a b]", 6, "quotes"),
        ("f:[a* TO b]", 4, "wildcard"),
        ("a b~3", 3, "at most 2"),
        ("a~1.2.3", 2, "number"),
        ('"a b"~1000', 1, "100"),
        ('"' + "a " * 33 + '"~3', 1, "32 words"),
        ('a ""', 3, "nothing between"),
        ("a*~", 1, "wildcards"),
        ("_exists_:(a b)", 1, "one field"),
        ("_exists_:a*", 1, "wildcard"),
        ("a stack*:b", 3, "wildcard"),
        ("a \\", 3, "backslash"),
        ("(" * 70 + "a" + ")" * 70, 66, "nested"),
        ("a*" + "b" * 200, 1, "128"),
        ("a " * (MAX_CLAUSES + 1), 2 * MAX_CLAUSES + 1, "clauses"),
        ("a" * (MAX_QUERY_CHARS + 1), MAX_QUERY_CHARS + 1, "limit"),
    ],
)
def test_what_is_no_query_is_refused_with_column_and_advice(
    text: str, column: int, told: str
) -> None:
    with pytest.raises(InvalidQuery) as refused:
        parse(text)
    assert refused.value.column == column
    assert told in refused.value.problem
    assert f"column {column}" in str(refused.value)


SPECIAL = [*'ab *?:()[]{}"\\/~^+-!<>=&|.0\n\x00é\u2028\ud800']
PIECES = st.sampled_from(
    [*SPECIAL, " AND ", " OR ", "NOT ", " TO ", "_exists_:", "&&", "||", "a:", "~2", "^1.5"]
)


@given(st.one_of(st.lists(PIECES, max_size=40).map("".join), st.text(max_size=200)))
def test_no_text_raises_anything_but_invalid_query(text: str) -> None:
    try:
        parse(text)
    except InvalidQuery as refused:
        assert 1 <= refused.column <= len(text) + 1


@pytest.mark.parametrize(
    "piece", ["(", "a^", "NOT ", "-", "!", "a:", "a OR ", "(a ", '"', "\\a", "[a "]
)
def test_the_longest_query_of_each_kind_is_answered(piece: str) -> None:
    text = (piece * MAX_QUERY_CHARS)[:MAX_QUERY_CHARS]
    with pytest.raises(InvalidQuery):
        parse(f"{text[:-2]} )")


def test_threads_do_not_disturb_each_other() -> None:
    texts = [f"f{n}:(a{n} OR b) AND NOT c{n}" if n % 3 else f"a{n} (b" for n in range(60)] * 10

    def read(text: str) -> Query | str:
        try:
            return parse(text)
        except InvalidQuery as refused:
            return str(refused)

    expected = [read(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, texts)) == expected


def test_the_grammar_is_loaded_by_the_first_query_without_a_warning_or_a_file() -> None:
    program = """
import os, sys
import app
assert not {"luqum", "ply"} & {name.partition(".")[0] for name in sys.modules}
from chalicelib.queries.lucene import parse
import importlib.util
folder = importlib.util.find_spec("luqum").submodule_search_locations[0]
before = {(e.name, e.stat().st_mtime) for e in os.scandir(folder) if e.is_file()}
parse("a b")
assert {(e.name, e.stat().st_mtime) for e in os.scandir(folder) if e.is_file()} == before
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def documented_queries() -> list[str]:
    """What stands as code in the first column of the table of the syntax."""
    page = Path(__file__).resolve().parents[2] / "docs" / "search.md"
    syntax = page.read_text("utf-8").partition("## Syntax")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \| ", syntax, re.MULTILINE)
    return [text.replace("\\|", "|") for cell in rows for text in re.findall("`([^`]+)`", cell)]


@pytest.mark.parametrize("text", documented_queries())
def test_each_example_of_the_page_is_a_query(text: str) -> None:
    assert parse(text)
