"""What a simulation takes for granted: machines as they were measured, and what members do.

docs/scale.md names the command that measured each figure of a machine. How much members ask for
is nobody's measurement, and can be given on the command line.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SECOND, HOUR, DAY, WEEK = 1.0, 3600.0, 86_400.0, 604_800.0
EVENING = 20.5
"""The hour at which most is asked for."""
WEEKEND = 1.25
"""How many times as much is asked for on its two days."""
SHARPNESS = 1.2
"""How much of a day's asking gathers around the evening: then it is 2.4 times the mean."""
VIRAL_DAY, VIRAL_HOUR = 5, 21.0
"""Of the week, Monday being 0: Saturday, from nine to ten in the evening."""
TOKENS = (40, 64, 79, 92, 102, 115, 133, 147, 168, 200, 220)
"""Deciles of a story's length, of 520 stories of gpt2-starter (`bench --arriving`)."""
WORDS_PER_TOKEN = 0.77
LEAD = 6
"""Tokens that a story is ahead of what is shown of it: its prompt is read meanwhile, and a word
that may still become something unfit is held back."""


@dataclass(frozen=True)
class Replica:
    """A generator on some machine."""

    name: str
    steps: Mapping[int, float]
    """Seconds that a step takes, by how many stories are told in it; between two, a line."""
    slots: int = 32
    most: float = math.inf
    """Tokens a second that can leave it, however many its engine draws."""

    @classmethod
    def of_speeds(
        cls, name: str, speeds: Mapping[int, float], slots: int = 32, most: float = math.inf
    ) -> Replica:
        """Describe one by its tokens a second, by how many stories are told together."""
        steps = {stories: stories / speed for stories, speed in sorted(speeds.items())}
        return cls(name, steps, slots, most)

    @cached_property
    def _line(self) -> tuple[tuple[int, float], ...]:
        return tuple(sorted(self.steps.items()))

    def step(self, stories: float) -> float:
        """Seconds until each of so many stories has one token more."""
        line = self._line
        if len(line) == 1 or stories <= line[0][0]:
            drawn = line[0][1]
        else:
            at = min(bisect_right([one for one, _ in line], stories), len(line) - 1)
            (low, begin), (high, end) = list(pairwise(line))[at - 1]
            drawn = begin + (end - begin) * (stories - low) / (high - low)
        return max(drawn, stories / self.most)

    def tokens_a_second(self, stories: float) -> float:
        """Of all of them together."""
        return stories / self.step(stories)


SMALL_MACHINE = Replica.of_speeds("two cores with its bot", {8: 675})
"""gpt2-starter beside its bot on the same two cores, as `simulate --check` found them (654 to 724
on an AMD EPYC with AVX2); fewer stories are taken to need as long a step as eight."""
TWO_CORES = Replica.of_speeds("two cores", {1: 991, 8: 2_698, 32: 3_157})
"""gpt2-starter over HTTP on an AMD EPYC with AVX-512 VNNI (docs/engine.md)."""
GPU = Replica.of_speeds("a GPU", {1: 2_478, 32: 84_070}, most=8_600)
"""gpt2-starter on an NVIDIA H200 (docs/engine.md), of which one server process passes on what a
core can send by HTTP."""


@dataclass(frozen=True)
class Fleet:
    """What tells, and what shows it."""

    replica: Replica
    replicas: int = 1
    bots: int = 1
    """Processes, each with its 40 edits a second (`bot/messages/pacing.py`)."""
    tellers: int = 8
    """Stories told at once by all of them."""
    waiting: int = 1000
    """Stories that may wait or be told; further ones are refused in a sentence."""
    taken: float = 0.06
    """Seconds until a wish is saved, answered and taken, where nobody is before it."""
    edit: float = 0.03
    """Seconds that an edit takes."""
    words_per_second: float = 20.0
    spacing: float = 1.25
    """Seconds between two edits of a message at best: four in Discord's window of five seconds."""

    @property
    def most_stories(self) -> float:
        """Stories a second that all replicas tell when every teller is busy."""
        each = min(self.tellers / self.replicas, self.replica.slots)
        return self.replicas * self.replica.tokens_a_second(each) / MEAN_TOKENS

    def step(self, stories: int) -> float:
        """Seconds of a step while so many are told on all replicas."""
        return self.replica.step(max(1.0, stories / self.replicas))


@dataclass(frozen=True)
class Prices:
    """What machines cost an hour; nobody's offer, but of the usual size."""

    gpu: float = 3.0
    core: float = 0.04

    def of(self, fleet: Fleet) -> float:
        """A fleet's, an hour: two cores for each generator or its GPU, and for each bot."""
        if fleet.replica is SMALL_MACHINE:
            return 2 * self.core * fleet.bots
        gpus = fleet.replicas * self.gpu if fleet.replica is GPU else 0.0
        return gpus + 2 * self.core * (fleet.replicas + fleet.bots)


@dataclass(frozen=True)
class Village:
    """Who asks, and how much."""

    servers: int
    stories_a_day: float = 10.0
    """That a server asks for on average."""
    viral: float = 10.0
    """How many times as much is asked for in the viral hour."""

    def rate(self, at: float) -> float:
        """Stories a second that are asked for, so many seconds after Monday's midnight."""
        day, hour = divmod(at / HOUR, 24)
        mean = self.servers * self.stories_a_day / DAY
        evening = math.exp(SHARPNESS * math.cos((hour - EVENING) * math.pi / 12)) / _BESSEL
        rate = mean * evening * (WEEKEND if day >= VIRAL_DAY else 1.0) / _OF_A_WEEK
        viral = day == VIRAL_DAY and VIRAL_HOUR <= hour < VIRAL_HOUR + 1
        return rate * self.viral if viral else rate

    @property
    def a_week(self) -> float:
        """Stories that are asked for, nearly: of the usual week and of the viral hour."""
        return 7 * self.servers * self.stories_a_day + HOUR * self.viral_rate

    @property
    def evening_rate(self) -> float:
        """Stories a second at the busiest moment of a usual week."""
        return self.rate(VIRAL_DAY * DAY + EVENING * HOUR)

    @property
    def viral_rate(self) -> float:
        """Stories a second as the viral hour begins."""
        return self.rate(VIRAL_DAY * DAY + VIRAL_HOUR * HOUR)


_BESSEL = sum(math.exp(SHARPNESS * math.cos(n * math.pi / 48)) for n in range(96)) / 96
"""The mean of the curve over a day, so that the days add up to what is asked for."""
_OF_A_WEEK = (5 + 2 * WEEKEND) / 7
MEAN_TOKENS = (sum(TOKENS) - (TOKENS[0] + TOKENS[-1]) / 2) / (len(TOKENS) - 1)
"""Of a story, the deciles joined by lines."""
