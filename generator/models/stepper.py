"""What the engine asks of a model and its sampler together: a step, launched and then collected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from generator.models.decoder import Batch, Decoder, Ints
    from generator.sampling.beams import Ways


class Searcher(Protocol):
    """Says how searches with beams may go on, from what their slots' stories are."""

    def ways(
        self,
        logprobs: torch.Tensor,
        scores: NDArray[np.float32],
        slots: NDArray[np.int32],
        lengths: NDArray[np.int32],
        width: int,
    ) -> Ways:
        """See `TorchSampler.ways`."""
        ...


class Sampler(Searcher, Protocol):
    """Draws the next token of many stories; see `generator.sampling.torch_sampler.TorchSampler`."""

    def draw(
        self, logits: torch.Tensor, slots: NDArray[np.int32], lengths: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """One token for each row of (n, vocabulary) logits."""
        ...


class Launched(Protocol):
    """A step under way."""

    @property
    def logprobs(self) -> torch.Tensor | None:
        """(rows asked for, vocabulary): the model's own, before any rule; once collected."""
        ...

    def collect(self) -> Ints:
        """The tokens drawn in it, one for each row that was ready; waits for them."""
        ...


class Stepper(Protocol):
    """A model and its sampler over slots."""

    searcher: Searcher
    """For the log probabilities that were asked for."""

    @property
    def ahead(self) -> int:
        """How many steps may be launched before the first of them is collected."""
        ...

    @property
    def memory(self) -> int:
        """Bytes that it keeps beside the model's own weights, however full its slots are."""
        ...

    def launch(self, batch: Batch, ready: Ints, lengths: Ints, scored: Ints) -> Launched:
        """Reads the batch, and draws the next token of the rows that have read all.

        Args:
            batch: a token of -1 is the one that its slot drew in the step before, where that has
                not been collected.
            ready: those rows.
            lengths: (slots,), tokens so far in prompt and story.
            scored: the rows whose log probabilities are asked for; those that are not ready have
                one token.
        """
        ...

    def copy(self, source: int, target: int, begin: int, end: int) -> None:
        """See `Decoder.copy`; no step of either slot is under way."""
        ...


@dataclass(frozen=True, slots=True)
class Drawn:
    """A step that is done."""

    tokens: Ints
    logprobs: torch.Tensor | None = None

    def collect(self) -> Ints:
        """See `Launched.collect`."""
        return self.tokens


class EagerStepper:
    """A decoder and a sampler that do all of a step at once."""

    ahead = 0

    def __init__(self, decoder: Decoder, sampler: Sampler) -> None:
        self._decoder, self._sampler = decoder, sampler
        self.searcher: Searcher = sampler

    @property
    def memory(self) -> int:
        """See `Stepper.memory`."""
        return self._decoder.memory

    def launch(self, batch: Batch, ready: Ints, lengths: Ints, scored: Ints) -> Drawn:
        """See `Stepper.launch`."""
        logits = self._decoder.step(batch)
        # A sampler may overwrite them.
        logprobs = logits[scored].log_softmax(1) if len(scored) else None
        if not len(ready):
            return Drawn(np.empty(0, np.int32), logprobs)
        slots = batch.slots
        if len(ready) < len(slots):
            logits, slots = logits[ready], slots[ready]
        return Drawn(self._sampler.draw(logits, slots, lengths[slots]), logprobs)

    def copy(self, source: int, target: int, begin: int, end: int) -> None:
        """See `Stepper.copy`."""
        self._decoder.copy(source, target, begin, end)
