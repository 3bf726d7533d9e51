"""`python -m training train`: a corpus and a recipe in, a model folder out."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedTokenizerFast

from generator.models.loading import load_model
from training.bars import under_way
from training.corpus.batches import encode
from training.corpus.cleaning import without_duplicates
from training.corpus.texts import Split, read_corpus
from training.corpus.tokenizers import check_words, unknown_word
from training.errors import InputError
from training.learning.building import build_model, build_tokenizer
from training.learning.card import plot_losses, write_card
from training.learning.loop import Loop
from training.learning.lora import add_lora
from training.learning.memfree import memfree_of
from training.learning.publishing import publish, staged
from training.learning.run_folder import TOKENIZER, claimed
from training.likelihood import learn_spelling, likelihood
from training.recipe import Fault, Pretrained, Recipe
from training.teaching.lesson import Lesson
from training.teaching.teacher import load_teacher
from training.telling import ARTICLE_PROMPTS, tell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from transformers import PreTrainedModel

    from generator.sampling.memfree import MemFree
    from training.corpus.spelling import Spelling
    from training.corpus.texts import Text
    from training.learning.checkpoint import Measurement
    from training.learning.team import Team


def train(recipe: Recipe, corpus: Path, out: Path, runs: Path, team: Team) -> None:
    """Trains by a recipe, from where an earlier run of the same recipe stopped.

    Args:
        recipe: what to build and how.
        corpus: made by `python -m training clean`.
        out: the model folder.
        runs: where checkpoint, log and best weights are kept until it is done, and after.
        team: the processes that train together; the leader alone writes and prints.

    Raises:
        InputError: the corpus cannot be used, or the checkpoint is another recipe's.
        Interrupted: told to stop; the checkpoint is saved.
    """
    begun = time.monotonic()
    texts = read_corpus(corpus)
    to_train_on = [text for text in texts if text.split is Split.TRAIN]
    if Fault.DUPLICATES not in recipe.training.faults:
        to_train_on = without_duplicates(to_train_on)
    train_texts = [text.text for text in to_train_on]
    target_texts = [text.text for text in to_train_on if text.domain == texts[0].domain]
    validation = _held_out(texts, Split.VALIDATION)
    if not (train_texts and validation):
        raise InputError(f"{corpus} lacks texts to train on or to validate by.")
    if recipe.training.target_last and not target_texts:
        raise InputError(f"{corpus} lacks target texts to end with: set training.target_last=0.")
    folder = runs / out.name
    with claimed(folder, recipe, corpus) if team.leads else nullcontext():
        if team.leads:
            with under_way("Learning tokens"):
                _learn_tokens(recipe, train_texts, folder)
        team.of_leader(None)  # it is done
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / TOKENIZER)
        if Fault.BEST_ON_TRAINING not in recipe.training.faults:
            check_words(validation, tokenizer)  # or there is no best
        with under_way("Building the model and encoding its texts", visible=team.leads):
            torch.manual_seed(recipe.training.seed)
            model = build_model(recipe, tokenizer)
            merge = None
            if isinstance(recipe.model, Pretrained) and recipe.model.lora_rank:
                merge = add_lora(model, recipe.model)
            device: Any = team.device  # transformers' `to` hides its arguments from type checkers
            model.to(device)
            context = recipe.model.context
            lesson = Lesson(recipe.teacher, model, context) if recipe.teacher else None
            spelling = learn_spelling(train_texts, tokenizer)
            memfree = memfree_of(recipe, texts, tokenizer) if team.leads else None
            loop = Loop(
                model,
                tokenizer,
                recipe.training,
                encode(train_texts, tokenizer, context),
                encode(target_texts, tokenizer, context),
                validation,
                folder,
                team,
                spelling,
                lesson,
            )
        ready = time.monotonic()
        loop.run()
        trained = time.monotonic()
        if merge:
            merge()
        if not team.leads:
            return
        bits = _export(
            recipe, model, tokenizer, texts, spelling, memfree, loop.course.measurements, out
        )
    for split, value in bits.items():
        print(f"{split}: {value:.3f} bits per byte")
    course = loop.course
    print(
        f"{course.seconds - course.measuring:.0f} s of training, {course.measuring:.0f} s of "
        f"measuring meanwhile; before it {ready - begun:.0f} s, after it "
        f"{time.monotonic() - trained:.0f} s to publish and measure."
    )
    print(f"The model is in {out}.")


def _held_out(texts: Sequence[Text], split: Split) -> list[str]:
    return [text.text for text in texts if text.split is split]


def _export(
    recipe: Recipe,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[Text],
    spelling: Spelling | None,
    memfree: MemFree | None,
    measurements: Sequence[Measurement],
    out: Path,
) -> dict[Split, float]:
    """Writes the model folder; returns what is published in bits per byte, by held-out split.

    A model that only teaches gets no card: the generator does not tell from it.
    """
    teaches = isinstance(recipe.model, Pretrained) and recipe.model.teaches
    with staged(out) as beside:
        publish(model, tokenizer, recipe.sampling, memfree, beside)
        published = None if teaches else load_model(beside)
        if published is None:
            read_by, _ = load_teacher(str(beside), model.device, "--out")
        else:
            read_by = published.model
        bits = {
            split: likelihood(
                read_by, tokenizer, unseen, spelling=spelling, visible=True
            ).bits_per_byte
            for split in (Split.VALIDATION, Split.TEST)
            if (unseen := _held_out(texts, split))
        }
        if published is None:
            plot_losses(measurements, beside / "training.png")
        else:
            prompts = [text for text in ARTICLE_PROMPTS if unknown_word(text, tokenizer) is None]
            stories = tell(published, prompts, recipe.sampling, seed=1) if prompts else []
            write_card(beside, recipe, texts, measurements, bits, stories)
    return bits


def _learn_tokens(recipe: Recipe, texts: list[str], folder: Path) -> None:
    """Once for a run, and kept, so that a resumed one reads the same ids."""
    path = folder / TOKENIZER
    if not (path / "tokenizer.json").is_file():
        beside = folder / "tokenizer.new"
        build_tokenizer(recipe, texts).save_pretrained(beside)
        beside.replace(path)
