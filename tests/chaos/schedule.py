"""Which faults happen when: fixed by the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault, from its beginning to its end."""

    at: float
    """Seconds after the first could begin."""
    kind: str
    lasts: float
    """Seconds; those that are a moment's end at once, whatever stands here."""
    seed: int
    """For what is chosen within it."""


def plan(seed: int, kinds: Sequence[str], seconds: float, every: float) -> list[Planned]:
    """Plan faults, one about `every` seconds; every kind comes before one comes twice.

    Faults overlap: that is when the interesting things happen.
    """
    rng = random.Random(seed)
    planned: list[Planned] = []
    left: list[str] = []
    at = rng.expovariate(1 / every)
    while at < seconds:
        if not left:
            left = rng.sample(list(kinds), len(kinds))
        lasts = min(rng.uniform(2, 10), seconds - at)
        planned.append(Planned(at, left.pop(), lasts, rng.randrange(1 << 30)))
        at += rng.expovariate(1 / every)
    return planned
