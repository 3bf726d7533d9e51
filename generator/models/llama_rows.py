"""A Llama over rows of single tokens, without a question to the host; see `gpt2_rows`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.nn import functional

from generator.models.attending_rows import AttendingRows, Turns
from generator.models.llama import gate, rotations

if TYPE_CHECKING:
    from generator.models.weights import Llama, LlamaBlock

_BLOCK = 512
"""Numbers of the inner layer that one of the GPU's programs works on."""


class LlamaRows(AttendingRows):
    """Implements `Rows` for a Llama."""

    def __init__(self, model: Llama, slots: int, context: int = 0, *, fused: bool) -> None:
        """Prepares slots for stories of `context` tokens; 0: as many as the model reads.

        The model's matrices that read the same are joined: see `Llama.join`.
        """
        shape = model.config
        context = context or shape.max_position_embeddings
        super().__init__(
            model.lm_head.weight,
            slots,
            layers=shape.num_hidden_layers,
            heads=shape.num_attention_heads,
            key_heads=shape.num_key_value_heads,
            context=context,
            size=shape.head_dim,
            turns=Turns(*rotations(shape, context, like=model.lm_head.weight)),
            fused=fused,
        )
        self._model = model.model
        self._mixing, self._opening = zip(*model.join(), strict=True)
        self._scale = shape.head_dim**-0.5
        self._activation = gate(shape)
        self._fused_gate = fused and shape.hidden_act == "silu"

    def read(self, tokens: Tensor, slots: Tensor, positions: Tensor) -> Tensor:
        """Reads one token a row into its slot; (rows, width) before the head."""
        hidden = functional.embedding(tokens, self._model.embed_tokens.weight)
        change = torch.zeros_like(hidden)
        for layer, module in enumerate(self._model.layers):
            block = cast("LlamaBlock", module)
            hidden, normed = self._norm(hidden, change, block.input_layernorm)
            mixed = functional.linear(normed, *self._mixing[layer])
            attended = self._attend(layer, mixed, slots, positions, self._scale)
            change = block.self_attn.o_proj(attended)
            hidden, normed = self._norm(hidden, change, block.post_attention_layernorm)
            change = block.mlp.down_proj(self._gated(layer, normed))
        return self._norm(hidden, change, self._model.norm)[1]

    def _gated(self, layer: int, normed: Tensor) -> Tensor:
        """(rows, width) to (rows, inner width)."""
        both = functional.linear(normed, *self._opening[layer])
        if not self._fused_gate:
            opened, up = both.chunk(2, 1)
            return self._activation(opened) * up
        from generator.models import triton_layers as kernels  # noqa: PLC0415

        rows, width = len(both), both.shape[1] // 2
        inner = both.new_empty(rows, width)
        kernels.gate[(rows, -(-width // _BLOCK))](both, inner, WIDTH=width, BLOCK=_BLOCK)
        return inner
