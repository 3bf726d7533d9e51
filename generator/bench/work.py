"""What every contestant has to do, and what a contestant is."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from tokenizers import Tokenizer, models
from torch import nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from generator.models.lstm import LSTMConfig, LSTMForCausalLM
from generator.sampling.memfree import MemFree
from generator.sampling.settings import StorySettings

if TYPE_CHECKING:
    from pathlib import Path

    from generator.sampling.settings import Sampling


class MissingPeerError(Exception):
    """A peer is not installed, or cannot tell with this model; its text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Stories told together: each has the same length, whether the model would end it or not."""

    prompts: tuple[tuple[int, ...], ...]
    tokens: int
    """New tokens of each."""
    sampling: Sampling

    @property
    def all_tokens(self) -> int:
        """New tokens of all stories."""
        return self.tokens * len(self.prompts)


class Contestant(Protocol):
    """An engine that is loaded and ready."""

    name: str

    def tell(self, workload: Workload) -> float | None:
        """Tells all stories to their end.

        Returns:
            Seconds until the median story had its first token, where it can be known.
        """
        ...

    def close(self) -> None:
        """Gives back threads and memory."""
        ...


def some_prompts(count: int, length: int, vocabulary: int) -> tuple[tuple[int, ...], ...]:
    """Prompts of random tokens, the same in every run."""
    rng = random.Random(20)
    return tuple(
        tuple(rng.randrange(1, vocabulary - 1) for _ in range(length)) for _ in range(count)
    )


def save_random(shape: str, folder: Path) -> None:
    """A model of this shape with random weights, as a folder that every engine can load."""
    torch.manual_seed(0)
    model: PreTrainedModel
    match shape:
        case "gpt2-small":
            model = GPT2LMHeadModel(GPT2Config())
        case "gpt2-medium":
            model = GPT2LMHeadModel(GPT2Config(n_embd=1024, n_layer=24, n_head=16))
        case "gpt2-starter":
            model = GPT2LMHeadModel(
                GPT2Config(
                    vocab_size=8192,
                    n_positions=512,
                    n_embd=448,
                    n_layer=8,
                    n_head=7,
                    bos_token_id=8191,
                    eos_token_id=8191,
                )
            )
        case "lstm-starter":
            model = LSTMForCausalLM(
                LSTMConfig(
                    vocab_size=8192,
                    embedding_size=512,
                    hidden_size=1152,
                    num_layers=2,
                    max_position_embeddings=512,
                    eos_token_id=8191,
                )
            )
        case "smollm2-135m":
            model = LlamaForCausalLM(
                LlamaConfig(
                    vocab_size=49_152,
                    max_position_embeddings=8192,
                    hidden_size=576,
                    intermediate_size=1536,
                    num_hidden_layers=30,
                    num_attention_heads=9,
                    num_key_value_heads=3,
                    rms_norm_eps=1e-5,
                    rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
                    tie_word_embeddings=True,
                    bos_token_id=0,
                    eos_token_id=0,
                )
            )
        case _:  # the article's LSTM, with about as many words as its corpus has
            model = LSTMForCausalLM(
                LSTMConfig(
                    vocab_size=25_000,
                    embedding_size=100,
                    hidden_size=512,
                    num_layers=3,
                    eos_token_id=24_999,
                )
            )
    model.save_pretrained(folder)
    if shape.endswith("starter"):
        _save_starters_rules(folder)
    size = model.config.vocab_size
    words = Tokenizer(models.WordLevel({f"word{token}": token for token in range(size)}, "word0"))
    special = dict.fromkeys(("bos_token", "eos_token", "unk_token"), f"word{size - 1}")
    PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(folder)


def _save_starters_rules(folder: Path) -> None:
    """What the folders of the starters say of their stories, with a filter of random n-grams."""
    rules = StorySettings(
        temperature=0.7, top_p=0.95, repetition_penalty=1.1, no_repeat_ngram_size=4, memfree=True
    )
    settings = rules.model_dump() | {"do_sample": True, "eos_token_id": 8191}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    rng = random.Random(21)
    texts = ([rng.randrange(8191) for _ in range(200)] for _ in range(1000))
    MemFree.of(texts, np.empty(0, np.int32)).save(folder)


def step_weights(model: PreTrainedModel) -> int:
    """Weights that every step must read: all matrices but an embedding that is not the head."""
    parts = list(model.modules())
    heads = {id(part.weight) for part in parts if isinstance(part, nn.Linear)}
    looked_up = {id(part.weight) for part in parts if isinstance(part, nn.Embedding)} - heads
    return sum(
        weight.numel()
        for weight in model.parameters()
        if weight.dim() > 1 and id(weight) not in looked_up
    )
