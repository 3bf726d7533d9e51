"""How sure a figure is: percentile bootstrap intervals (Efron 1979), franchise by franchise.

Texts of one franchise share names and a world, so they are no independent draws, and intervals
over texts would be too narrow. What is drawn again and again are therefore whole franchises (the
cluster bootstrap; Davison and Hinkley 1997, section 3.8). Figures over the same texts are drawn
alike, so that their difference has an interval too, in which what makes a text hard or easy for
both cancels out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_RESAMPLES = 1000
_TAIL = 0.025


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A figure, and what it would have been over other franchises."""

    value: float
    resampled: NDArray[np.float64]
    """(resamples,): the n-th of every figure over the same franchises is of the same draw."""

    @property
    def low(self) -> float:
        """Where the interval begins that holds 95 % of the resamples."""
        return float(np.quantile(self.resampled, _TAIL))

    @property
    def high(self) -> float:
        """Where it ends."""
        return float(np.quantile(self.resampled, 1 - _TAIL))

    def __sub__(self, other: Estimate) -> Estimate:
        """The difference of two figures over the same texts, draw by draw."""
        return Estimate(self.value - other.value, self.resampled - other.resampled)

    def exp(self) -> Estimate:
        """Of a figure of which this one is the logarithm."""
        return Estimate(float(np.exp(self.value)), np.exp(self.resampled))


def mean(values: Sequence[float], franchises: Sequence[int]) -> Estimate:
    """Of one value for each text or story."""
    return ratio(values, [1.0] * len(values), franchises)


def ratio(parts: Sequence[float], wholes: Sequence[float], franchises: Sequence[int]) -> Estimate:
    """Of two sums over texts, such as bits over bytes.

    Args:
        parts: one for each text.
        wholes: one for each text, drawn together with its part.
        franchises: to which each text belongs; all of its texts are drawn or none.
    """
    names, place = np.unique(np.asarray(franchises), return_inverse=True)
    above = np.bincount(place, np.asarray(parts, float))
    below = np.bincount(place, np.asarray(wholes, float))
    drawn = np.random.default_rng(0).integers(0, len(names), (_RESAMPLES, len(names)))
    return Estimate(
        float(above.sum() / max(below.sum(), 1e-12)),
        above[drawn].sum(axis=1) / np.maximum(below[drawn].sum(axis=1), 1e-12),
    )
