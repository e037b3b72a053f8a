"""Assign a stack to its buckets: the one interface that processing uses.

First form: a stack's buckets are its own, at every threshold; equal
fingerprints share them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chalicelib import keys
from chalicelib.bucketing.stack import Stack
from chalicelib.storage.ports import ConditionFailed, Item, Put, Table

THRESHOLDS = ("1.0", "2.0", "3.0", "3.5", "4.0", "4.5", *(f"{whole}.0" for whole in range(5, 12)))
DEFAULT_THRESHOLD = "4.0"  # the value PartyCrasher's authors found most useful


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where a stack belongs: a bucket's id for every threshold."""

    fingerprint: str
    buckets: Mapping[str, str]

    @property
    def default_bucket(self) -> str:
        return self.buckets[DEFAULT_THRESHOLD]


class Bucketing:
    """Knows stacks and the table port, nothing of reports, apps or doors."""

    def __init__(self, table: Table, thresholds: Sequence[str] = THRESHOLDS) -> None:
        self._table = table
        self._thresholds = tuple(thresholds)

    def assign(self, stack: Stack, founder: str) -> Assignment:
        """The buckets of this stack, opened now if it is a new one.

        `founder` names the buckets it may open. Of two callers with the same
        new stack at the same moment one opens them, and both get those. A
        stack with nothing to compare founds its own buckets.
        """
        fingerprint = stack.fingerprint or f"alone-{founder}"
        key = keys.stack(fingerprint)
        stored = self._table.get(key)
        if stored is None:
            buckets = dict.fromkeys(self._thresholds, founder)
            item: Item = {
                "pk": key.pk,
                "sk": key.sk,
                "buckets": buckets,
                "frames": list(stack.frames),
            }
            try:
                self._table.write([Put(item, if_absent=True)])
            except ConditionFailed:
                stored = self._table.get(key)
            else:
                return Assignment(fingerprint, buckets)
        assert stored is not None
        return Assignment(fingerprint, cast(Mapping[str, str], stored["buckets"]))
