"""How counts scatter around what was expected of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

_ROUNDS = 3  # of reweighting: the estimates hardly move after them
_CLIPPED_AT = 3.5  # deviations: what is further out is an event, not noise
_WARM_UP = 12  # hours
_PRIOR_HOURS = 48  # that the assumption about a series without a past is worth
_LEAST_RELATIVE = 0.08
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
    pairs = [
        (mean, count)
        for i, (mean, count) in enumerate(zip(expected, counts, strict=True))
        if mean > 0.5 and i >= _WARM_UP and i not in odd
    ]
    dispersed, squared = prior.dispersion, prior.relative**2
    for _ in range(_ROUNDS):
        # Least squares of (count - mean)^2 / mean on mean, weighted by its variance.
        sw = sx = sy = sxx = sxy = 0.0
        for mean, count in pairs:
            scale = dispersed + squared * mean
            ratio = min((count - mean) ** 2 / mean, _CLIPPED_AT**2 * scale)
            weight = 1 / (scale * scale)
            sw += weight
            sx += weight * mean
            sy += weight * ratio
            sxx += weight * mean * mean
            sxy += weight * mean * ratio
        # What the prior says, as so many hours at both ends.
        weight = _PRIOR_HOURS / max(len(pairs), 1)
        for mean in (sx / sw if sw else 10.0, 100.0):
            w = weight * (sw if sw else 1.0) / 2
            ratio = prior.dispersion + prior.relative**2 * mean
            sw += w
            sx += w * mean
            sy += w * ratio
            sxx += w * mean * mean
            sxy += w * mean * ratio
        spread = sw * sxx - sx * sx
        slope = (sw * sxy - sx * sy) / spread if spread > 1e-9 * sw * sxx else 0.0
        slope = min(max(slope, 0.0), sy / sx if sx else 0.0)
        squared = max(slope, _LEAST_RELATIVE**2)
        dispersed = max(1.0, (sy - squared * sx) / sw)
    found = Spread(dispersed, math.sqrt(squared))
    scores = sorted(found.score(count, mean) for mean, count in pairs)
    if len(scores) < _WEEK_OF_HOURS:
        return found
    heavier = max(scores[int(len(scores) * at)] / normal for at, normal in _QUANTILES)
    heavier = max(1.0, heavier)
    return Spread(found.dispersion * heavier**2, found.relative * heavier)


_WEEK_OF_HOURS = 168


def widened(spread: Spread, more: Spread) -> Spread:
    """Both at once."""
    return Spread(
        max(spread.dispersion, more.dispersion),
        math.hypot(spread.relative, more.relative),
    )
