"""A recipe, a tokenizer and stories small enough to train on in a test."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from training.corpus.batches import encode
from training.corpus.tokenizers import train_bpe
from training.learning.building import build_model
from training.learning.loop import Loop
from training.recipe import Recipe

if TYPE_CHECKING:
    from training.learning.team import Team

STORIES = Path(__file__).parent.parent / "data" / "stories.csv"
with STORIES.open(newline="", encoding="utf-8") as _file:
    TEXTS = [row["synopsis"] for row in csv.DictReader(_file)]
TRAIN, VALIDATION = TEXTS[:40], TEXTS[-8:]
TOKENIZER = train_bpe(TEXTS, 400)

SHAPES: dict[str, dict[str, Any]] = {
    "gpt2": {
        "kind": "gpt2", "embedding_size": 32, "num_layers": 1, "num_heads": 2, "context": 128,
        "dropout": 0.1,
    },
    "lstm": {
        "kind": "lstm", "embedding_size": 24, "hidden_size": 32, "num_layers": 2, "context": 128,
        "layer_dropout": 0.1, "weight_drop": 0.1,
    },
}  # fmt: skip


def recipe(kind: Literal["gpt2", "lstm"], **training: Any) -> Recipe:
    """A small recipe, with other values for its training where given."""
    values = {
        "epochs": 2, "batch_tokens": 512, "optimizer": "muon", "learning_rate": 3e-3,
        "weight_decay": 0.1, "warmup": 0.1, "decay": 0.5, "clip": 1.0, "validate_every": 3,
        "bf16": False, **training,
    }  # fmt: skip
    return Recipe.model_validate(
        {
            "name": "small",
            "model": SHAPES[kind],
            "tokens": {"kind": "bpe", "vocab_size": 400},
            "training": values,
            "sampling": {"temperature": 0.8},
        }
    )


def loop(folder: Path, chosen: Recipe, train: list[str] = TRAIN, team: Team | None = None) -> Loop:
    """A loop over a new model of the recipe; it takes up the folder's checkpoint."""
    torch.manual_seed(chosen.training.seed)
    model = build_model(chosen, TOKENIZER)
    rows = encode(train, TOKENIZER, 128)
    return Loop(model, TOKENIZER, chosen.training, rows, rows[:4], VALIDATION, folder, team)


def llama(tokens: int, *, tied: bool = True) -> Any:
    """A tiny Llama with random weights: a kind of model that can only teach."""
    torch.manual_seed(4)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokens, hidden_size=32, intermediate_size=48, num_hidden_layers=1,
            num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=256,
            tie_word_embeddings=tied, bos_token_id=0, eos_token_id=0,
        )
    ).eval()  # fmt: skip
