"""Stories of a model, many at a time, by the generator's own decoder and sampler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from generator.models.decoder import Batch
from generator.requests import Request
from generator.sampling import Rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from generator.models.loading import LoadedModel
    from generator.requests import Sampling

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


def tell(
    model: LoadedModel,
    prompts: Sequence[str],
    sampling: Sampling,
    *,
    seed: int = 0,
    max_tokens: int = 300,
) -> list[Story]:
    """One story for each prompt; the n-th has the seed `seed + n`.

    Args:
        model: the loaded folder.
        prompts: "" begins from nothing.
        sampling: the same for all.
        seed: of the first story.
        max_tokens: new tokens at most.
    """
    encoded = [model.tokenizer(prompt).input_ids for prompt in prompts]
    history = np.zeros((len(prompts), model.context), np.int32)
    rules = Rules.of(len(prompts))
    for slot, tokens in enumerate(encoded):
        history[slot, : len(tokens)] = tokens
        rules.put(
            slot,
            Request(
                prompt=tuple(tokens), sampling=sampling, seed=seed + slot, max_tokens=max_tokens
            ),
        )
    decoder, sampler = model.prepare(len(prompts), 0, rules, history)
    begun = np.array([len(tokens) for tokens in encoded], np.int32)
    limits = np.minimum(begun + max_tokens, model.context)
    lengths, ended = begun.copy(), np.zeros(len(prompts), bool)
    live = np.arange(len(prompts), dtype=np.int32)
    batch = Batch(live, np.zeros_like(begun), begun, np.concatenate(encoded).astype(np.int32))
    while len(live):
        drawn = sampler.draw(decoder.step(batch), live, lengths[live])
        ended[live] = np.isin(drawn, model.ends)
        history[live, lengths[live]] = drawn
        going = ~ended[live]
        lengths[live[going]] += 1
        going &= lengths[live] < limits[live]
        live = live[going]
        batch = Batch(live, lengths[live] - 1, np.ones_like(live), drawn[going])
    return [
        _story(model, history[slot, : lengths[slot]].tolist(), int(begun[slot]), bool(ended[slot]))
        for slot in range(len(prompts))
    ]


def _story(model: LoadedModel, tokens: list[int], begun: int, ended: bool) -> Story:
    text = str(model.tokenizer.decode(tokens, skip_special_tokens=True))
    return Story(text.strip(), tuple(tokens[begun:]), ended)
