"""How counts scatter around what was expected of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

_WARM_UP = 12  # hours
_ENOUGH = 36  # hours, from which they say something at all
_PRIOR_HOURS = 48  # that the assumption about a series without a past is worth
_MOST_DISPERSED = 2.2  # an hour's scatter beyond it is a rate that wanders
_LEAST_RELATIVE, _MOST_RELATIVE = 0.06, 0.4
_TRIMMED = 0.04  # of the hours, those furthest out: events
_TRIMMED_TO = 0.795  # of its mean, what trimming leaves of a squared normal deviate
_QUANTILES = ((0.95, 1.645), (0.985, 2.17))  # and where the normal distribution has them


@dataclass(frozen=True, slots=True)
class Spread:
    """The variance of a count of mean m: `dispersion * m + (relative * m) ** 2`.

    Crashes that repeat on one device make `dispersion` more than 1 (Poisson); a
    rate that wanders makes `relative` more than 0 (negative binomial).
    """

    dispersion: float
    relative: float

    def score(self, observed: float, expected: float) -> float:
        """How many deviations the observed count is above the expected one.

        On the scale where the deviation is 1 whatever the mean: Anscombe's
        transformation of the negative binomial (Biometrika 35, 1948).
        """
        return self._stable(observed) - self._stable(expected)

    def _stable(self, count: float) -> float:
        root = math.sqrt(max(0.0, count) / self.dispersion + 0.375)
        return 2 / self.relative * math.asinh(self.relative * root)


def measured(
    expected: Sequence[float], counts: Sequence[int], prior: Spread, odd: Collection[int] = ()
) -> Spread:
    """From the hours of the past but those at `odd`; the longer it is, the less `prior` counts."""
    pairs = sorted(
        (mean, count)
        for i, (mean, count) in enumerate(zip(expected, counts, strict=True))
        if mean > 0.5 and i >= _WARM_UP and i not in odd
    )
    n = len(pairs)
    if n < _ENOUGH:
        return prior
    # The squared deviation over the mean is dispersion + relative^2 * mean: a line through two
    # points, the quiet hours and the busy ones.
    quiet, quiet_at = _scatter(pairs[: n // 2])
    busy, busy_at = _scatter(pairs[n // 2 :])
    slope = (busy - quiet) / (busy_at - quiet_at) if busy_at > 1.3 * quiet_at else 0.0
    dispersed = min(max(1.0, quiet - slope * quiet_at), _MOST_DISPERSED)
    squared = max(0.0, busy - dispersed) / busy_at
    dispersed = (n * dispersed + _PRIOR_HOURS * prior.dispersion) / (n + _PRIOR_HOURS)
    squared = (n * squared + _PRIOR_HOURS * prior.relative**2) / (n + _PRIOR_HOURS)
    found = Spread(dispersed, min(max(math.sqrt(squared), _LEAST_RELATIVE), _MOST_RELATIVE))
    scores = sorted([found.score(count, mean) for mean, count in pairs])
    heavier = max(scores[int(n * at)] / normal for at, normal in _QUANTILES)
    return Spread(found.dispersion, min(found.relative * max(1.0, heavier), _MOST_RELATIVE))


def _scatter(pairs: Sequence[tuple[float, int]]) -> tuple[float, float]:
    ratios = sorted([(count - mean) ** 2 / mean for mean, count in pairs])
    kept = ratios[: math.ceil(len(ratios) * (1 - _TRIMMED))]
    return sum(kept) / len(kept) / _TRIMMED_TO, sum(mean for mean, _ in pairs) / len(pairs)


def widened(spread: Spread, more: Spread) -> Spread:
    """Both at once."""
    return Spread(
        max(spread.dispersion, more.dispersion),
        math.hypot(spread.relative, more.relative),
    )
