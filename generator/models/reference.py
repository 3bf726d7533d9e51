"""A model as transformers loads it: any folder that it can read, and the hub.

Its `generate` is the reference, and for beams; training takes its models and tokenizers from here.
Importing it takes seconds, so whoever can do without does.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from tqdm import tqdm
from transformers import (
    AutoModelForCausalLM,
    GPT2LMHeadModel,
    PreTrainedConfig,
    PreTrainedModel,
    modeling_gguf_pytorch_utils,
)
from transformers.utils.logging import disable_progress_bar

from generator.models.described import Described, config_of, generation_of, shape_in, tokenizer_of
from generator.models.errors import ModelFolderError
from generator.models.gguf_file import gguf_of
from generator.models import lstm as _lstm  # noqa: F401  # makes its kind known to transformers
from generator.models.weights import weights_of

if TYPE_CHECKING:
    from torch import nn

    from generator.models.weights import Weights


@dataclass(frozen=True, slots=True)
class Reference(Described):
    """Transformers' model, too, in evaluation mode."""

    model: PreTrainedModel

    @classmethod
    def load(cls, where: str, config: PreTrainedConfig | None = None) -> Reference:
        """From a folder or the hub; on the CPU, in float32.

        Args:
            where: the folder, or the hub's name.
            config: its configuration, if that was read.

        Raises:
            ModelFolderError: weights are missing, or the tokenizer is damaged or not a fast one.
            Exception: whatever else transformers says of a folder that it cannot read.
        """
        if not sys.stderr.isatty():
            disable_progress_bar()
        gguf = gguf_of(Path(where))
        tokenizer = tokenizer_of(where)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            where,
            dtype=torch.float32,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            generation_config=generation_of(where),
            **_of_gguf(where, gguf, config),
        )
        model, report = loaded
        if lacking := sorted(report["missing_keys"]):
            raise ModelFolderError(f"the weights of {where} lack {lacking[0]} (of {len(lacking)})")
        if isinstance(model, GPT2LMHeadModel) and model.config.add_cross_attention:
            for block in model.transformer.h:  # there is no encoder that they could attend to
                del block.crossattention, block.ln_cross_attn
        module: nn.Module = model.eval().requires_grad_(requires_grad=False)
        for weight in module.parameters():  # may lie in the file, which somebody may write anew
            weight.data = weight.data.clone()
        told = cast("PreTrainedModel", module)
        return cls(tokenizer, told.generation_config, told)

    @property
    def weights(self) -> Weights:
        """The same weights, as decoders take them."""
        return weights_of(shape_in(self.model.config), dict(self.model.state_dict()))

    def share(self, weights: Weights) -> None:
        """Give up its own weights for these, which are the same, so that there is one copy."""
        theirs = dict(weights.named_parameters())
        for name, weight in self.model.named_parameters():
            weight.data = theirs[name].data
        module: nn.Module = self.model
        module.to(next(iter(theirs.values())).device)


def _of_gguf(where: str, gguf: Path | None, config: PreTrainedConfig | None) -> dict[str, Any]:
    """What transformers is told besides where the weights are in such a file."""
    if gguf is None:
        return {}
    # Its bar is drawn into logs too, and nothing turns it off.
    vars(modeling_gguf_pytorch_utils)["tqdm"] = partial(tqdm, disable=None)
    return {"gguf_file": gguf.name, "config": config or config_of(where)}
