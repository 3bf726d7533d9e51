"""A trained model as a folder that transformers, our generator and a hub can load."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from transformers import GenerationConfig

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from training.recipe import Sampling


def publish(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    sampling: Sampling,
    folder: Path,
) -> None:
    """Writes config, weights in half precision, tokenizer and sampling settings."""
    folder.mkdir(parents=True, exist_ok=True)
    half = copy.deepcopy(model).half()
    half.generation_config = GenerationConfig(
        do_sample=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **sampling.model_dump(),
    )
    half.save_pretrained(folder)
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.save_pretrained(folder)
