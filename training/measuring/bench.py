"""`python -m training bench`: how fast our loop trains, beside transformers' own `Trainer`.

Contestants take turns, so that what disturbs the machine disturbs them all. In each round each
reads the same texts once, from the same fresh weights, by AdamW and the same schedule. What is
compared is how they make batches and what they compute in: ours batches texts of about one length
and computes in bfloat16 where the hardware does; `trainer` is the Trainer as it comes, float32 on
texts as they fall, padded to the longest; `trainer-tuned` has its switches for both turned on. It
sorts within a quarter of the texts at most (and 50 batches), so few texts let it look worse than
it is. `kataribe-muon` is our loop once more, with Muon for its matrices. An LSTM is trained by our
two alone.
"""

from __future__ import annotations

import copy
import gc
import importlib.util
import json
import statistics
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers.utils import logging as transformers_logging

from training.corpus.batches import encode
from training.corpus.texts import Split, read_corpus
from training.errors import InputError
from training.hardware import best_device, name_of
from training.learning.building import build_model, build_tokenizer
from training.measuring.contestants import CONTESTANTS, OURS, Epoch, Work
from training.recipe import GPT2, LSTM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.measuring.contestants import Contestant
    from training.recipe import Recipe

_HELD_OUT = 16
"""Texts by which it is seen that all have learned."""


def bench(recipe: Recipe, corpus: Path | None, count: int, repeat: int) -> None:
    """Measures real tokens a second; prints a table, then one JSON object on the last line.

    Args:
        recipe: of a model from nothing; shape, batch size and rates are taken, the rest is made
            such that both can do it.
        corpus: made by `python -m training clean`; None invents texts.
        count: of texts; one epoch of them is trained on in each round.
        repeat: rounds that are measured, after one that is not.

    Raises:
        InputError: the Trainer lacks accelerate, or recipe or corpus cannot be used.
    """
    of_us_alone = isinstance(recipe.model, LSTM)
    if not of_us_alone and importlib.util.find_spec("accelerate") is None:
        raise InputError("bench needs accelerate, as the Trainer does: pip install '.[trainer]'.")
    transformers_logging.set_verbosity_error()
    texts, held_out = _invented(count) if corpus is None else _read(corpus, count)
    work = _work(recipe, texts, held_out)
    device = best_device()
    about = {
        "device": name_of(device),
        "model": f"{recipe.name}, {work.model.num_parameters():,} weights",
        "texts": len(work.rows),
        "padding": round(work.padding, 4),
        "loss_untrained": round(work.loss(work.model), 4),
    }
    print(f"{about['model']}, on {about['device']}")
    print(
        f"{work.tokens:,} tokens of {len(work.rows):,} texts in an epoch, {repeat} rounds; "
        f"{work.padding:.1%} of our batches is padding"
    )
    rows = [Row(name) for name in (OURS if of_us_alone else CONTESTANTS)]
    for turn in range(repeat + 1):
        for place in range(len(rows)):
            row = rows[(turn + place) % len(rows)]
            epoch = _train(CONTESTANTS[row.trainer], work, device)
            if turn > 0:
                row.epochs.append(epoch)
        print(f"round {turn} of {repeat} done", file=sys.stderr)
    ours, *others = rows
    _print_table(rows)
    ratios = {
        name: round(ours.speed / row.speed, 3)
        for name, row in zip(("ratio_muon", "ratio", "ratio_tuned"), others, strict=False)
    }
    print(json.dumps({**about, "rows": [row.as_json() for row in rows], **ratios}))


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant over all rounds."""

    trainer: str
    epochs: list[Epoch] = field(default_factory=list)

    @property
    def speeds(self) -> list[float]:
        """Real targets a second."""
        return [epoch.tokens / epoch.seconds for epoch in self.epochs]

    @property
    def speed(self) -> float:
        """The median."""
        return statistics.median(self.speeds)

    @property
    def loss(self) -> float:
        """The median; all begin alike, so they hardly differ."""
        return statistics.median(epoch.loss for epoch in self.epochs)

    def as_json(self) -> dict[str, Any]:
        """For the last line."""
        return {
            "trainer": self.trainer,
            "tokens": self.epochs[0].tokens,
            "tokens_per_second": round(self.speed, 1),
            "tokens_per_second_low": round(min(self.speeds), 1),
            "tokens_per_second_high": round(max(self.speeds), 1),
            "loss": round(self.loss, 4),
        }


def _work(recipe: Recipe, texts: list[str], held_out: list[str]) -> Work:
    """The recipe's model for these texts, trained in a way that loop and Trainer both have.

    That is AdamW, a rate that rises and falls in lines, and one epoch that ends with its last text.
    """
    from_nothing = isinstance(recipe.model, GPT2 | LSTM) and recipe.teacher is None
    if not (from_nothing and recipe.training.batch_tokens):
        raise InputError(
            f"{recipe.name}: bench takes a recipe of a model from nothing with batch_tokens, such "
            "as starter-gpt2 or starter-lstm."
        )
    training = recipe.training.model_copy(
        update={
            "optimizer": "adamw", "decay_vectors": False, "accumulate": 1, "faults": (),
            "epochs": 1.0, "minutes": 0.0, "target_last": 0.0,
            "decay": 1 - recipe.training.warmup, "decay_shape": "linear", "halve_after": 0,
            "validate_every": sys.maxsize, "patience": 0,
        }
    )  # fmt: skip
    recipe = recipe.model_copy(update={"training": training})
    tokenizer = build_tokenizer(recipe, texts)
    torch.manual_seed(training.seed)
    return Work(
        training=training,
        model=build_model(recipe, tokenizer),
        tokenizer=tokenizer,
        # A target fewer than the loop can read: the Trainer's rows hold the last one as an input.
        rows=encode(texts, tokenizer, recipe.model.context - 1),
        held_out=held_out,
    )


def _invented(count: int) -> tuple[list[str], list[str]]:
    """Texts of invented words, and others to hold out: about as long as synopses.

    Lengths are lognormal around 100 words, words are as unlike in frequency as a language's (Zipf).
    """
    dice = np.random.default_rng(20)
    syllables = [first + second for first in "bdfghjkmnprstwyz" for second in "aeiou"]
    words = ["".join(dice.choice(syllables, size)) for size in dice.integers(1, 4, size=6000)]
    shares = 1 / np.arange(1, len(words) + 1)
    lengths = np.ceil(dice.lognormal(np.log(100), 0.6, size=count + _HELD_OUT)).astype(int)
    texts = [" ".join(dice.choice(words, size, p=shares / shares.sum())) for size in lengths]
    return texts[:count], texts[count:]


def _read(corpus: Path, count: int) -> tuple[list[str], list[str]]:
    """So many training texts of a corpus, evenly from all of it, and some held out."""
    texts = read_corpus(corpus)
    training = [text.text for text in texts if text.split is Split.TRAIN]
    held_out = [text.text for text in texts if text.split is Split.VALIDATION]
    if not (training and held_out):
        raise InputError(f"{corpus} lacks texts to train on or to validate by.")
    chosen = np.linspace(0, len(training) - 1, min(count, len(training))).round().astype(int)
    return [training[index] for index in chosen], held_out[:_HELD_OUT]


def _train(contestant: Contestant, work: Work, device: torch.device) -> Epoch:
    to: Any = device  # transformers' `to` hides its arguments from type checkers
    model = copy.deepcopy(work.model).to(to)
    gc.collect()
    with tempfile.TemporaryDirectory() as folder:
        epoch = contestant(work, model, Path(folder))
    trained = copy.deepcopy(work.model).to(to)  # the Trainer leaves autocast in its model
    trained.load_state_dict(model.state_dict())
    return replace(epoch, loss=work.loss(trained))


def _print_table(rows: Sequence[Row]) -> None:
    print(f"{'trainer':<14}{'tokens/s':>10}{'range':>16}{'ours is':>9}{'loss':>8}")
    for row in rows:
        spread = f"{min(row.speeds):.0f}-{max(row.speeds):.0f}"
        ratio = "" if row is rows[0] else f"{rows[0].speed / row.speed:.2f} x"
        print(f"{row.trainer:<14}{row.speed:>10.0f}{spread:>16}{ratio:>9}{row.loss:>8.3f}")
