"""Log probabilities of the stories whose requests ask for them; of no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.engine.generation import Logprob

if TYPE_CHECKING:
    from torch import Tensor

    from generator.engine.generation import Generation
    from generator.models.decoder import Batch, Ints


class Scoring:
    """Writes down, in each generation, how likely the model itself held its tokens.

    That is before any rule of drawing has its say. All of it is for the engine's thread.
    """

    def __init__(self) -> None:
        self._asking: dict[int, Generation] = {}  # by slot
        self._kept: dict[int, Tensor] = {}  # by slot: what the next token is about to be drawn from

    def admit(self, slot: int, generation: Generation) -> None:
        """A story that asks for them has got this slot."""
        self._asking[slot] = generation

    def release(self, slot: int) -> None:
        """Whatever was told in this slot has left it."""
        self._asking.pop(slot, None)
        self._kept.pop(slot, None)

    def read(self, batch: Batch, logits: Tensor) -> None:
        """What a step says of the tokens that come next; a sampler may then overwrite its logits.

        Args:
            batch: the step; prompts that are to be scored come one token at a time.
            logits: (slots, vocabulary)
        """
        if not self._asking:
            return
        ends = (batch.starts + batch.counts).tolist()
        for row, (slot, end) in enumerate(zip(batch.slots.tolist(), ends, strict=True)):
            if (generation := self._asking.get(slot)) is None:
                continue
            request = generation.request
            if end >= len(request.prompt):
                self._kept[slot] = logits[row].log_softmax(0)
            elif request.prompt_logprobs:
                _note(generation, logits[row].log_softmax(0), request.prompt[end])

    def drawn(self, slots: Ints, tokens: Ints) -> None:
        """What was drawn after `read`, one token for each slot."""
        if not self._kept:
            return
        following = dict(zip(slots.tolist(), tokens.tolist(), strict=True))
        for slot, logprobs in self._kept.items():
            _note(self._asking[slot], logprobs, following[slot])
        self._kept.clear()


def _note(generation: Generation, logprobs: Tensor, token: int) -> None:
    count = min(generation.request.logprobs or 0, len(logprobs))
    values, ids = logprobs.topk(count)
    likeliest = tuple(zip(ids.tolist(), values.tolist(), strict=True))
    generation.logprobs.append(Logprob(token, float(logprobs[token]), likeliest))
