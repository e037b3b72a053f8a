"""The index of distinct stacks on the table port: who has a term, and how many have it.

One item a term, at most 1 kB: how many stacks and how many reports have it,
and the newest stacks that do. A new stack reads its terms in one request. It
writes those that are not common; what is common is counted by chance and in
steps, so that no term is ever written much more often than a rare one is, and
the item of `main` is no hot key.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from chalicelib import keys
from chalicelib.bucketing.terms import ALL, Term
from chalicelib.storage.ports import Delete, Item, Table, Update, Value

_MAX_POSTINGS = 48  # of a term, the newest: 16 bytes each, so that an item stays below 1 kB
_FINGERPRINT_BYTES = 16

# A service that is still small counts exactly. Beyond that, a count goes on in steps that are taken
# by chance once it is above _EXACT: right on average, within about 15 % or 0.2 bits.
SMALL = 512
_EXACT = 32

# How rare a term is in an index that is still small: each is taken to stand in this share of as
# many stacks as these, besides those that are there.
_PRIOR_STACKS = 20.0
_PRIOR_SHARE = 0.03


@dataclass(frozen=True, slots=True)
class Posting:
    """What the index knows of a term.

    `told` are stacks and reports as its item says them, for a condition on
    it: None where it says nothing, which is not the same as 0 there.
    """

    stacks: int = 0
    reports: int = 0
    packed: bytes = b""  # fingerprints, the newest last
    told: tuple[int | None, int | None] = field(default=(None, None), compare=False)

    def newest(self) -> list[bytes]:
        """The fingerprints of the newest stacks that have the term, as bytes."""
        size, packed = _FINGERPRINT_BYTES, self.packed
        return [packed[at : at + size] for at in range(0, len(packed), size)]

    def without(self, fingerprint: str) -> bytes:
        """`packed` without one stack."""
        gone = bytes.fromhex(fingerprint)
        return b"".join(name for name in self.newest() if name != gone)


class Index:
    """Reads terms, and makes the updates that a new stack or new reports bring."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def read(self, terms: Iterable[Term]) -> dict[Term, Posting]:
        """What is known of each of at most 99 terms, and of all stacks (`terms.ALL`)."""
        wanted = {keys.term(term.key): term for term in (*terms, ALL)}
        items = self._table.batch_get(list(wanted))
        return {term: _posting(items.get(key)) for key, term in wanted.items()}

    def additions(
        self, fingerprint: str, known: Mapping[Term, Posting], crowded: Collection[Term] = ()
    ) -> dict[Term, Update]:
        """The updates that add a new stack, with its first report, to the terms that were read.

        Those of `crowded` terms count it only, whatever was added to them meanwhile.
        """
        if not known:
            return {}
        chance = chance_of(fingerprint)
        total = known[ALL].stacks
        updates = {}
        for term, posting in known.items():
            step = step_of(posting.stacks, total)
            if chance * step < 1:
                counts = {"stacks": step, "reports": step if term.counts_reports else 0}
                add = {name: count for name, count in counts.items() if count}
                if term == ALL or term in crowded:
                    updates[term] = Update(keys.term(term.key), add=add)
                else:
                    updates[term] = _addition(term, posting, add, fingerprint)
        return updates

    def more_reports(
        self, chance: float, reports: int, known: Mapping[Term, Posting]
    ) -> list[Update]:
        """The updates that count more reports (below 0: fewer) for the terms they hold."""
        sign = -1 if reports < 0 else 1
        total = known[ALL].reports
        updates = []
        for term, posting in known.items():
            step = step_of(posting.reports, total)
            if step <= abs(reports):
                step = abs(reports)
            elif chance * step >= abs(reports):
                continue
            updates.append(Update(keys.term(term.key), add={"reports": sign * step}))
        return updates

    def changed(self, term: Term, old: Posting, new: Posting) -> Update | Delete | None:
        """What makes a term's item say `new` where it still says `old`; None where both are one.

        A term that nothing has any more is deleted: not even an empty item is left.
        """
        key = keys.term(term.key)
        if old == new:
            return None
        if not (new.stacks or new.reports or new.packed):
            return Delete(key)
        counts = {"stacks": new.stacks, "reports": new.reports}
        values: dict[str, Value] = {name: count for name, count in counts.items() if count}
        if new.packed:
            values["newest"] = new.packed
        left_out = {"stacks", "reports", "newest"} - values.keys()
        require = dict(zip(("stacks", "reports"), old.told, strict=True))
        return Update(key, set=values, remove=tuple(sorted(left_out)), require=require)


def bits_of(posting: Posting, stacks: int) -> float:
    """How rare a term is among that many stacks: minus log2 of its share."""
    share = (posting.stacks + _PRIOR_STACKS * _PRIOR_SHARE) / (stacks + _PRIOR_STACKS)
    return max(0.0, -math.log2(share))


def bits_of_share(count: int, total: int) -> float:
    """Minus log2 of count / total; 0 where both were counted in steps and count came out higher."""
    return max(0.0, -math.log2(count / max(total, count)))


def step_of(count: int, total: int) -> int:
    """In what steps a count of so many goes on, in an index with that total: a power of two."""
    return 1 if total < SMALL or count < _EXACT else 1 << (count // _EXACT).bit_length()


def chance_of(text: str) -> float:
    """A number from 0 to below 1 that is the same for the same text, and else at random."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _addition(term: Term, posting: Posting, add: Mapping[str, int], fingerprint: str) -> Update:
    packed = (posting.packed + bytes.fromhex(fingerprint))[-_MAX_POSTINGS * _FINGERPRINT_BYTES :]
    return Update(
        keys.term(term.key),
        add=add,
        set={"newest": packed},
        require={"stacks": posting.told[0]},
    )


def _posting(item: Item | None) -> Posting:
    if item is None:
        return Posting()
    told = cast(int | None, item.get("stacks")), cast(int | None, item.get("reports"))
    # What is counted by chance may be taken back more often than it was counted.
    stacks, reports = (max(0, number or 0) for number in told)
    return Posting(stacks, reports, cast(bytes, item.get("newest", b"")), told)
