"""`python -m training train`: a corpus and a recipe in, a model folder out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from transformers import PreTrainedTokenizerFast

from generator.models.loading import load_model
from training.batches import encode
from training.building import build_model, build_tokenizer
from training.corpus import Split, read_corpus, without_duplicates
from training.likelihood import learn_spelling, likelihood
from training.loop import Loop
from training.lora import add_lora
from training.publishing import publish, write_card
from training.reading import InputError
from training.recipe import Fault, Pretrained, Recipe
from training.telling import ARTICLE_PROMPTS, tell
from training.tokenizers import unknown_word

if TYPE_CHECKING:
    from pathlib import Path

    from training.team import Team

TOKENIZER = "tokenizer"
"""The folder of that name in the run's."""


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
    texts = read_corpus(corpus)
    to_train_on = [text for text in texts if text.split is Split.TRAIN]
    if Fault.DUPLICATES not in recipe.training.faults:
        to_train_on = without_duplicates(to_train_on)
    train_texts = [text.text for text in to_train_on]
    target_texts = [text.text for text in to_train_on if text.domain == texts[0].domain]
    validation = [text.text for text in texts if text.split is Split.VALIDATION]
    test = [text.text for text in texts if text.split is Split.TEST]
    if not (train_texts and validation):
        raise InputError(f"{corpus} lacks texts to train on or to validate by.")
    folder = runs / out.name
    if team.leads:
        _claim(folder, recipe)
        _learn_tokens(recipe, train_texts, folder)
    team.of_leader(None)  # it is done
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder / TOKENIZER)
    torch.manual_seed(recipe.training.seed)
    model = build_model(recipe, tokenizer)
    merge = None
    if isinstance(recipe.model, Pretrained) and recipe.model.lora_rank:
        merge = add_lora(model, recipe.model)
    device: Any = team.device  # transformers' `to` hides its arguments from type checkers
    model.to(device)
    context = recipe.model.context
    spelling = learn_spelling(train_texts, tokenizer)
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
    )
    loop.run()
    if merge:
        merge()
    if not team.leads:
        return
    publish(model, tokenizer, recipe.sampling, out)
    published = load_model(out)
    bits = {
        split: likelihood(published.model, tokenizer, held_out, spelling=spelling).bits_per_byte
        for split, held_out in ((Split.VALIDATION, validation), (Split.TEST, test))
        if held_out
    }
    prompts = [text for text in ARTICLE_PROMPTS if unknown_word(text, tokenizer) is None]
    stories = tell(published, prompts, recipe.sampling, seed=1) if prompts else []
    write_card(out, recipe, texts, loop.course.measurements, bits, stories)
    for split, value in bits.items():
        print(f"{split}: {value:.3f} bits per byte")
    print(f"The model is in {out}.")


def _claim(folder: Path, recipe: Recipe) -> None:
    """A run's folder belongs to one recipe: resuming with another would mix two trainings.

    How stories are sampled may change, for it changes no weight.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.json"
    if (folder / "checkpoint.pt").is_file():
        try:
            before = Recipe.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            before = None
        if before is None or before.model_copy(update={"sampling": recipe.sampling}) != recipe:
            raise InputError(
                f"{folder} holds the checkpoint of another recipe or other settings: go on with "
                "those, delete it to start anew, or choose another --out."
            )
    path.write_text(recipe.model_dump_json(indent=2), encoding="utf-8")


def _learn_tokens(recipe: Recipe, texts: list[str], folder: Path) -> None:
    """Once for a run, and kept, so that a resumed one reads the same ids."""
    path = folder / TOKENIZER
    if not (path / "tokenizer.json").is_file():
        beside = folder / "tokenizer.new"
        build_tokenizer(recipe, texts).save_pretrained(beside)
        beside.replace(path)
