"""How alike two stacks are, from 0 to 1, and what of it each piece of evidence adds.

Several plain measures, each between 0 and 1, are added up with fixed weights;
a measure that has nothing to say of the two (no message on either side, no
lines known) is left out and the others count for it. That frames near the top
and rare ones say most is the finding of TraceSim (Vasiliev et al. 2020) and
FaST (Rodrigues et al. 2022); that words of type and message add to it is
PartyCrasher's (Campbell et al. 2016).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import mul
from typing import Any, Generic, TypeVar

from chalicelib.bucketing.grades import Grade
from chalicelib.bucketing.stack import Stack, property_words, without_quoted

_T = TypeVar("_T")
_V = TypeVar("_V")

# What a frame of each grade counts. Machinery must not decide, but a stack that holds nothing
# else is still told by it.
_GRADE_WEIGHTS = (0.1, 0.35, 1.0)  # machinery, platform, app

# Closeness to the top falls by e for each _REACH of grade weight above a frame: what stands above
# counts by its grade, so that another runtime's way to raise does not push the crash site down.
_REACH = 2.5
_MIN_BITS = 0.05  # of rarity: a frame that stands in every stack still counts a little
_SITE_FRAMES = 3  # app frames from the top that name the place of a crash

# A site this rare (in one stack of 32) names its crash alone, and its caller may be any. One that
# is in every stack, such as `visit` or `dispatch`, says nothing without its caller. Where neither
# site is in the other stack, no inlining explains that, and the caller counts in full against them.
_RARE_SITE_BITS = 5.0

# Of a message that differs only in what it quotes: it is the same complaint, but what is quoted is
# a name in the code as often as it is a user's data.
_SAME_BUT_FOR_QUOTED = 0.25

# Without `properties` their sum is 1. More than half is for the code, so that a message never
# decides alone; and all that another quoted word can take away is less than what keeps two stacks
# apart, so that a user's data in a message do not split a crash.
WEIGHTS: Mapping[str, float] = {
    "frames": 0.16,  # equal frames, by rarity, grade and closeness to the top
    "site": 0.12,  # the same first frame of the app; less where it is the second or third of one
    "caller": 0.13,  # the same two first frames of the app, the more the commoner the first is
    "place": 0.08,  # the words in the names of the first app frames
    "line": 0.06,  # the same lines in equal frames
    "type": 0.03,  # the same exception type
    "words": 0.05,  # words of the message, by rarity
    "wording": 0.10,  # words of type and message, all alike: the same kind of complaint
    "message": 0.27,  # the same message, but for numbers, paths and addresses
    "properties": 0.40,  # of crashes without frames: the words of all else they say
}


class _once(Generic[_V]):  # noqa: N801 - stands where a decorator stands
    """A property that is computed once: `functools.cached_property` without its lock.

    Until Python 3.12 that takes a lock, which is half of what a comparison
    with a stack costs that was just read. Computing twice does no harm here.
    """

    def __init__(self, compute: Callable[[Any], _V]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, instance: Any, owner: type) -> _V:
        value = self._compute(instance)
        instance.__dict__[self._name] = value
        return value


@dataclass(frozen=True)
class Weighed:
    """A stack with the rarity of each of its frames (`rarity_of`) and message words (in bits)."""

    stack: Stack
    frame_rarity: tuple[float, ...]
    word_bits: tuple[float, ...]

    @_once
    def _pattern(self) -> tuple[tuple[float, ...], tuple[int, ...]]:
        return _pattern_of(bytes(self.stack.grades))

    @property
    def closeness(self) -> tuple[float, ...]:
        """For each frame, its grade's weight times its closeness to the top."""
        return self._pattern[0]

    @property
    def app_frames(self) -> tuple[int, ...]:
        """The places of the first frames of the app."""
        return self._pattern[1]

    @_once
    def frame_weights(self) -> tuple[float, ...]:
        return tuple(map(mul, self.closeness, self.frame_rarity))

    @_once
    def place_of(self) -> Mapping[str, int] | None:
        """Where each frame stands, by its name; None where one stands twice."""
        places = dict(zip(self.stack.frames, range(len(self.stack.frames)), strict=True))
        return places if len(places) == len(self.stack.frames) else None

    @_once
    def sites(self) -> tuple[str, ...]:
        """The first frames of the app, of which the first is the crash site."""
        return tuple(self.stack.frames[at] for at in self.app_frames)

    @_once
    def site_rarity(self) -> float:
        """From 0 for a site that is in every stack to 1 for one that names its crash alone."""
        if not self.app_frames:
            return 0.0
        return min(1.0, self.frame_rarity[self.app_frames[0]] ** 2 / _RARE_SITE_BITS)

    @_once
    def shape(self) -> str:
        """The message without what it quotes."""
        return without_quoted(self.stack.message)

    @_once
    def place_words(self) -> frozenset[str]:
        return _words_of_names(self.sites)

    @_once
    def words(self) -> Mapping[str, float]:
        """The message's words with their weight; the type's own name is no message."""
        bits = zip(self.stack.words, self.word_bits, strict=True)
        return {w: max(b, _MIN_BITS) for w, b in bits if w not in self.stack.types}

    @_once
    def wording(self) -> frozenset[str]:
        named = (part for kind in self.stack.types for part in kind.split("."))
        return frozenset(self.words).union(named)

    @_once
    def told(self) -> frozenset[tuple[str, str]]:
        """The words of a crash without frames, by property."""
        return frozenset(
            (path, word) for path, text in self.stack.properties for word in property_words(text)
        )


@lru_cache(maxsize=65_536)  # most stacks of an app have one of few patterns
def _pattern_of(grades: bytes) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """What the grades of the frames alone say: `closeness` and `app_frames`."""
    above, near = 0.0, []
    for grade in grades:
        weight = _GRADE_WEIGHTS[grade]
        near.append(weight * math.exp(-above / _REACH))
        above += weight
    app = tuple(at for at, grade in enumerate(grades) if grade == Grade.APP)
    return tuple(near), app[:_SITE_FRAMES]


@lru_cache(maxsize=65_536)
def _words_of_names(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset().union(*map(name_words, names))


def rarity_of(bits: float) -> float:
    """The root of a frame's bits: no single rare frame may outweigh all others."""
    return math.sqrt(max(bits, _MIN_BITS))


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measure of likeness: `value` between 0 and 1, `weight` its share in the whole."""

    kind: str
    value: float
    weight: float


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two stacks are, from 0 to 1, and why."""

    value: float
    evidence: tuple[Evidence, ...]


def likeness(one: Weighed, other: Weighed) -> Likeness:
    """Compare two stacks. Symmetric, and 1 for equal ones that have anything to compare."""
    pairs = matched(one, other)
    site = _site(one.sites, other.sites)
    measures = (
        ("frames", _frames(one, other, pairs)),
        ("site", site),
        ("caller", _equal(one.sites[:2], other.sites[:2])),
        ("place", _overlap(one.place_words, other.place_words)),
        ("line", _lines(one, other, pairs)),
        ("type", _equal(one.stack.types[:1], other.stack.types[:1])),
        ("words", _shared(one.words, other.words) if one.words and other.words else None),
        ("wording", _cosine(one.wording, other.wording)),
        ("message", _messages(one, other, site)),
        ("properties", _cosine(one.told, other.told)),
    )
    left_out = max(one.site_rarity, other.site_rarity) if site else 0.0
    known = [
        (kind, value, WEIGHTS[kind] * (1.0 - left_out if kind == "caller" else 1.0))
        for kind, value in measures
        if value is not None
    ]
    total = sum(weight for _, _, weight in known) or 1.0
    evidence = tuple(Evidence(kind, value, weight / total) for kind, value, weight in known)
    return Likeness(sum(item.value * item.weight for item in evidence), evidence)


def matched(one: Weighed, other: Weighed) -> list[tuple[int, int]]:
    """The places of equal frames, each paired once, the first with the first."""
    mine, theirs = one.place_of, other.place_of
    if mine is not None and theirs is not None:  # nearly always
        return [(place, theirs[name]) for name, place in mine.items() if name in theirs]
    names, others = one.stack.frames, other.stack.frames
    places: dict[str, list[int]] = {}
    for place in range(len(others) - 1, -1, -1):
        places.setdefault(others[place], []).append(place)
    pairs = []
    for place, name in enumerate(names):
        free = places.get(name)
        if free:
            pairs.append((place, free.pop()))
    return pairs


def weight_of_pair(one: Weighed, other: Weighed, here: int, there: int) -> tuple[float, float]:
    """What two equal frames share, and what they are together.

    They differ by where they stand only: that one stack came when the frame
    was rarer is no difference, and what has become common says little.
    """
    rarity = min(one.frame_rarity[here], other.frame_rarity[there])
    near, far = one.closeness[here], other.closeness[there]
    return (near * rarity, far * rarity) if near < far else (far * rarity, near * rarity)


def _frames(one: Weighed, other: Weighed, pairs: Sequence[tuple[int, int]]) -> float | None:
    mine, theirs = one.frame_weights, other.frame_weights
    shared, total = 0.0, sum(mine) + sum(theirs)
    for here, there in pairs:
        both, either = weight_of_pair(one, other, here, there)
        shared += both
        total += either - mine[here] - theirs[there]
    return shared / total if total else None


def _lines(one: Weighed, other: Weighed, pairs: Sequence[tuple[int, int]]) -> float | None:
    shared = total = 0.0
    for here, there in pairs:
        line, their_line = one.stack.lines[here], other.stack.lines[there]
        if line is not None and their_line is not None:
            near = min(one.closeness[here], other.closeness[there])
            total += near
            shared += near if line == their_line else 0.0
    return shared / total if total else None


def _site(sites: Sequence[str], others: Sequence[str]) -> float | None:
    """1 for the same crash site; less for one that stands lower in the other, as it was inlined."""
    if not (sites or others):
        return None
    if sites[:1] == others[:1]:
        return 1.0
    lower = [names.index(site) for site, names in _crossed(sites, others) if site in names]
    return 1 / (1 + min(lower)) if lower else 0.0


def _crossed(sites: Sequence[str], others: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Each one's crash site with the first app frames of the other."""
    if sites and others:
        yield sites[0], others
        yield others[0], sites


def _messages(one: Weighed, other: Weighed, site: float | None) -> float | None:
    """Whether both say the same; what is said at another place of the app does not count.

    A runtime's own messages ("... on a null object reference") come from any
    number of causes.
    """
    if not (one.words and other.words):
        return None
    if site == 0.0:
        return 0.0
    if one.stack.message == other.stack.message:
        return 1.0
    return _SAME_BUT_FOR_QUOTED if one.shape == other.shape else 0.0


def _equal(one: object, other: object) -> float | None:
    return float(one == other) if one or other else None


def _shared(one: Mapping[str, float], other: Mapping[str, float]) -> float | None:
    """The weight that both have, of all there is; of two weights of a name the lower counts."""
    shared = total = sum(min(weight, other[name]) for name, weight in one.items() if name in other)
    total += sum(weight for name, weight in one.items() if name not in other)
    total += sum(weight for name, weight in other.items() if name not in one)
    return shared / total if total else None


def _overlap(one: frozenset[str], other: frozenset[str]) -> float | None:
    return len(one & other) / len(one | other) if one or other else None


def _cosine(one: frozenset[_T], other: frozenset[_T]) -> float | None:
    if not (one or other):
        return None
    return len(one & other) / math.sqrt(len(one) * len(other)) if one and other else 0.0


_NAME_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@lru_cache(maxsize=65_536)  # an app's crashes show the same few thousand functions
def name_words(name: str) -> frozenset[str]:
    """The words of a name in CamelCase or with underscores."""
    return frozenset(_NAME_WORD.findall(name))
