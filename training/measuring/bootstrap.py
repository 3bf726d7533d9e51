"""How sure a figure is: percentile bootstrap intervals (Efron 1979)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_RESAMPLES = 1000
_COVERAGE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and the interval that holds 95 % of its resamples."""

    value: float
    low: float
    high: float


def mean(values: Sequence[float]) -> Estimate:
    """Of one value for each text or story."""
    return ratio(values, [1.0] * len(values))


def ratio(parts: Sequence[float], wholes: Sequence[float]) -> Estimate:
    """Of two sums over texts, such as bits over bytes; a text is drawn with both its numbers."""
    above, below = np.asarray(parts, float), np.asarray(wholes, float)
    drawn = np.random.default_rng(0).integers(0, len(above), (_RESAMPLES, len(above)))
    resampled = above[drawn].sum(axis=1) / np.maximum(below[drawn].sum(axis=1), 1e-12)
    tail = (1 - _COVERAGE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Estimate(float(above.sum() / max(below.sum(), 1e-12)), float(low), float(high))
