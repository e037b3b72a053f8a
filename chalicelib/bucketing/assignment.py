"""What bucketing answers: where a stack belongs, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TOP_SCORE = 12.0  # two equal stacks; no threshold is above it
THRESHOLDS = ("1.0", "2.0", "3.0", "3.5", "4.0", "4.5", *(f"{whole}.0" for whole in range(5, 12)))
DEFAULT_THRESHOLD = "4.0"  # the value PartyCrasher's authors found most useful


@dataclass(frozen=True, slots=True)
class Founder:
    """The report that brought a stack first; its `database_id` names the buckets it opens."""

    database_id: str
    app_id: str


@dataclass(frozen=True, slots=True)
class Match:
    """The closest stack known before, by the report that brought it; `score` from 0 to 12."""

    fingerprint: str
    founder: Founder
    score: float


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where a stack belongs: a bucket's id for every threshold, and what decided it.

    `match` is the closest stack when this one was new; None if nothing was near.
    """

    fingerprint: str
    buckets: Mapping[str, str]
    founder: Founder
    match: Match | None = None

    def match_of(self, database_id: str) -> Match | None:
        """The top match of one of the stack's reports: for all but the first, the first."""
        if database_id == self.founder.database_id:
            return self.match
        return Match(self.fingerprint, self.founder, TOP_SCORE)


@dataclass(frozen=True, slots=True)
class Preview:
    """Where a stack would belong; None at a threshold where it would open a bucket."""

    buckets: Mapping[str, str | None]
    match: Match | None = None


@dataclass(frozen=True, slots=True)
class Weight:
    """What one term adds: `field` says of what kind it is (frame, type, word, ...)."""

    field: str
    term: str
    value: float


@dataclass(frozen=True, slots=True)
class FramePair:
    """Two frames that an alignment puts side by side; None where one side has none.

    `value` is what the pair adds to the score, 0 for a frame without a partner.
    """

    left: str | None
    right: str | None
    value: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """How alike two stacks are: the terms' values add up to the score's evidence."""

    score: float
    terms: tuple[Weight, ...]
    frames: tuple[FramePair, ...]
