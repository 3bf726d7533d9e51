"""How the tests ask an engine for a story."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.sampling.settings import Sampling

if TYPE_CHECKING:
    from generator.engine.loop import Engine
    from generator.sampling.requests import Request

GREEDY = Sampling(temperature=0)
LIVELY = Sampling(temperature=0.9, top_k=100, top_p=0.95, repetition_penalty=1.1)


async def tell(engine: Engine, request: Request) -> tuple[list[int], str | None]:
    generation = engine.submit(request)
    told = [token async for tokens in generation for token in tokens]
    return told, generation.finish_reason
