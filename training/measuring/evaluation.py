"""`python -m training evaluate`: what a model folder is worth, each figure with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from training.bars import under_way
from training.corpus.cleaning import clean
from training.corpus.copies import Copies, words_of
from training.corpus.rules import default
from training.corpus.texts import Split, is_corpus, read_corpus
from training.corpus.tokenizers import check_words
from training.errors import InputError
from training.likelihood import learn_spelling, likelihood
from training.measuring import bootstrap, diversity
from training.measuring.bootstrap import Estimate
from training.telling import tell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from generator.models.loading import LoadedModel
    from training.corpus.copies import Words
    from training.sampling import Sampling
    from training.telling import Story

_BEGINNING = 3
"""Words of a held-out text that a story begins with."""
_RIVALS = 9
"""Beginnings of other texts that a text's own must beat."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures of one model on one corpus; `None` where it holds too little for one."""

    bits_per_byte: Estimate
    word_perplexity: Estimate
    prompt_ranking: Estimate | None
    """Share of texts whose own first sentence makes their second likelier than nine others do."""
    distinct_1: Estimate
    distinct_2: Estimate
    distinct_3: Estimate
    self_bleu: Estimate
    repeat_4: Estimate
    words: Estimate
    """Length of a story."""
    ended: Estimate
    """Share of stories that the model itself ended."""
    copied_8: Estimate | None = None
    """Share of a story's 8-grams that stand in the training texts."""
    copied_8_human: Estimate | None = None
    """The same of the held-out texts: what people repeat of each other."""
    copied_longest: Estimate | None = None
    """Words in a story's longest run out of a training text."""

    def plain(self) -> dict[str, float | None]:
        """One number a key: the figure, and `_low` and `_high` of its interval."""
        numbers: dict[str, float | None] = {}
        for field in fields(self):
            figure: Estimate | None = getattr(self, field.name)
            numbers[field.name] = figure.value if figure else None
            numbers[f"{field.name}_low"] = figure.low if figure else None
            numbers[f"{field.name}_high"] = figure.high if figure else None
        return numbers


def evaluate(
    model: LoadedModel, held_out: Sequence[str], training: Sequence[str], sampling: Sampling,
    *, stories: int = 64, seed: int = 0,
) -> Evaluation:  # fmt: skip
    """Measures a model on texts that it was not trained on.

    Args:
        model: the loaded folder.
        held_out: unseen texts.
        training: those it was trained on, to find copies; may be empty.
        sampling: how stories are told.
        stories: how many, each from the first words of a held-out text.
        seed: of the first story and of the rivals in ranking.

    Raises:
        UnknownWordError: a held-out text has a word that the model cannot read.
    """
    with under_way(f"Reading {len(training):,} training texts"):
        check_words(held_out, model.tokenizer)
        spelling = learn_spelling(training, model.tokenizer)
    exact, tokenizer = model.model, model.tokenizer
    cost = likelihood(exact, tokenizer, held_out, spelling=spelling, visible=True)
    nats_per_word = bootstrap.ratio(cost.nats, [len(text.split()) for text in cost.read])
    ranked = prompt_ranking(exact, tokenizer, held_out, seed)
    told = _stories(model, held_out, sampling, stories, seed)
    words = [words_of(story.text) for story in told]
    with under_way("Looking for copies"):
        copied = _copying(words, held_out, Copies(training)) if training else {}
    return Evaluation(
        bits_per_byte=bootstrap.ratio(
            [nats / math.log(2) for nats in cost.nats], [float(size) for size in cost.bytes]
        ),
        word_perplexity=Estimate(
            *(
                math.exp(nats)
                for nats in (nats_per_word.value, nats_per_word.low, nats_per_word.high)
            )
        ),
        prompt_ranking=bootstrap.mean(ranked) if ranked else None,
        distinct_1=bootstrap.ratio(*diversity.distinct(words, 1)),
        distinct_2=bootstrap.ratio(*diversity.distinct(words, 2)),
        distinct_3=bootstrap.ratio(*diversity.distinct(words, 3)),
        self_bleu=bootstrap.mean(diversity.self_bleu(words)),
        repeat_4=bootstrap.mean([diversity.repeated(story) for story in words]),
        words=bootstrap.mean([float(len(story.text.split())) for story in told]),
        ended=bootstrap.mean([float(story.ended) for story in told]),
        **copied,
    )


def read_texts(path: Path, split: Split) -> tuple[list[str], list[str]]:
    """What to measure on, and the training texts that belong to it.

    Of a cleaned corpus that is one split, and its training split; any other file gets the default
    cleaning and is measured on as a whole.

    Raises:
        InputError: the file cannot be used, or the split is empty.
    """
    if not is_corpus(path):
        return [text.text for text in clean([path], default).texts], []
    texts = read_corpus(path)
    held_out = [text.text for text in texts if text.split is split]
    if not held_out:
        raise InputError(f"{path} holds no texts for {split}.")
    return held_out, [text.text for text in texts if text.split is Split.TRAIN]


def prompt_ranking(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    seed: int,
    at_most: int = 100,
) -> list[float]:
    """1 for each text whose own beginning suits its continuation best, else 0; [] for few texts.

    Fan et al. 2018 (arXiv 1805.04833): a model that looks at what came before finds a sentence
    likelier after the sentence it followed than after those of other texts.
    """
    pairs = [pair for pair in map(_two_sentences, texts) if pair is not None][:at_most]
    if len(pairs) <= _RIVALS:
        return []
    dice = np.random.default_rng(seed)
    prompts: list[str] = []
    whole: list[str] = []
    for index, (own, continuation) in enumerate(pairs):
        others = dice.choice([n for n in range(len(pairs)) if n != index], _RIVALS, replace=False)
        for prompt in (own, *(pairs[n][0] for n in others)):
            prompts.append(prompt)
            whole.append(f"{prompt} {continuation}")
    paid = _costs(model, tokenizer, whole) - _costs(model, tokenizer, prompts)
    ranked = paid.reshape(len(pairs), 1 + _RIVALS)
    return [float(row[0] < row[1:].min()) for row in ranked]


def _costs(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]
) -> NDArray[np.float64]:
    """Nats of each text, equal ones read once."""
    different = list(dict.fromkeys(texts))
    nats = likelihood(model, tokenizer, different, visible=True).nats
    by_text = dict(zip(different, nats, strict=True))
    return np.array([by_text[text] for text in texts])


def _two_sentences(text: str) -> tuple[str, str] | None:
    first, mark, rest = text.partition(". ")
    second, end, _ = rest.partition(". ")
    return (first + ".", second + end.strip()) if mark and second else None


def _stories(
    model: LoadedModel, held_out: Sequence[str], sampling: Sampling,
    count: int, seed: int,
) -> list[Story]:  # fmt: skip
    beginnings = [" ".join(text.split()[:_BEGINNING]) for text in held_out]
    prompts = [beginnings[n % len(beginnings)] for n in range(count)]
    return tell(model, prompts, sampling, seed=seed)


def _copying(
    stories: Sequence[Words], held_out: Sequence[str], copies: Copies
) -> dict[str, Estimate]:
    human = [copies.share(words_of(text)) for text in held_out]
    return {
        "copied_8": bootstrap.mean([copies.share(story) for story in stories]),
        "copied_8_human": bootstrap.mean(human),
        "copied_longest": bootstrap.mean([float(copies.longest(story)) for story in stories]),
    }


def table(evaluation: Evaluation) -> str:
    """Lines for people."""
    lines = []
    for field in fields(evaluation):
        figure: Estimate | None = getattr(evaluation, field.name)
        if figure is not None:
            lines.append(
                f"{field.name:<16}{figure.value:>11.4f}   ({figure.low:.4f} to {figure.high:.4f})"
            )
    return "\n".join(lines)
