"""`python -m training evaluate`: what a model folder is worth, each figure with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from training.bars import under_way
from training.corpus.tokenizers import beginning, check_words
from training.likelihood import learn_spelling, likelihood
from training.measuring import bootstrap
from training.measuring.stories import StoryFigures, measure_stories

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

    from generator.models.loading import LoadedModel
    from training.measuring.bootstrap import Estimate
    from training.measuring.unseen import Unseen
    from training.sampling import Sampling

_RIVALS = 9
"""Beginnings of other texts that a text's own must beat."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures of one model on one corpus; `None` where it holds too little for one."""

    bits_per_byte: Estimate
    word_perplexity: Estimate
    prompt_ranking: Estimate | None
    """Share of texts whose own first sentence makes their second likelier than nine others do."""
    stories: StoryFigures
    copied_8_human: Estimate | None
    """What `StoryFigures.copied_8` is of people: see `Unseen.people`."""

    def figures(self) -> Iterator[tuple[str, Estimate | None]]:
        """Every figure under its name, those of the stories among them."""
        yield "bits_per_byte", self.bits_per_byte
        yield "word_perplexity", self.word_perplexity
        yield "prompt_ranking", self.prompt_ranking
        yield from of_stories(self.stories)
        yield "copied_8_human", self.copied_8_human


def of_stories(figures: StoryFigures) -> Iterator[tuple[str, Estimate | None]]:
    """Every figure under its name."""
    for field in fields(figures):
        yield field.name, getattr(figures, field.name)


def plain(figures: Mapping[str, Estimate | None]) -> dict[str, float | None]:
    """One number a key: the figure, and `_low` and `_high` of its interval."""
    numbers: dict[str, float | None] = {}
    for name, figure in figures.items():
        numbers[name] = figure.value if figure else None
        numbers[f"{name}_low"] = figure.low if figure else None
        numbers[f"{name}_high"] = figure.high if figure else None
    return numbers


def evaluate(
    model: LoadedModel, unseen: Unseen, sampling: Sampling, *, stories: int = 64, seed: int = 0
) -> Evaluation:
    """Measures a model on texts that it was not trained on.

    Args:
        model: the loaded folder.
        unseen: what it is measured on.
        sampling: how stories are told.
        stories: how many, each from the first words of a held-out text.
        seed: of the first story and of the rivals in ranking.

    Raises:
        UnknownWordError: a held-out text has a word that the model cannot read.
    """
    with under_way(f"Reading {len(unseen.training):,} training texts"):
        check_words(unseen.texts, model.tokenizer)
        spelling = learn_spelling(unseen.training, model.tokenizer)
    cost = likelihood(model.model, model.tokenizer, unseen.texts, spelling=spelling, visible=True)
    bits = [nats / math.log(2) for nats in cost.nats]
    words = [float(len(text.split())) for text in cost.read]
    ranked = prompt_ranking(model, unseen.texts, seed)
    with under_way("Looking for what people share"):
        people = unseen.people
    return Evaluation(
        bits_per_byte=bootstrap.ratio(
            bits, [float(size) for size in cost.bytes], unseen.franchises
        ),
        word_perplexity=bootstrap.ratio(cost.nats, words, unseen.franchises).exp(),
        prompt_ranking=bootstrap.mean(
            list(ranked.values()), [unseen.franchises[index] for index in ranked]
        )
        if ranked
        else None,
        stories=measure_stories(model, unseen, sampling, stories, seed),
        copied_8_human=people,
    )


def prompt_ranking(
    model: LoadedModel, texts: Sequence[str], seed: int, at_most: int = 100
) -> dict[int, float]:
    """1 for each text whose own beginning suits its continuation best, else 0; {} for few texts.

    By the text's index, of the first `at_most` that have two sentences. Fan et al. 2018 (arXiv
    1805.04833): a model that looks at what came before finds a sentence likelier after the sentence
    it followed than after those of other texts.
    """
    found = {index: pair for index, text in enumerate(texts) if (pair := _two_sentences(text))}
    asked = list(found)[:at_most]
    pairs = [found[index] for index in asked]
    if len(pairs) <= _RIVALS:
        return {}
    dice = np.random.default_rng(seed)
    prompts: list[str] = []
    whole: list[str] = []
    for index, (own, continuation) in enumerate(pairs):
        others = dice.choice([n for n in range(len(pairs)) if n != index], _RIVALS, replace=False)
        for prompt in (own, *(pairs[n][0] for n in others)):
            prompts.append(prompt)
            whole.append(f"{prompt} {continuation}")
    paid = _costs(model, whole) - _costs(model, prompts)
    ranked = paid.reshape(len(pairs), 1 + _RIVALS)
    return {index: float(row[0] < row[1:].min()) for index, row in zip(asked, ranked, strict=True)}


def _costs(model: LoadedModel, texts: Sequence[str]) -> NDArray[np.float64]:
    """Nats of each text, equal ones read once."""
    different = list(dict.fromkeys(texts))
    nats = likelihood(model.model, model.tokenizer, different, visible=True).nats
    by_text = dict(zip(different, nats, strict=True))
    return np.array([by_text[text] for text in texts])


def _two_sentences(text: str) -> tuple[str, str] | None:
    first, mark, rest = text.partition(". ")
    second, end, _ = rest.partition(". ")
    return (first + ".", second + end.strip()) if mark and second else None


def read_after(tokenizer: PreTrainedTokenizerFast) -> str:
    """Which token stands before each text that is measured, or what it means that none does."""
    token = beginning(tokenizer)
    if token is None:
        return "nothing, as it has no such token: each text's first token is not counted"
    return f"`{tokenizer.convert_ids_to_tokens(token)}`"


def table(figures: Mapping[str, Estimate | None]) -> str:
    """Lines for people."""
    return "\n".join(
        f"{name:<16}{figure.value:>11.4f}   ({figure.low:.4f} to {figure.high:.4f})"
        for name, figure in figures.items()
        if figure is not None
    )
