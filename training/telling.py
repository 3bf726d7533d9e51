"""Stories of a model, many at a time, by the generator's own decoder and sampler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import GenerationConfig

from generator.models.decoder import Batch
from generator.models.loading import ModelFolderError, load_model
from generator.sampling.memfree import MEMFREE_FILE
from generator.sampling.processors import processors
from generator.sampling.requests import Request
from generator.sampling.rules import Rules
from training.corpus.tokenizers import check_words
from training.errors import InputError
from training.sampling import Sampling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from generator.models.loading import LoadedModel

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
    return model, Sampling.of(model.model.generation_config)


def tell(
    model: LoadedModel,
    prompts: Sequence[str],
    sampling: Sampling,
    *,
    seed: int = 0,
) -> list[Story]:
    """One story for each prompt; the n-th has the seed `seed + n`.

    Args:
        model: the loaded folder.
        prompts: "" begins from nothing.
        sampling: the same for all; with beams each story is searched by itself.
        seed: of the first story.

    Raises:
        UnknownWordError: a prompt has a word that the model cannot read.
        InputError: the settings ask for `memfree`, and the model has no filter for it.
    """
    if sampling.memfree and model.memfree is None:
        raise InputError(f"memfree: {model.name} has no {MEMFREE_FILE}.")
    check_words(prompts, model.tokenizer)
    encoded: list[list[int]] = [model.tokenizer(prompt).input_ids for prompt in prompts]
    if sampling.num_beams > 1:
        return [_search(model, row, sampling, seed + n) for n, row in enumerate(encoded)]
    return _draw(model, encoded, sampling, seed)


def _draw(
    model: LoadedModel, encoded: Sequence[list[int]], sampling: Sampling, seed: int
) -> list[Story]:
    """Token by token, all stories at once."""
    history = np.zeros((len(encoded), model.context), np.int32)
    rules = Rules(len(encoded))
    for slot, tokens in enumerate(encoded):
        history[slot, : len(tokens)] = tokens
        rules.put(
            slot,
            Request(
                prompt=tuple(tokens),
                sampling=sampling.request(),
                seed=seed + slot,
                max_tokens=sampling.max_new_tokens,
                min_tokens=sampling.min_new_tokens,
            ),
        )
    decoder, sampler = model.prepare(len(encoded), 0, rules, history)
    begun = np.array([len(tokens) for tokens in encoded], np.int32)
    limits = np.minimum(begun + sampling.max_new_tokens, model.context)
    lengths, ended = begun.copy(), np.zeros(len(encoded), bool)
    live = np.arange(len(encoded), dtype=np.int32)
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
        for slot in range(len(encoded))
    ]


@torch.inference_mode()
def _search(model: LoadedModel, prompt: list[int], sampling: Sampling, seed: int) -> Story:
    """With beams, by transformers' own `generate`."""
    room = min(sampling.max_new_tokens, model.context - len(prompt))
    settings = GenerationConfig(
        do_sample=True,
        eos_token_id=list(model.ends) or None,
        pad_token_id=model.eos_id or 0,
        **sampling.model_dump(exclude={"max_new_tokens", "min_new_tokens", "memfree"}),
        max_new_tokens=room,
        min_new_tokens=min(sampling.min_new_tokens, room),
    )
    torch.manual_seed(seed)
    searching: Any = model.model  # transformers' mix-in hides `generate` from type checkers
    inputs = torch.tensor([prompt], device=model.device)
    told = searching.generate(
        inputs,
        generation_config=settings,
        logits_processor=processors(model.vocabulary(), sampling.request()),
    )
    tokens: list[int] = told[0].tolist()
    end = next((n for n in range(len(prompt), len(tokens)) if tokens[n] in model.ends), None)
    return _story(model, tokens[:end], len(prompt), ended=end is not None)


def _story(model: LoadedModel, tokens: list[int], begun: int, ended: bool) -> Story:
    text = str(model.tokenizer.decode(tokens, skip_special_tokens=True))
    return Story(text.strip(), tuple(tokens[begun:]), ended)
