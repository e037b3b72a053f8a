"""Assign a stack to its buckets: the one interface that the rest of the service uses.

First form: a stack's buckets are its own, at every threshold; equal
fingerprints share them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from chalicelib import keys
from chalicelib.bucketing.assignment import (
    TOP_SCORE,
    Assignment,
    Comparison,
    Founder,
    FramePair,
    Match,
    Preview,
    Weight,
)
from chalicelib.bucketing.stack import Stack
from chalicelib.storage.ports import ConditionFailed, Item, Put, Table

THRESHOLDS = ("1.0", "2.0", "3.0", "3.5", "4.0", "4.5", *(f"{whole}.0" for whole in range(5, 12)))
DEFAULT_THRESHOLD = "4.0"  # the value PartyCrasher's authors found most useful


class Bucketing:
    """Knows stacks and the table port, nothing of reports, apps or doors."""

    def __init__(
        self,
        table: Table,
        thresholds: Sequence[str] = THRESHOLDS,
        default_threshold: str = DEFAULT_THRESHOLD,
    ) -> None:
        self._table = table
        self.thresholds = tuple(thresholds)
        self.default_threshold = default_threshold

    def assign(self, stack: Stack, founder: Founder, forced: str | None = None) -> Assignment:
        """The buckets of this stack, opened now if it is a new one.

        `founder` names the buckets it may open. Of two callers with the same
        new stack at the same moment one opens them, and both get those. A
        stack with nothing to compare founds its own buckets. `forced` puts
        the report into that bucket at every threshold, whatever it is like.
        """
        fingerprint = stack.fingerprint or f"alone-{founder.database_id}"
        if forced is not None:
            fingerprint = f"forced-{fingerprint}-{forced}"
        key = keys.stack(fingerprint)
        stored = self._table.get(key)
        if stored is None:
            buckets = dict.fromkeys(self.thresholds, forced or founder.database_id)
            item: Item = {
                "pk": key.pk,
                "sk": key.sk,
                "buckets": buckets,
                "frames": list(stack.frames),
                "founder": founder.database_id,
                "founder_app": founder.app_id,
            }
            try:
                self._table.write([Put(item, if_absent=True)])
            except ConditionFailed:
                stored = self._table.get(key)
            else:
                return Assignment(fingerprint, buckets, founder)
        assert stored is not None
        return _assignment(fingerprint, stored)

    def preview(self, stack: Stack) -> Preview:
        """Where the stack would go; nothing is stored."""
        stored = self._table.get(keys.stack(stack.fingerprint)) if stack.fingerprint else None
        if stored is None or stack.fingerprint is None:
            return Preview(dict.fromkeys(self.thresholds))
        known = _assignment(stack.fingerprint, stored)
        return Preview(known.buckets, Match(known.fingerprint, known.founder, TOP_SCORE))

    def assignments(self, fingerprints: Sequence[str]) -> Mapping[str, Assignment]:
        """What was decided for stored stacks, by fingerprint."""
        wanted = {keys.stack(fingerprint): fingerprint for fingerprint in fingerprints}
        found = self._table.batch_get(list(wanted))
        return {wanted[key]: _assignment(wanted[key], item) for key, item in found.items()}

    def functions(self, fingerprints: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """The names of the frames of stored stacks, by fingerprint."""
        wanted = {keys.stack(fingerprint): fingerprint for fingerprint in fingerprints}
        found = self._table.batch_get(list(wanted))
        return {wanted[key]: cast(Sequence[str], item["frames"]) for key, item in found.items()}

    def summary(self, stack: Stack) -> tuple[Weight, ...]:
        """What makes the stack what it is: its terms by falling weight."""
        return tuple(Weight("frame", name, 1.0) for name in stack.frames)

    def compare(self, stack: Stack, other: Stack) -> Comparison:
        """How alike two stacks are, with every term's share and the frames side by side."""
        score = TOP_SCORE if stack == other else 0.0
        pairs = tuple(FramePair(name, None, 0.0) for name in stack.frames)
        return Comparison(score, (), pairs)

    def rarity(self, functions: Sequence[str]) -> Mapping[str, float]:
        """For each function: minus log2 of the share of all reports that hold it (`logdf`, bits).

        Functions that no report holds are left out.
        """
        return dict.fromkeys(functions, 0.0)


def _assignment(fingerprint: str, stored: Item) -> Assignment:
    return Assignment(
        fingerprint,
        cast(Mapping[str, str], stored["buckets"]),
        Founder(cast(str, stored["founder"]), cast(str, stored["founder_app"])),
    )
