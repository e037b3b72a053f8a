"""Why a score is what it is, in the terms and frames of the stacks."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator

from chalicelib.bucketing.assignment import Comparison, FramePair, Weight
from chalicelib.bucketing.similarity import Weighed, likeness, matched, weight_of_pair


def summary(weighed: Weighed) -> tuple[Weight, ...]:
    """The terms of a stack by falling weight; the weights add up to 1."""
    found = [
        Weight("frame", name, value)
        for name, value in zip(weighed.stack.frames, weighed.frame_weights, strict=True)
    ]
    found += [Weight("word", word, math.sqrt(bits)) for word, bits in weighed.words.items()]
    found += [Weight("type", name, 1.0) for name in weighed.stack.types]
    found += [Weight(path, text, 1.0) for path, text in weighed.stack.properties]
    total = sum(entry.value for entry in found) or 1.0
    shares = [Weight(entry.field, entry.term, entry.value / total) for entry in found]
    return tuple(sorted(shares, key=lambda entry: (-entry.value, entry.field, entry.term)))


def compare(one: Weighed, other: Weighed, score: float) -> Comparison:
    """The score of two stacks shared out to what they have in common.

    The terms' values add up to the score; the pairs' values are what equal
    frames alone add.
    """
    found = likeness(one, other)
    per_likeness = score / found.value if found.value else 0.0
    weights = [
        Weight(item.kind, _told(item.kind, one, other), item.value * item.weight * per_likeness)
        for item in found.evidence
    ]
    of_frames = next((item.value for item in weights if item.field == "frames"), 0.0)
    pairs = tuple(_pairs(one, other, of_frames))
    terms = [weight for weight in weights if weight.value and weight.field != "frames"]
    terms += [Weight("frame", pair.left or "", pair.value) for pair in pairs if pair.value]
    return Comparison(score, tuple(sorted(terms, key=lambda term: -term.value)), pairs)


def _told(kind: str, one: Weighed, other: Weighed) -> str:
    """What the two share in one kind of evidence."""
    shared = {
        "site": next((name for name in one.sites if name in other.sites), ""),
        "caller": ", ".join(one.sites[:2]),
        "place": " ".join(sorted(one.place_words & other.place_words)),
        "type": " ".join(one.stack.types[:1]),
        "words": " ".join(word for word in one.words if word in other.words),
        "wording": " ".join(sorted(one.wording & other.wording)),
        "message": one.stack.message,
        "properties": " ".join(sorted(word for _, word in one.told & other.told)),
    }
    return shared.get(kind, kind)


def _pairs(one: Weighed, other: Weighed, value: float) -> Iterator[FramePair]:
    """Both stacks from the top, equal frames side by side; `value` is shared out to those."""
    frames, others = one.stack.frames, other.stack.frames
    partners = dict(matched(one, other))
    shares = {at: weight_of_pair(one, other, at, to)[0] for at, to in partners.items()}
    total = sum(shares.values()) or 1.0
    lonely = deque(at for at in range(len(others)) if at not in set(partners.values()))
    for place, name in enumerate(frames):
        partner = partners.get(place)
        while partner is not None and lonely and lonely[0] < partner:
            yield FramePair(None, others[lonely.popleft()], 0.0)
        right = None if partner is None else others[partner]
        yield FramePair(name, right, shares.get(place, 0.0) / total * value)
    yield from (FramePair(None, others[at], 0.0) for at in lonely)
