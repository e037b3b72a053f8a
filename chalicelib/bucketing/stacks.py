"""Stored stacks: what bucketing keeps of each, and how it lies in the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from chalicelib import keys
from chalicelib.bucketing.assignment import Founder, Match
from chalicelib.bucketing.grades import Grade
from chalicelib.bucketing.similarity import Weighed, rarity_of
from chalicelib.bucketing.stack import Stack
from chalicelib.storage.ports import Item, Operation, Put, Table

_GRADES = {str(int(grade)): grade for grade in Grade}
_CACHED_STACKS = 4096  # of a process: 10 MB at most


@dataclass(frozen=True, slots=True)
class KnownStack:
    """A stored stack with its buckets, and the weights its terms had when it came."""

    fingerprint: str
    weighed: Weighed
    buckets: Mapping[str, str]
    founder: Founder
    match: Match | None
    is_indexed: bool  # its terms name it: not so where it only repeats what another said

    def counted_in(self, app_id: str) -> int:
        """Reports of an app that were counted for the stack's functions when it was stored."""
        return int(self.is_indexed and self.founder.app_id == app_id)

    def is_forced(self, founder: Founder, bucket_id: str) -> bool:
        """Whether this founder's report brought the stack, forced into that bucket."""
        return self.founder == founder and set(self.buckets.values()) == {bucket_id}


class Stacks:
    """Reads stored stacks; what never changes of them is kept for the next comparison."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._cache: dict[str, Weighed] = {}

    def read(self, fingerprints: Sequence[str]) -> dict[str, KnownStack]:
        """The stacks that exist, of at most 100, as they are now."""
        if not fingerprints:
            return {}
        wanted = {keys.stack(fingerprint): fingerprint for fingerprint in fingerprints}
        items = self._table.batch_get(list(wanted))
        return {wanted[key]: _known(wanted[key], item) for key, item in items.items()}

    def weighed(self, fingerprints: Sequence[str]) -> dict[str, Weighed]:
        """Those of the stacks that are there, or were some time ago: what is compared stays."""
        found = {name: self._cache[name] for name in fingerprints if name in self._cache}
        wanted = {keys.stack(name): name for name in fingerprints if name not in found}
        if wanted:
            items = self._table.batch_get(list(wanted))
            read = {wanted[key]: _weighed(item) for key, item in items.items()}
            if len(self._cache) + len(read) > _CACHED_STACKS:
                self._cache = {}
            self._cache.update(read)
            found.update(read)
        return found

    def current(self, fingerprint: str) -> KnownStack | None:
        """A stack as it is now; None where it was deleted since it was read."""
        known = self.read([fingerprint]).get(fingerprint)
        if known is None:
            self._cache.pop(fingerprint, None)
        return known


def puts_of(known: KnownStack) -> list[Operation]:
    """The stack's item, which must be new, and its place in each of its buckets."""
    thresholds: dict[str, list[str]] = {}
    for threshold, bucket_id in known.buckets.items():
        thresholds.setdefault(bucket_id, []).append(threshold)
    puts: list[Operation] = [Put(_item(known), if_absent=True)]
    for bucket_id, names in thresholds.items():
        key = keys.member(bucket_id, known.fingerprint)
        puts.append(Put({"pk": key.pk, "sk": key.sk, "thresholds": names}))
    return puts


def content_put(content: str, fingerprint: str) -> Put:
    """Names the first stack without frames that says just this; must be new."""
    key = keys.content(content)
    return Put({"pk": key.pk, "sk": key.sk, "fingerprint": fingerprint}, if_absent=True)


def thresholds_of(member: Item) -> Sequence[str]:
    """At which thresholds a stack is in the bucket of its `keys.member` item."""
    return cast(Sequence[str], member["thresholds"])


def messages_of(item: Item | None) -> int:
    """How many messages a stack has been seen with, from its `keys.stack_messages` item."""
    return cast(int, item["messages"]) if item else 0


def _item(known: KnownStack) -> Item:
    key = keys.stack(known.fingerprint)
    stack, weighed = known.weighed.stack, known.weighed
    item: dict[str, Any] = {
        "pk": key.pk,
        "sk": key.sk,
        "buckets": dict(known.buckets),
        "founder": known.founder.database_id,
        "founder_app": known.founder.app_id,
        "types": list(stack.types),
        "message": stack.message,
        "words": list(stack.words),
        "frames": list(stack.frames),
        "grades": "".join(str(int(grade)) for grade in stack.grades),
        "lines": list(stack.lines),
        "properties": [list(entry) for entry in stack.properties],
        "frame_bits": _packed([rarity**2 for rarity in weighed.frame_rarity]),
        "word_bits": _packed(weighed.word_bits),
        "indexed": known.is_indexed,
    }
    if known.match is not None:
        item["match"] = {
            "fingerprint": known.match.fingerprint,
            "founder": known.match.founder.database_id,
            "founder_app": known.match.founder.app_id,
            "score": f"{known.match.score:.6f}",
        }
    return item


def _known(fingerprint: str, item: Item) -> KnownStack:
    values = cast(dict[str, Any], item)
    match = values.get("match")
    return KnownStack(
        fingerprint,
        _weighed(item),
        values["buckets"],
        Founder(values.get("founder", fingerprint), values.get("founder_app", "")),
        _match(match) if match else None,
        values.get("indexed", False),
    )


def _weighed(item: Item) -> Weighed:
    values = cast(dict[str, Any], item)
    stack = Stack(
        types=tuple(values.get("types", ())),
        frames=tuple(values["frames"]),
        message=values.get("message", ""),
        words=tuple(values.get("words", ())),
        grades=tuple(map(_GRADES.__getitem__, values.get("grades", ""))),
        lines=tuple(values.get("lines", ())),
        properties=tuple((path, text) for path, text in values.get("properties", ())),
    )
    return Weighed(
        stack,
        tuple(map(_RARITIES.__getitem__, values.get("frame_bits", b""))),
        tuple(map(_BITS.__getitem__, values.get("word_bits", b""))),
    )


def _match(values: Mapping[str, str]) -> Match:
    founder = Founder(values["founder"], values["founder_app"])
    return Match(values["fingerprint"], founder, float(values["score"]))


# Bits of rarity as one byte each, in steps of 1/8: nothing is rarer than 31.9 bits.
_BITS = tuple(byte / 8 for byte in range(256))
_RARITIES = tuple(map(rarity_of, _BITS))


def _packed(bits: Sequence[float]) -> bytes:
    return bytes(min(255, round(value * 8)) for value in bits)
