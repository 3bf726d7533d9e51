"""A model that only reads: it gives lessons, or imagines texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from generator.models.lstm import LSTMConfig
from training.corpus.tokenizers import END, begin_texts
from training.errors import InputError
from training.hardware import has_bf16

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def load_teacher(
    name: str, device: torch.device, place: str
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A model and its tokenizer, in the format that is fast where it computes.

    Args:
        name: a folder that a recipe with `model.teaches` made, or a GPT-2's, or a name of the hub.
        device: to compute on.
        place: the setting or option that gave the name, for errors.

    Raises:
        InputError: there is no such model, it is damaged, an LSTM, or does not begin and end texts
            with `<|endoftext|>`.
    """
    dtype = torch.bfloat16 if has_bf16(device) else torch.float32
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        tokenizer: Any = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            name,
            dtype=dtype,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{place}: {name} is no model folder, or a damaged one, and cannot be had from the hub."
        ) from error
    model, report = loaded
    if isinstance(config, LSTMConfig):
        raise InputError(f"{place}: {name} is an LSTM; only a transformer teaches.")
    if lacking := sorted(report["missing_keys"]):
        raise InputError(f"{place}: the weights of {name} lack {lacking[0]} (of {len(lacking)}).")
    if tokenizer.eos_token != END or len(tokenizer) > config.vocab_size:
        raise InputError(
            f"{place}: {name} has not our way to end a text, {END}: let `train --recipe teacher` "
            "make a teacher of it."
        )
    model.eval().requires_grad_(requires_grad=False)
    model.to(device)
    return model, begin_texts(tokenizer)


def reach(model: PreTrainedModel, place: str) -> int:
    """Tokens that a model reads at most.

    Raises:
        InputError: it does not say.
    """
    found: int | None = getattr(model.config, "max_position_embeddings", None)
    if found is None:
        raise InputError(f"{place}: a {model.config.model_type} does not say how far it reads.")
    return found
