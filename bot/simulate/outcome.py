"""What came of a simulated week, added up as it goes: a hundred thousand servers fit."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.simulate.assumptions import WEEK

if TYPE_CHECKING:
    from collections.abc import Mapping

FINENESS = 1.05
"""The ratio of a class of waits to the next: a percentile is right to half of that."""
SHORTEST = 0.01
"""Seconds; whatever is shorter counts as this."""
BINS = 7 * 24 * 4
"""Quarters of an hour in a week."""


class Waits:
    """How long so many waited, in classes that grow with the wait."""

    def __init__(self) -> None:
        self._classes: Counter[int] = Counter()
        self.longest = 0.0

    def add(self, seconds: float, count: float = 1.0) -> None:
        """Count some who waited so long."""
        of = math.log(max(seconds, SHORTEST) / SHORTEST) / math.log(FINENESS)
        self._classes[round(of)] += count  # type: ignore[assignment]  # parts of stories count too
        self.longest = max(self.longest, seconds)

    @property
    def count(self) -> float:
        """How many waited."""
        return sum(self._classes.values())

    def percentile(self, percent: float) -> float:
        """Seconds that so many percent did not exceed; of none it is no number."""
        wanted, so_far = self.count * percent / 100, 0.0
        for of, count in sorted(self._classes.items()):
            so_far += count
            if so_far >= wanted * (1 - 1e-9):
                return min(SHORTEST * FINENESS**of, self.longest)
        return math.nan


@dataclass(slots=True)
class Shown:
    """One story, where stories were simulated one by one; moments in seconds."""

    asked: float
    tokens: int
    words_at: float = math.nan
    over_at: float = math.nan
    edits: int = 0


@dataclass
class Outcome:
    """Everything that a week's table and picture need."""

    asked: float = 0
    refused: float = 0
    words: Waits = field(default_factory=Waits)
    """From `/story` to the first words in the channel."""
    queue: Waits = field(default_factory=Waits)
    """Of these seconds, those until a teller took it."""
    late: Waits = field(default_factory=Waits)
    """How much later the last word stood there than it was due."""
    pauses: Waits = field(default_factory=Waits)
    """Between two edits of a text that grows."""
    told: float = 0
    """Stories that were told and shown to the end."""
    whole: float = 0
    """Of these, stories whose first edit was their last: they appeared at once."""
    edits: float = 0
    busiest: float = 0
    """Edits in the busiest second."""
    busy: float = 0
    """Seconds of engines that told something, all replicas together."""
    stories: list[Shown] = field(default_factory=list)
    """Each, where they were simulated one by one."""
    over_time: Mapping[int, Waits] = field(default_factory=lambda: defaultdict(Waits))
    """The waits for first words, by the quarter of an hour in which they were asked for."""

    def began(self, asked: float, queued: float, words: float, count: float = 1.0) -> None:
        """Count stories whose first words stand there: when asked for, and two of its waits."""
        self.words.add(words, count)
        self.queue.add(queued, count)
        self.over_time[min(int(asked / WEEK * BINS), BINS - 1)].add(words, count)

    @property
    def unshown(self) -> float:
        """Stories that were accepted and whose end does not stand in the channel yet."""
        return self.asked - self.refused - self.told
