"""Log probabilities of the stories whose requests ask for them; of no others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from generator.engine.generation import Logprob

if TYPE_CHECKING:
    from torch import Tensor

    from generator.engine.generation import Generation
    from generator.models.decoder import Batch


@dataclass(frozen=True, slots=True)
class Asked:
    """A row of a step whose log probabilities are asked for."""

    row: int
    slot: int
    generation: Generation
    token: int | None
    """What follows in its prompt; None where that is drawn."""


class Scoring:
    """Writes down, in each generation, how likely the model itself held its tokens.

    That is before any rule of drawing has its say. All of it is for the engine's thread.
    """

    def __init__(self) -> None:
        self._asking: dict[int, Generation] = {}  # by slot

    def admit(self, slot: int, generation: Generation) -> None:
        """A story that asks for them has got this slot."""
        self._asking[slot] = generation

    def release(self, slot: int) -> None:
        """Whatever was told in this slot has left it."""
        self._asking.pop(slot, None)

    def asked(self, batch: Batch) -> list[Asked]:
        """The rows of a step whose log probabilities are asked for.

        Args:
            batch: the step; prompts that are to be scored come one token at a time.
        """
        if not self._asking:
            return []
        asked = []
        ends = (batch.starts + batch.counts).tolist()
        for row, (slot, end) in enumerate(zip(batch.slots.tolist(), ends, strict=True)):
            if (generation := self._asking.get(slot)) is None:
                continue
            request = generation.request
            if end >= len(request.prompt):
                asked.append(Asked(row, slot, generation, None))
            elif request.prompt_logprobs:
                asked.append(Asked(row, slot, generation, request.prompt[end]))
        return asked

    def note(self, asked: list[Asked], logprobs: Tensor | None, drawn: dict[int, int]) -> None:
        """Writes down what a step said of the tokens that came next.

        Args:
            asked: what `asked` gave for it.
            logprobs: (len(asked) or more, vocabulary).
            drawn: the token that it drew, by slot, of the stories that are still told.
        """
        if logprobs is None:
            return
        for one, row in zip(asked, logprobs, strict=False):
            if self._asking.get(one.slot) is one.generation:
                token = drawn[one.slot] if one.token is None else one.token
                _note(one.generation, row, token)


def _note(generation: Generation, logprobs: Tensor, token: int) -> None:
    count = min(generation.request.logprobs or 0, len(logprobs))
    values, ids = logprobs.topk(count)
    likeliest = tuple(zip(ids.tolist(), values.tolist(), strict=True))
    generation.logprobs.append(Logprob(token, float(logprobs[token]), likeliest))
