"""Ranges made apart, against the plain reading of the rules."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.symbols import ranges
from chalicelib.symbols.ranges import Range

_PLACES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=12)


def numbered(places: list[tuple[int, int]]) -> list[Range]:
    return [Range(start, start + size, i) for i, (start, size) in enumerate(places)]


def at(entries: list[Range], address: int) -> int | None:
    found = [entry.record for entry in entries if entry.start <= address < entry.end]
    assert len(found) <= 1, "ranges overlap"
    return found[0] if found else None


@given(_PLACES)
def test_ranges_apart_do_not_overlap_and_are_whole(places: list[tuple[int, int]]) -> None:
    entries = numbered(places)
    kept = ranges.apart(entries)
    assert all(one.end <= two.start for one, two in pairwise(kept))
    assert set(kept) <= set(entries)
    for entry in entries:
        if entry.end > entry.start:
            assert any(k.start < entry.end and entry.start < k.end for k in kept)


@given(_PLACES)
def test_the_innermost_of_nested_ranges_has_an_address(places: list[tuple[int, int]]) -> None:
    accepted: list[Range] = []
    for entry in numbered(places):
        cuts = any(
            (o.start < entry.start < o.end < entry.end)
            or (entry.start < o.start < entry.end < o.end)
            or o[:2] == entry[:2]
            for o in accepted
        )
        if entry.end > entry.start and not cuts:
            accepted.append(entry)
    flat = ranges.innermost(numbered(places))
    for address in range(60):
        holding = [entry for entry in accepted if entry.start <= address < entry.end]
        innermost = min(holding, key=lambda e: e.end - e.start, default=None)
        assert at(flat, address) == (innermost.record if innermost else None)


@given(_PLACES, _PLACES)
def test_upper_ranges_hide_lower_ones(
    upper: list[tuple[int, int]], lower: list[tuple[int, int]]
) -> None:
    above = ranges.apart(numbered(upper))
    below = ranges.apart([Range(s, e, r + 100) for s, e, r in numbered(lower)])
    both = ranges.over(above, below)
    assert both == sorted(both)
    for address in range(60):
        expected = at(above, address)
        assert at(both, address) == (at(below, address) if expected is None else expected)


def test_ranges_nested_deeper_than_any_real_ones_are_left_out() -> None:
    nested = [Range(i, 10_000 - i, i) for i in range(2000)]
    assert max(entry.record for entry in ranges.innermost(nested)) < 100
