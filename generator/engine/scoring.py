"""Log probabilities of the stories whose requests ask for them; of no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from generator.sampling.logprobs import logprobs

if TYPE_CHECKING:
    from torch import Tensor

    from generator.engine.generation import Generation
    from generator.engine.scheduler import Scheduler
    from generator.models.decoder import Batch, Ints


class Scoring:
    """Writes down, in each generation, how likely the model held its tokens.

    All of it is for the engine's thread.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._asking: dict[int, Generation] = {}  # by slot
        self.prompts: set[int] = set()
        """Slots that are reading a prompt of which each token counts."""

    def admit(self, slot: int, generation: Generation) -> None:
        """A story has got this slot."""
        if generation.request.logprobs is not None:
            self._asking[slot] = generation
            if generation.request.prompt_logprobs:
                self.prompts.add(slot)

    def release(self, slot: int) -> None:
        """It has left it."""
        self._asking.pop(slot, None)
        self.prompts.discard(slot)

    def read(self, batch: Batch, logits: Tensor) -> Tensor:
        """Notes what was read of prompts.

        Args:
            batch: a step, planned with `prompts`.
            logits: one for each of `batch.rows`.

        Returns:
            The logits after each slot's last token: (slots, vocabulary).
        """
        if not self.prompts:
            return logits
        last = np.searchsorted(batch.rows, batch.ends - 1)
        for index in np.flatnonzero(np.isin(batch.slots, list(self.prompts))).tolist():
            slot, count = int(batch.slots[index]), int(batch.counts[index])
            first, length = int(batch.starts[index]) + 1, int(self._scheduler.lengths[slot])
            following = self._scheduler.history[slot, first : min(first + count, length)]
            row = int(last[index]) + 1 - count
            self._note(self._asking[slot], logits[row : row + len(following)], following)
            if first + count > length:
                self.prompts.remove(slot)
        return logits[last]

    def keep(self, slots: Ints, logits: Tensor) -> list[tuple[int, Generation, Tensor]]:
        """What `drawn` needs, before a sampler overwrites the (slots, vocabulary) logits."""
        if not self._asking:
            return []
        asking = [(row, slot) for row, slot in enumerate(slots.tolist()) if slot in self._asking]
        return [(row, self._asking[slot], logits[row : row + 1].clone()) for row, slot in asking]

    def drawn(self, kept: list[tuple[int, Generation, Tensor]], tokens: Ints) -> None:
        """Notes what was drawn, (slots,)."""
        for row, generation, logits in kept:
            self._note(generation, logits, tokens[row : row + 1])

    @staticmethod
    def _note(generation: Generation, logits: Tensor, tokens: Ints) -> None:
        generation.logprobs += logprobs(logits, tokens, generation.request.logprobs or 0)
