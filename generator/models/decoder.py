"""What a model offers the engine: slots of state, and one step that feeds all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Batch:
    """The tokens of one step, slot after slot: one for a story being told, a run for a prompt.

    Each array has one entry a slot; `tokens` has all their tokens, end to end.
    """

    slots: Ints
    """(n,): which slots take part, each once."""
    starts: Ints
    """(n,): position of a slot's first token here in its story; 0 begins a new story."""
    counts: Ints
    """(n,): how many tokens a slot has here, at least one."""
    tokens: Ints
    """(counts.sum(),)"""

    @cached_property
    def ends(self) -> Ints:
        """(n,): where in `tokens` the next slot's begin."""
        return np.cumsum(self.counts, dtype=np.int32)

    @cached_property
    def positions(self) -> Ints:
        """(counts.sum(),): each token's position in its story."""
        first = np.repeat(self.starts - (self.ends - self.counts), self.counts)
        return (first + np.arange(len(self.tokens), dtype=np.int32)).astype(np.int32)


class Decoder(Protocol):
    """A model with preallocated state for a fixed number of slots."""

    vocabulary: int

    @property
    def memory(self) -> int:
        """Bytes that it keeps beside the model's own weights, however full its slots are.

        What a step takes for a moment and gives back is not among them.
        """
        ...

    def step(self, batch: Batch) -> Tensor:
        """Reads the batch into the slots' state; logits after each slot's last token.

        Returns:
            (n, vocabulary) float32, valid until the next step.
        """
        ...

    def copy(self, source: int, target: int, begin: int, end: int) -> None:
        """The target slot's story is from here on the same as the source's.

        Args:
            source: slot.
            target: slot.
            begin: so many of its first tokens are the source's already.
            end: tokens that the source has read.
        """
        ...
