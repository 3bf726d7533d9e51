"""Which stories are in which slots, and what of each goes into the next step.

A slot holds a story's tokens, and how many of them its model has read. Whatever it has not read is
due: the whole prompt of a newcomer, or the one token just drawn. So prefill and decoding are the
same thing, and one step mixes both.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

from generator.models.decoder import Batch

if TYPE_CHECKING:
    from generator.models.decoder import Ints

PREFILL = 64
"""Prompt tokens read in one step at most, while no story is being told."""
PREFILL_BESIDE = 16
"""The same beside few told stories; beside many, as many as there are stories. A step with that
many more tokens takes at most about twice as long, so a newcomer hardly delays the others."""


class Scheduler:
    """Gives slots to stories, lowest first, and plans steps."""

    def __init__(self, slots: int, context: int) -> None:
        self.history = np.zeros((slots, context), np.int32)
        """Tokens of prompt and story, by slot."""
        self.lengths = np.zeros(slots, np.int32)
        """How many there are."""
        self._read = np.zeros(slots, np.int32)
        self._free = list(range(slots))  # a heap: the lowest slot is given first
        self._told: list[int] = []  # slots in use, in the order of arrival

    @property
    def free(self) -> int:
        """Slots that no story holds."""
        return len(self._free)

    @property
    def in_use(self) -> int:
        """Slots that a story holds."""
        return len(self._told)

    def admit(self, prompt: tuple[int, ...]) -> int:
        """Gives the lowest free slot to a story; there must be one."""
        slot = heapq.heappop(self._free)
        self.history[slot, : len(prompt)] = prompt
        self.lengths[slot] = len(prompt)
        self._read[slot] = 0
        self._told.append(slot)
        return slot

    def release(self, slot: int) -> None:
        """Takes the slot back."""
        self._told.remove(slot)
        heapq.heappush(self._free, slot)

    def append(self, slot: int, token: int) -> None:
        """The story in the slot goes on by one token, which is due at the next step."""
        self.history[slot, self.lengths[slot]] = token
        self.lengths[slot] += 1

    def plan(self) -> tuple[Batch, Ints]:
        """The next step, taken as done, and which of its rows have now read their whole story.

        Stories being told come first, one token each; then newcomers in the order of arrival,
        while the step's share for prompts lasts.
        """
        due = self.lengths - self._read
        told = [slot for slot in self._told if due[slot] == 1]
        counts = [1] * len(told)
        budget = max(PREFILL_BESIDE, len(told)) if told else PREFILL
        for slot in self._told:
            if due[slot] > 1 and budget > 0:
                count = min(int(due[slot]), budget)
                told.append(slot)
                counts.append(count)
                budget -= count
        slots, taken = np.array(told, np.int32), np.array(counts, np.int32)
        starts = self._read[slots]
        tokens = np.concatenate(
            [self.history[s, a : a + n] for s, a, n in zip(told, starts, counts, strict=True)]
        )
        self._read[slots] += taken
        ready = np.flatnonzero(self._read[slots] == self.lengths[slots]).astype(np.int32)
        return Batch(slots=slots, starts=starts, counts=taken, tokens=tokens), ready
