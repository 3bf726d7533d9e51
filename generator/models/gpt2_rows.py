"""GPT-2 over rows of single tokens, without a question to the host: what a CUDA graph can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from generator.models.attending_rows import AttendingRows
from generator.models.gpt2 import activation

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import GPT2LMHeadModel

    from generator.models.weights import GPT2, GPT2Block

_TANH_GELU = {"gelu_new", "gelu_pytorch_tanh", "gelu_fast"}


class GPT2Rows(AttendingRows):
    """Implements `Rows` for a GPT-2."""

    def __init__(
        self, model: GPT2 | GPT2LMHeadModel, slots: int, context: int = 0, *, fused: bool
    ) -> None:
        """Prepares slots for stories of `context` tokens; 0: as many as the model reads."""
        config = model.config
        super().__init__(
            model.lm_head.weight,
            slots,
            layers=config.n_layer,
            heads=config.n_head,
            key_heads=config.n_head,
            context=context or config.n_positions,
            size=config.n_embd // config.n_head,
            fused=fused,
        )
        self._model = model.transformer
        self._activation = _activation(config.activation_function)

    def read(self, tokens: Tensor, slots: Tensor, positions: Tensor) -> Tensor:
        """Reads one token a row into its slot; (rows, width) before the head."""
        hidden = functional.embedding(tokens, self._model.wte.weight)
        hidden = hidden + functional.embedding(positions, self._model.wpe.weight)
        change: Tensor = torch.zeros_like(hidden)
        change_bias: Tensor | None = None
        for layer, module in enumerate(self._model.h):
            block = cast("GPT2Block", module)
            hidden, normed = self._norm(hidden, change, block.ln_1, change_bias)
            attention: Any = block.attn
            mixed = torch.addmm(attention.c_attn.bias, normed, attention.c_attn.weight)
            attended = self._attend(layer, mixed, slots, positions, attention.scaling)
            change, change_bias = attended @ attention.c_proj.weight, attention.c_proj.bias
            hidden, normed = self._norm(hidden, change, block.ln_2, change_bias)
            mlp: Any = block.mlp
            inner = self._activation(torch.addmm(mlp.c_fc.bias, normed, mlp.c_fc.weight))
            change, change_bias = inner @ mlp.c_proj.weight, mlp.c_proj.bias
        return self._norm(hidden, change, self._model.ln_f, change_bias)[1]


def _activation(name: str) -> Callable[[Tensor], Tensor]:
    """Transformers' own, but as one kernel where it would be eight."""
    if name in _TANH_GELU:
        return lambda inner: functional.gelu(inner, approximate="tanh")
    return activation(name)
