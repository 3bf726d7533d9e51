"""Small models that are built like Llamas, from random weights."""

from __future__ import annotations

from typing import Any, cast

import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
)

from generator.models.shapes import LlamaShape
from generator.models.weights import Llama

ROPE = {"rope_type": "default", "rope_theta": 10_000.0}
STRETCHED = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}


def small_llama(kind: str = "llama", seed: int = 0, **changes: Any) -> PreTrainedModel:
    """Of transformers, in evaluation mode.

    Args:
        kind: llama or qwen2.
        seed: of its weights.
        changes: to its configuration.
    """
    torch.manual_seed(seed)
    shape: dict[str, Any] = {
        "vocab_size": 96,
        "max_position_embeddings": 48,
        "hidden_size": 64,
        "intermediate_size": 112,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rope_parameters": ROPE,
        "initializer_range": 0.2,
        "bos_token_id": 0,
        "eos_token_id": 0,
    } | changes
    config: PreTrainedConfig = LlamaConfig(**shape) if kind == "llama" else Qwen2Config(**shape)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():  # as learnt ones are no ones and zeros
        for weight in model.parameters():
            if weight.dim() == 1:
                weight.add_(torch.randn_like(weight) * 0.1)
    return cast("PreTrainedModel", model.eval())


def weights(model: PreTrainedModel) -> Llama:
    """The same weights, as decoders take them."""
    return Llama(LlamaShape.of(model.config), dict(model.state_dict()))
