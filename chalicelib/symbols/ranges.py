"""Address ranges that do not overlap, made of ranges that may.

Breakpad keeps its records in range maps; here the same rules are applied once,
when a cache is built, so that a lookup is one bisection.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_MAX_DEPTH = 64  # real records nest two or three deep; a forged file could nest each in the last


class Range(NamedTuple):
    """The addresses from `start` up to but without `end` belong to the record of this index."""

    start: int
    end: int
    record: int


def apart(entries: Iterable[Range]) -> list[Range]:
    """The ranges by address; one that begins within another, or with it but later, is left out.

    Breakpad's `RangeMap` refuses a range that touches one it has; symbol files
    are written by address, so that is the same but for damaged ones.
    """
    kept: list[Range] = []
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.start):
        if entry.start >= end and entry.end > entry.start:
            kept.append(entry)
            end = entry.end
    return kept


@dataclass(slots=True)
class _Node:
    range: Range
    children: list[_Node] = field(default_factory=list)
    last: list[int] = field(default_factory=list)  # the last address of each child


def innermost(entries: Iterable[Range]) -> list[Range]:
    """For each address the innermost of the ranges that contain it, as ranges apart.

    Breakpad's `ContainedRangeMap`: a range may lie within another or around
    it; one that equals or cuts one that is there already is left out.
    """
    root = _Node(Range(0, 1 << 64, -1))
    for entry in entries:
        if entry.end > entry.start:
            _insert(root, entry)
    flat: list[Range] = []
    _flatten(root, flat)
    return flat


def _insert(root: _Node, entry: Range) -> None:
    node, final = root, entry.end - 1
    for _ in range(_MAX_DEPTH):
        low = bisect_left(node.last, entry.start)
        high = bisect_left(node.last, final)
        children = node.children
        if low == high and low < len(children) and entry.start >= children[low].range.start:
            if children[low].range[:2] == entry[:2]:
                return
            node = children[low]
            continue
        contains_high = high < len(children) and final >= children[high].range.start
        if low < len(children) and entry.start > children[low].range.start:
            return
        if contains_high and final < node.last[high]:
            return
        end = high + 1 if contains_high else high
        made = _Node(entry, children[low:end], node.last[low:end])
        children[low:end] = [made]
        node.last[low:end] = [final]
        return


def _flatten(node: _Node, flat: list[Range]) -> None:
    """The parts of the node's children, in order, with the gaps between them left to the node."""
    own, position = node.range.record, node.range.start
    for child in node.children:
        if own >= 0 and position < child.range.start:
            flat.append(Range(position, child.range.start, own))
        _flatten(child, flat)
        position = child.range.end
    if own >= 0 and position < node.range.end:
        flat.append(Range(position, node.range.end, own))


def over(upper: Sequence[Range], lower: Sequence[Range]) -> list[Range]:
    """Both, each apart and in order, the `upper` ones hiding what lies below them."""
    result: list[Range] = []
    place = 0
    for entry in lower:
        position = entry.start
        while place < len(upper) and upper[place].end <= position:
            result.append(upper[place])
            place += 1
        while place < len(upper) and upper[place].start < entry.end:
            if position < upper[place].start:
                result.append(Range(position, upper[place].start, entry.record))
            position = upper[place].end
            if position > entry.end:
                break
            result.append(upper[place])
            place += 1
        if position < entry.end:
            result.append(Range(position, entry.end, entry.record))
    result.extend(upper[place:])
    return result
