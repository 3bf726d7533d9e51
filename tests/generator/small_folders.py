"""Small models with random weights, saved by transformers as the folders that a host would have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, PreTrainedTokenizerFast

from generator.models.lstm import LSTMConfig, LSTMForCausalLM
from tests.generator.small_llamas import small_llama
from tests.generator.small_models import byte_level_tokenizer, word_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

VOCABULARY = 512


def save_gpt2(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """Weights large enough that the likeliest token stands out."""
    torch.manual_seed(seed)
    shape: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "n_positions": 128,
        "n_embd": 64,
        "n_layer": 3,
        "n_head": 4,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "initializer_range": 0.15,
    }
    return _save(folder, GPT2LMHeadModel(GPT2Config(**shape | changes)))


def save_lstm(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """Embedding and hidden sizes differ, so there is a projection."""
    torch.manual_seed(seed)
    shape: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "embedding_size": 48,
        "hidden_size": 64,
        "num_layers": 2,
        "max_position_embeddings": 128,
        "eos_token_id": 0,
    }
    model = LSTMForCausalLM(LSTMConfig(**shape | changes))
    with torch.no_grad():
        model.embedding.weight.mul_(25)
    return _save(folder, model)


def save_llama(folder: Path, seed: int = 0, kind: str = "llama", **changes: Any) -> Path:
    """Four heads that share two of keys; `kind` may be qwen2."""
    shape: dict[str, Any] = {"vocab_size": VOCABULARY, "max_position_embeddings": 128}
    return _save(folder, small_llama(kind, seed, **shape | changes))


def save_words(folder: Path) -> None:
    """Instead of its tokenizer, one of whole words: 0 is the unknown word, 1 padding."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=word_tokenizer(), unk_token="<unk>", pad_token="in", eos_token="."
    )
    tokenizer.save_pretrained(folder)


def _save(folder: Path, model: PreTrainedModel) -> Path:
    model.save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_level_tokenizer(), eos_token="<|endoftext|>"
    )
    tokenizer.save_pretrained(folder)
    return folder
