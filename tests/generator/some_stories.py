"""Stories of all sizes, by chance but always the same, and how one is told to its end."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from generator.sampling.requests import Request
from generator.sampling.settings import Sampling
from tests.generator.small_folders import VOCABULARY

if TYPE_CHECKING:
    from generator.engine.loop import Engine

GREEDY = Sampling(temperature=0)
LIVELY = Sampling(
    temperature=0.9, top_k=100, top_p=0.95, repetition_penalty=1.1, no_repeat_ngram_size=4
)


def some_requests(
    count: int, sampling: Sampling, *, prompt: int = 100, tokens: int = 12
) -> list[Request]:
    """Requests of up to so many tokens of a prompt, and up to so many new ones."""
    rng = random.Random(4)
    return [
        Request(
            prompt=tuple(rng.randrange(1, VOCABULARY) for _ in range(rng.randint(1, prompt))),
            sampling=sampling,
            seed=seed,
            max_tokens=rng.randint(1, tokens),
        )
        for seed in range(count)
    ]


async def tell(engine: Engine, request: Request) -> tuple[list[int], str | None]:
    """A story's tokens, and why it ended."""
    generation = engine.submit(request)
    told = [token async for tokens in generation for token in tokens]
    return told, generation.finish_reason
