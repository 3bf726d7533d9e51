"""Which stories are in which slots, and what of each goes into the next step.

A slot holds a story's tokens, and how many of them its model has read. Whatever it has not read is
due: the whole prompt of a newcomer, or the one token just drawn. So prefill and decoding are the
same thing, and one step mixes both. A token that is being drawn counts already, and is -1 until it
is known: whether there is a next step for a story hangs on how many tokens it has.
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
        self.limits = np.zeros(slots, np.int32)
        """How many there are at most: a story that has so many is not read on."""
        self._read = np.zeros(slots, np.int32)
        self._free = list(range(slots))  # a heap: the lowest slot is given first
        self._one_by_one: set[int] = set()
        self._newcomers: list[int] = []  # slots with more than one token due, in order of arrival

    @property
    def free(self) -> int:
        """Slots that no story holds."""
        return len(self._free)

    @property
    def in_use(self) -> int:
        """Slots that a story holds."""
        return len(self.lengths) - len(self._free)

    def admit(self, prompt: tuple[int, ...], max_tokens: int, *, one_by_one: bool = False) -> int:
        """Gives the lowest free slot to a story; there must be one.

        Args:
            prompt: its first tokens.
            max_tokens: how many follow at most; where none do, one is drawn all the same.
            one_by_one: read no more than one of them in a step, which then says what it makes of
                each; many such prompts share their steps.
        """
        slot = self._free[0]  # its own only once all is well
        self.limits[slot] = min(len(prompt) + max(max_tokens, 1), self.history.shape[1])
        self.history[slot, : len(prompt)] = prompt
        self.lengths[slot] = len(prompt)
        self._read[slot] = 0
        if one_by_one:
            self._one_by_one.add(slot)
        if len(prompt) > 1:
            self._newcomers.append(slot)
        return heapq.heappop(self._free)

    def reserve(self) -> int:
        """Gives away the lowest free slot, with no story yet: see `copy`; there must be one."""
        return heapq.heappop(self._free)

    def release(self, slot: int) -> None:
        """Takes the slot back."""
        self.lengths[slot] = self._read[slot] = self.limits[slot] = 0
        if slot in self._newcomers:
            self._newcomers.remove(slot)
        self._one_by_one.discard(slot)
        heapq.heappush(self._free, slot)

    def extend(self, slots: Ints) -> None:
        """The stories in the slots go on by a token each, unknown yet and due at the next step."""
        self.history[slots, self.lengths[slots]] = -1
        self.lengths[slots] += 1

    def put(self, slots: Ints, tokens: Ints) -> None:
        """The stories in the slots go on by these tokens, each due at the next step."""
        self.history[slots, self.lengths[slots]] = tokens
        self.lengths[slots] += 1

    def copy(self, source: int, target: int) -> tuple[int, int]:
        """The target's story is from here on the same as the source's, as far as that is read.

        Returns:
            How many of its first tokens the target had read already, and how many there are.
        """
        read = self._read[source]
        known = min(self._read[target], read)
        others = self.history[source, :known] != self.history[target, :known]
        begin = int(others.argmax()) if others.any() else int(known)
        self.history[target, begin:read] = self.history[source, begin:read]
        self.lengths[target] = self._read[target] = read
        self.limits[target] = self.limits[source]
        return begin, int(read)

    def plan(self) -> tuple[Batch, Ints]:
        """The next step, taken as done, and which of its rows have now read their whole story.

        Stories that are one token behind come first; then newcomers in the order of arrival,
        while the step's share for prompts lasts. Without tokens where nothing is due.
        """
        due = np.where(self.lengths < self.limits, self.lengths - self._read, 0)
        slots = np.flatnonzero(due == 1).astype(np.int32)
        counts = np.ones(len(slots), np.int32)
        tokens = self.history[slots, self._read[slots]]
        if self._newcomers:
            joining = self._join(max(PREFILL_BESIDE, len(slots)) if len(slots) else PREFILL)
            slots = np.array([*slots, *joining], np.int32)
            counts = np.array([*counts, *map(len, joining.values())], np.int32)
            tokens = np.concatenate([tokens, *joining.values()])
        starts = self._read[slots]
        self._read[slots] += counts
        ready = np.flatnonzero(self._read[slots] == self.lengths[slots]).astype(np.int32)
        return Batch(slots=slots, starts=starts, counts=counts, tokens=tokens), ready

    def _join(self, budget: int) -> dict[int, Ints]:
        """What newcomers read in this step, by slot; with one token left they are none any more."""
        joining: dict[int, Ints] = {}
        for slot in self._newcomers:
            due = self.history[slot, self._read[slot] : self.lengths[slot]]
            if budget > 0:
                joining[slot] = due[: 1 if slot in self._one_by_one else budget]
                budget -= len(joining[slot])
        self._newcomers = [
            slot
            for slot in self._newcomers
            if self.lengths[slot] - self._read[slot] - len(joining.get(slot, ())) > 1
        ]
        return joining
