"""LoRA (Hu et al. 2021): small matrices learn beside those of a frozen pretrained model.

So a large model can be taught on a card that could not hold its gradients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedModel

    from training.recipe import Pretrained

_MATRICES = ["c_attn", "c_proj", "c_fc"]
"""Of GPT-2: attention's and the inner layer's, each a Conv1D, whose weight is (inputs, outputs)."""


def add_lora(model: PreTrainedModel, shape: Pretrained) -> Callable[[], Any]:
    """Freezes the model and puts learning matrices beside its own, in place.

    Returns:
        What adds them up when they have learned: the model is an ordinary one again.

    Raises:
        InputError: peft is not installed, or the model is no GPT-2.
    """
    try:
        from peft import LoraConfig, LoraModel  # noqa: PLC0415  # optional, and slow to come
    except ImportError as error:
        raise InputError("model.lora_rank needs peft: pip install '.[lora]'.") from error
    config = LoraConfig(
        r=shape.lora_rank,
        lora_alpha=shape.lora_alpha or 2 * shape.lora_rank,
        lora_dropout=shape.lora_dropout,
        target_modules=_MATRICES,
        fan_in_fan_out=True,
    )
    try:
        tuner = LoraModel(model, config, "default")
    except ValueError as error:
        raise InputError(f"model.lora_rank: {shape.name} is no GPT-2.") from error
    merge: Callable[[], Any] = tuner.merge_and_unload
    return merge
