"""Stories of a model, told by the generator's engine as its server tells them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from generator.engine.loop import Engine
from generator.models.errors import ModelFolderError
from generator.models.loading import load_model
from generator.sampling.memfree import MEMFREE_FILE
from generator.sampling.requests import Request
from training.bars import counting
from training.corpus.tokenizers import check_words
from training.errors import InputError
from training.sampling import Sampling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from generator.engine.generation import Generation
    from generator.models.loading import LoadedModel

_SLOTS = 32
"""Stories told together, as the server's; more take memory and are told no faster."""

ARTICLE_PROMPTS = (
    "After years",
    "When the night",
    "This is the story",
    "Spike was",
    "In the year",
    "A shinigami",
    "During the war",
    "A young man",
)
"""The beginnings that the article had its models continue."""


@dataclass(frozen=True, slots=True)
class Story:
    """What a model told."""

    text: str
    """Beginning and continuation."""
    tokens: tuple[int, ...]
    """The continuation's, without the end-of-text token."""
    ended: bool
    """By the model itself, not by the limit."""


def open_model(name: str) -> tuple[LoadedModel, Sampling]:
    """A model of a folder or the hub, and its own sampling settings.

    Raises:
        InputError: it cannot be told from.
    """
    try:
        model = load_model(name)
    except ModelFolderError as error:
        raise InputError(f"{error}.") from error
    return model, Sampling.of(model.described.generation)


def tell(
    model: LoadedModel,
    prompts: Sequence[str],
    sampling: Sampling,
    *,
    seed: int = 0,
) -> list[Story]:
    """One story for each prompt; the n-th has the seed `seed + n`.

    They are those that the server tells for the same model, prompt, settings and seed.

    Args:
        model: the loaded folder.
        prompts: "" begins from nothing.
        sampling: the same for all.
        seed: of the first story.

    Raises:
        UnknownWordError: a prompt has a word that the model cannot read.
        InputError: the settings ask for `memfree`, and the model has no filter for it; or a prompt
            has no token, or more than the model reads.
        EngineError: a step failed.
    """
    if sampling.memfree and model.memfree is None:
        raise InputError(f"memfree: {model.name} has no {MEMFREE_FILE}.")
    check_words(prompts, model.tokenizer)
    requests = []
    for number, prompt in enumerate(prompts):
        tokens = tuple(model.tokenizer(prompt).input_ids)
        if not 0 < len(tokens) < model.context:
            raise InputError(
                f"{model.name} cannot go on from {prompt!r}: it takes 1 to {model.context - 1} "
                f"tokens, and these are {len(tokens)}."
            )
        requests.append(
            Request(
                prompt=tokens,
                sampling=sampling.request(),
                seed=seed + number,
                max_tokens=sampling.max_new_tokens,
                min_tokens=sampling.min_new_tokens,
                num_beams=sampling.num_beams,
            )
        )
    return asyncio.run(_tell(model, requests))


async def _tell(model: LoadedModel, requests: Sequence[Request]) -> list[Story]:
    """All of them by one engine, as many at a time as it has slots."""
    wanted = sum(request.num_beams for request in requests)
    slots = max(1, min(_SLOTS, wanted))
    async with Engine(model, slots=slots, waiting=len(requests)) as engine:
        with counting(len(requests), "Telling", "stories") as bar:

            async def tell_one(generation: Generation) -> Story:
                tokens = [token async for news in generation for token in news]
                bar.update()
                whole = [*generation.request.prompt, *tokens]
                text = str(model.tokenizer.decode(whole, skip_special_tokens=True))
                return Story(text.strip(), tuple(tokens), generation.finish_reason == "stop")

            return await asyncio.gather(*map(tell_one, map(engine.submit, requests)))
