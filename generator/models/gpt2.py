"""GPT-2 over slots, in torch: the exact reference, and the way to tell on a GPU.

Radford et al. 2019, "Language Models are Unsupervised Multitask Learners". The weights are those
of transformers' `GPT2LMHeadModel`; only the keys and values live here, one block for all slots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.nn import functional

from generator.models.attention import Attention, Places

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import GPT2LMHeadModel

    from generator.models.decoder import Batch
    from generator.models.weights import GPT2, Conv1D, GPT2Block


class GPT2Decoder:
    """Implements `Decoder` for a GPT-2 on any device and in any floating type."""

    def __init__(self, model: GPT2 | GPT2LMHeadModel, slots: int, context: int = 0) -> None:
        """Prepares slots for stories of `context` tokens; 0: as many as the model reads."""
        config, weights = model.config, model.transformer.wte.weight
        self.vocabulary = config.vocab_size
        self._model = model.transformer
        self._head = model.lm_head.weight
        self._heads = config.n_head
        self._device = weights.device
        self._activation = activation(config.activation_function)
        self._attention = Attention(
            weights,
            slots=slots,
            layers=config.n_layer,
            heads=config.n_head,
            context=context or config.n_positions,
            size=config.n_embd // config.n_head,
        )

    @property
    def memory(self) -> int:
        """See `Decoder.memory`: keys and values."""
        return self._attention.memory

    def copy(self, source: int, target: int, begin: int, end: int) -> None:
        """See `Decoder.copy`."""
        self._attention.copy(source, target, begin, end)

    @torch.inference_mode()
    def step(self, batch: Batch) -> Tensor:
        """See `Decoder.step`."""
        where = Places(batch, self._device)
        tokens = torch.from_numpy(batch.tokens).to(self._device, torch.long)
        hidden = self._model.wte(tokens) + self._model.wpe(where.positions)
        for layer, block in enumerate(self._model.h):
            hidden = self._block(cast("GPT2Block", block), layer, hidden, where)
        last = hidden[torch.from_numpy(batch.ends - 1).to(self._device, torch.long)]
        return functional.linear(self._model.ln_f(last), self._head).float()

    def _block(self, block: GPT2Block, layer: int, hidden: Tensor, where: Places) -> Tensor:
        """hidden: (tokens, width), before and after."""
        attention = block.attn
        query, key, value = (
            part.unflatten(1, (self._heads, -1))
            for part in _linear(attention.c_attn, block.ln_1(hidden)).chunk(3, dim=1)
        )
        self._attention.keep(layer, key, value, where)
        attended = self._attention.attend(layer, query, where, attention.scaling)
        hidden = hidden + _linear(attention.c_proj, attended.flatten(1))
        inner = self._activation(_linear(block.mlp.c_fc, block.ln_2(hidden)))
        return hidden + _linear(block.mlp.c_proj, inner)


def _linear(layer: Conv1D, rows: Tensor) -> Tensor:
    """Its weight is turned over."""
    return torch.addmm(layer.bias, rows, layer.weight)


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """Transformers' own, to the last digit."""
    from transformers.activations import ACT2FN  # noqa: PLC0415  # takes seconds; not for 8 bits

    found: Callable[[Tensor], Tensor] = ACT2FN[name]
    return found
