"""Which documents a query matches, by words, wildcards, ranges; and that it never takes long."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import InvalidQuery
from chalicelib.queries.document import MAX_CHARS, MAX_VALUES, DocumentBuilder
from chalicelib.queries.lucene import parse
from chalicelib.queries.matching import matches
from chalicelib.queries.wildcards import matcher, needle

REPORT = {
    "os": "Ubuntu 8.10",
    "Package": "nspluginwrapper 1.2.2-0ubuntu5",
    "cpu": "i386",
    "depth": 12,
    "load": "-0.5",
    "crashed": True,
    "nothing": None,
    "version": "10.3.1",
    "seen": "2007-06-18T19:23:43",
    "day": "2007-06-18",
    "path": "/usr/lib/libfoo.so.6",
    "empty": "",
    "tags": ["needs-retrace", "apport-crash"],
    "symbols": "++ -- ++",
    "greek": "ΟΔΥΣΣΕΥΣ",
    "internal": {"token": "secret"},
    "stacktrace": [
        {"depth": "0", "function": "g_main_loop_run", "args": ["loop=0x0"]},
        {"depth": "1", "function": "nsCOMPtr::get() const", "dylib": "/usr/lib/libxul.so"},
    ],
}


def found(query: str, report: dict[str, object] | None = None) -> bool:
    builder = DocumentBuilder()
    for name, value in (REPORT if report is None else report).items():
        add = builder.add_by_name_only if name == "internal" else builder.add
        add(name, value)
    return matches(parse(query), builder.document())


@pytest.mark.parametrize(
    "query",
    [
        "os:ubuntu",
        "OS:UBUNTU",
        'os:"ubuntu 8.10"',
        "os:8.10",
        'Package:"nspluginwrapper 1.2.2-0ubuntu5"',
        "Package:1.2.2-0ubuntu5",
        "Package:0ubuntu5",
        "1.2.2-0ubuntu5",
        "tags:needs-retrace",
        "tags:retrace tags:apport",
        "stacktrace.function:g_main_loop_run",
        "stacktrace.function:main",
        "stacktrace:main",
        "function:main OR g_main_loop_run",
        r"stacktrace.function:nsCOMPtr\:\:get",
        '"nsCOMPtr::get() const"',
        'path:"/usr/lib/libfoo.so.6"',
        "path:libfoo.so.6",
        "depth:12",
        "crashed:true",
        "load:-0.5",
        r"symbols:\+\+",
        "greek:οδυσσευς",
        "internal.token:secret",
        "*:*",
        "",
        "*:ubuntu",
    ],
)
def test_a_word_or_phrase_is_found_in_any_case_and_by_its_parts(query: str) -> None:
    assert found(query)


@pytest.mark.parametrize(
    "query",
    [
        "os:debian",
        "cpu:ubuntu",
        "ubunt",
        "os:buntu",
        '"8.10 ubuntu"',
        "Package:1.2.0ubuntu5",
        "depth:-12",
        "secret",
        "nothing:null",
        "launchpad:1",
        "stack:main",
        "nosuch:*",
    ],
)
def test_what_is_not_there_is_not_found(query: str) -> None:
    assert not found(query)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("os:ubuntu cpu:i386", True),
        ("os:ubuntu cpu:amd64", False),
        ("os:(debian OR ubuntu)", True),
        ("os:(debian ubuntu)", False),
        ("os:ubuntu -cpu:amd64", True),
        ("NOT os:ubuntu", False),
        ("os:debian OR os:ubuntu AND cpu:amd64", False),
        ("+os:ubuntu OR cpu:amd64", True),
        ("+os:debian OR cpu:i386", False),
        ("_exists_:os", True),
        ("_exists_:stacktrace", True),
        ("_exists_:stacktrace.args", True),
        ("_exists_:empty", True),
        ("_exists_:nothing", False),
        ("-_exists_:nosuch", True),
    ],
)
def test_operators_and_existence(query: str, expected: bool) -> None:
    assert found(query) is expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("os:ubu*", True),
        ("os:*ntu", True),
        ("os:u?untu", True),
        ("os:?buntu", True),
        ("os:buntu*", False),
        ("os:ubuntu*10", True),
        ("Package:1.2.2*", True),
        ("stacktrace.function:g_main*", True),
        ("stacktrace.function:*loop_run", True),
        ("stacktrace.function:nscomptr*", True),
        ("g_*_run", True),
        ("path:*libfoo.so*", True),
        ("path:*libfoo.so", False),
        ("path:*.so.?", True),
        (r"symbols:\+*", True),
        ("ubunto~", True),
        ("ubunto~1", True),
        ("bbunto~1", False),
        ("os:debian~2", False),
        ('Package:"nspluginwrapper 0ubuntu5"', False),
        ('Package:"nspluginwrapper 0ubuntu5"~3', True),
        ('Package:"nspluginwrapper 0ubuntu5"~2', False),
        ('os:"10 ubuntu"~3', True),
        ('os:"10 ubuntu"~2', False),
    ],
)
def test_wildcards_fuzzy_words_and_proximity(query: str, expected: bool) -> None:
    assert found(query) is expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("depth:[2 TO 12]", True),
        ("depth:[2 TO 12}", False),
        ("depth:>=12", True),
        ("depth:>12", False),
        ("depth:<100", True),
        ("load:[-1 TO 0]", True),
        ("load:>-0.5", False),
        ("os:[1 TO 9]", False),
        ("version:[9.9.9 TO 10.3.1]", True),
        ("version:[10 TO 10.4]", True),
        ("version:<9.9.9", False),
        ("cpu:[i TO j]", True),
        ("cpu:{i386 TO j]", False),
        ('os:["ubuntu 8" TO "ubuntu 9"]', True),
        ("os:[ubuntu TO ubuntv]", True),
    ],
)
def test_ranges_compare_numbers_versions_and_texts_as_such(query: str, expected: bool) -> None:
    assert found(query) is expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("seen:2007-06-18", True),
        ("seen:2007-06", True),
        ("seen:2007-06-17", False),
        ("seen:2007", True),
        ("seen:2007-06-18T19:23:43", True),
        ("seen:2007-06-18T19:23", True),
        ('seen:"2007-06-18T21:23:43+02:00"', True),
        ("seen:2007-06-18T19:24", False),
        ("seen:2007-06*", True),
        ("seen:[2007-06-18 TO 2007-06-18]", True),
        ("seen:[2007-06-18 TO 2007-06-18}", False),
        ("seen:>2007-06-18", False),
        ("seen:>2007-06-17", True),
        ("seen:[2006 TO 2007]", True),
        ("seen:[2008 TO *]", False),
        ("seen:<=2007", True),
        ("seen:<2007", False),
        ("seen:[2007-06-18T19:00:00 TO 2007-06-18T19:23:43]", True),
        ("day:[2007-06-01 TO 2007-06-18]", True),
        ("day:>2007-06-17T23:59:59", True),
        ("day:[2015-02-29 TO *]", False),
    ],
)
def test_a_date_means_all_of_its_day_month_or_year(query: str, expected: bool) -> None:
    assert found(query) is expected


def test_a_bound_that_is_no_date_is_compared_as_text() -> None:
    assert found("day:[2015-02-29 TO *]", {"day": "2015-02-3x"})


LETTERS = st.text(alphabet="ab.", max_size=12)


@given(st.text(alphabet="ab.*?", min_size=1, max_size=8), LETTERS)
def test_wildcards_mean_what_a_regular_expression_says(pattern: str, text: str) -> None:
    shape = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    assert matcher(pattern)(text) is bool(re.fullmatch(shape, text))
    assert needle(pattern) in text or not matcher(pattern)(text)


WORDS = st.text(alphabet="ab", max_size=6)


@given(WORDS, WORDS, st.integers(0, 2))
def test_a_fuzzy_word_is_near_by_edit_distance(left: str, right: str, edits: int) -> None:
    from chalicelib.queries.matching import _is_near

    def distance(one: str, two: str) -> int:
        if not one or not two:
            return len(one) + len(two)
        return min(
            distance(one[1:], two) + 1,
            distance(one, two[1:]) + 1,
            distance(one[1:], two[1:]) + (one[0] != two[0]),
        )

    assert _is_near(left, right, edits) is (distance(left, right) <= edits)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)
QUERY = st.lists(
    st.sampled_from(["a", "A1", "*", "?", ":", " ", "~", '"', "(", ")", "-", "[1 TO b]", ">2015"]),
    max_size=20,
).map("".join)


@given(QUERY, st.dictionaries(st.text(max_size=5), JSON))
def test_no_query_fails_on_any_report(query: str, report: dict[str, object]) -> None:
    try:
        asked = parse(query)
    except InvalidQuery:
        return
    builder = DocumentBuilder()
    for name, value in report.items():
        builder.add(name, value)
    matches(asked, builder.document())


@pytest.mark.parametrize(
    "query",
    [
        "*a" * 60 + "b",
        "*" + "a" * 120 + "b*",
        "?" * 120 + "b",
        "*" + "?a" * 60 + "b*",
        "*a?a" * 30 + "b",
        '"' + "a " * 2000 + 'b"',
        '"' + "a " * 31 + 'b"~100',
        "a" * 100 + "~2",
        " OR ".join(f"*a{n}a*" for n in range(50)),
    ],
)
def test_no_query_takes_long_on_a_report_made_for_it(query: str) -> None:
    report = {"long": "a" * 150_000, "spaced": "a " * 75_000, "words": ["a" * 100] * 1500}
    started = time.process_time()
    found(query, report)
    assert time.process_time() - started < 2.0


def test_a_report_is_searched_up_to_its_bounds() -> None:
    builder = DocumentBuilder()
    for _ in range(MAX_VALUES + 10):
        builder.add("a", "x")
    assert len(list(builder.document().values("a"))) == MAX_VALUES
    assert not found("b", {"long": "x" * MAX_CHARS, "after": "b"})
