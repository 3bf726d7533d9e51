"""Beam search by transformers, in the engine and beside the stories that it tells."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import GenerationConfig

from generator.engine.beams import _TORCH_RNG
from generator.engine.errors import EngineError
from generator.engine.loop import Engine
from generator.sampling.requests import Request
from generator.sampling.settings import Sampling
from tests.generator.engines import GREEDY, LIVELY, tell

if TYPE_CHECKING:
    from generator.models.loading import LoadedModel


async def test_beams_find_what_transformers_finds_and_stories_go_on_beside(
    loaded: LoadedModel,
) -> None:
    article = Sampling(temperature=0.6, top_k=1000, top_p=0.95, no_repeat_ngram_size=2)
    search = Request(
        prompt=(5, 6, 7), sampling=article, seed=3, max_tokens=40, min_tokens=10, num_beams=5
    )
    async with Engine(loaded, slots=4) as engine:
        with _TORCH_RNG:  # the search cannot go on
            beams = engine.submit(search)
            assert engine.waiting == 1
            streamed = await tell(
                engine, Request(prompt=(5, 6, 7), sampling=LIVELY, seed=3, max_tokens=20)
            )
            assert len(streamed[0]) > 0
        found = [token async for tokens in beams for token in tokens]
        again = await tell(engine, search)
    assert (found, beams.finish_reason) == again
    assert len(found) >= 10
    pairs = list(zip((5, 6, 7, *found), (6, 7, *found), strict=False))
    assert len(set(pairs)) == len(pairs)


async def test_greedy_beams_are_those_of_generate(loaded: LoadedModel) -> None:
    search = Request(prompt=(9, 8, 7), sampling=GREEDY, seed=0, max_tokens=12, num_beams=3)
    model: Any = loaded.model  # transformers' mix-in hides `generate` from type checkers
    told = model.generate(
        torch.tensor([search.prompt]),
        num_beams=3,
        do_sample=False,
        max_new_tokens=12,
        pad_token_id=0,
        suppress_tokens=loaded.suppressed().tolist(),
    )[0, 3:].tolist()
    async with Engine(loaded, slots=1) as engine:
        found, _ = await tell(engine, search)
    assert found == (told[: told.index(0)] if 0 in told else told)


async def test_searches_do_as_asked_and_not_as_the_model_is_used_to(loaded: LoadedModel) -> None:
    usual = loaded.model.generation_config
    search = Request(prompt=(9, 8, 7), sampling=GREEDY, seed=0, max_tokens=12, num_beams=3)
    async with Engine(loaded, slots=1) as engine:
        expected = await tell(engine, search)
        loaded.model.generation_config = GenerationConfig(
            eos_token_id=0, do_sample=True, temperature=1.7, min_p=0.9
        )
        try:
            again = await tell(engine, search)
        finally:
            loaded.model.generation_config = usual
    assert again == expected


async def test_searches_of_two_engines_share_no_random_numbers(loaded: LoadedModel) -> None:
    search = Request(
        prompt=(5, 6), sampling=Sampling(temperature=0.9), seed=3, max_tokens=30, num_beams=2
    )
    async with Engine(loaded, slots=1) as one, Engine(loaded, slots=1) as other:
        alone = await tell(one, search)
        both = await asyncio.gather(*(tell(engine, search) for engine in (one, other) * 4))
    assert both == [alone] * 8


async def test_closing_does_not_wait_for_the_search_of_another_engine(endless: LoadedModel) -> None:
    search = Request(prompt=(1,), sampling=LIVELY, seed=1, max_tokens=127, num_beams=4)
    with _TORCH_RNG:  # another's turn
        async with Engine(endless, slots=1) as engine:
            waits = engine.submit(search)
        with pytest.raises(EngineError, match="closing"):
            await anext(waits)


async def test_closing_stops_a_search(endless: LoadedModel) -> None:
    search = Request(prompt=(1,), sampling=LIVELY, seed=1, max_tokens=127, num_beams=4)
    async with Engine(endless, slots=1) as engine:
        searches = [engine.submit(search) for _ in range(3)]
    for generation in searches:
        with pytest.raises(EngineError, match="closing"):
            await anext(generation)
