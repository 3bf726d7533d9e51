"""GPT-2 over rows of single tokens, without a question to the host: what a CUDA graph can hold.

Every row has a token, a slot and a position, so a chunk of a prompt and one token of every story
are the same thing. Keys and values of all rows are kept before any row looks at them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from generator.models.gpt2 import activation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    import numpy as np
    from transformers import GPT2LMHeadModel

    from generator.models.weights import GPT2, GPT2Block

_CHUNK = 64
"""Prompt tokens that are read together."""
_HEAD_ROWS = 64
"""The head's rows are a multiple of so many; nothing is drawn from those that are added."""
_TANH_GELU = {"gelu_new", "gelu_pytorch_tanh", "gelu_fast"}


class GPT2Rows:
    """Implements `Rows` for a GPT-2."""

    chunk = _CHUNK

    def __init__(self, model: GPT2 | GPT2LMHeadModel, slots: int, *, fused: bool) -> None:
        """Prepares keys and values of the slots, and one more that nobody reads."""
        config, weights = model.config, model.transformer.wte.weight
        self.vocabulary: int = config.vocab_size
        self._model, self._fused = model.transformer, fused
        # A product whose rows do not begin where a GPU likes them takes three times as long.
        missing = -self.vocabulary % _HEAD_ROWS
        self._head: Tensor = model.lm_head.weight
        if missing:
            self._head = functional.pad(self._head, (0, 0, 0, missing))
        self._heads = config.n_head
        self._activation = _activation(config.activation_function)
        shape = slots + 1, config.n_head, config.n_positions, config.n_embd // config.n_head
        # Zeros, not empty memory: a masked-out key may be any number, but never NaN.
        self._keys = [weights.new_zeros(shape) for _ in range(config.n_layer)]
        self._values = [weights.new_zeros(shape) for _ in range(config.n_layer)]
        self._no_bias = weights.new_zeros(config.n_embd)

    @property
    def memory(self) -> int:
        """Bytes of keys and values, and of the head where it lies here in another shape too."""
        head = [self._head] if len(self._head) > self.vocabulary else []
        return sum(tensor.nbytes for tensor in [*self._keys, *self._values, *head])

    def chunks(
        self, slots: NDArray[np.int32], positions: NDArray[np.int32]
    ) -> Iterator[slice | NDArray[np.intp]]:
        """Which tokens of prompts go together, at most `chunk` of them; in order."""
        del positions
        for start in range(0, len(slots), _CHUNK):
            yield slice(start, start + _CHUNK)

    def read(self, tokens: Tensor, slots: Tensor, positions: Tensor) -> Tensor:
        """Reads one token a row into its slot; (rows, width) before the head."""
        hidden = functional.embedding(tokens, self._model.wte.weight)
        hidden = hidden + functional.embedding(positions, self._model.wpe.weight)
        change, change_bias = torch.zeros_like(hidden), self._no_bias
        for layer, module in enumerate(self._model.h):
            block = cast("GPT2Block", module)
            hidden, normed = self._norm(hidden, change, change_bias, block.ln_1)
            attention: Any = block.attn
            mixed = torch.addmm(attention.c_attn.bias, normed, attention.c_attn.weight)
            attended = self._attend(layer, mixed, slots, positions, attention.scaling)
            change, change_bias = attended @ attention.c_proj.weight, attention.c_proj.bias
            hidden, normed = self._norm(hidden, change, change_bias, block.ln_2)
            mlp: Any = block.mlp
            inner = self._activation(torch.addmm(mlp.c_fc.bias, normed, mlp.c_fc.weight))
            change, change_bias = inner @ mlp.c_proj.weight, mlp.c_proj.bias
        return self._norm(hidden, change, change_bias, self._model.ln_f)[1]

    def logits(self, last: Tensor) -> Tensor:
        """(rows, width) to (rows, vocabulary)."""
        return functional.linear(last, self._head)[:, : self.vocabulary]

    def _norm(
        self, hidden: Tensor, change: Tensor, change_bias: Tensor, norm: torch.nn.LayerNorm
    ) -> tuple[Tensor, Tensor]:
        """The hidden rows with what a layer changes, and their norm."""
        if not self._fused:
            hidden = hidden + change + change_bias
            return hidden, norm(hidden)
        from generator.models import triton_layers as kernels  # noqa: PLC0415

        rows, width = hidden.shape
        normed = torch.empty_like(hidden)
        kernels.add_and_norm[(rows,)](
            hidden,
            change,
            change_bias,
            norm.weight,
            norm.bias,
            normed,
            norm.eps,
            WIDTH=width,
            BLOCK=1 << (width - 1).bit_length(),
        )
        return hidden, normed

    def _attend(
        self, layer: int, mixed: Tensor, slots: Tensor, positions: Tensor, scale: float
    ) -> Tensor:
        """(rows, 3 x width) queries, keys and values to (rows, width)."""
        keys, values = self._keys[layer], self._values[layer]
        _, heads, context, size = keys.shape
        rows = len(mixed)
        if not self._fused:
            query, key, value = mixed.view(rows, 3, heads, size).unbind(1)
            keys[slots, :, positions], values[slots, :, positions] = key, value
            reach = torch.arange(context, device=mixed.device) <= positions[:, None]
            attended = functional.scaled_dot_product_attention(
                query[:, :, None],
                keys[slots],
                values[slots],
                attn_mask=reach[:, None, None],
                scale=scale,
            )
            return attended.reshape(rows, heads * size)
        from generator.models import triton_layers as kernels  # noqa: PLC0415

        attended = mixed.new_empty(rows, heads * size)
        kernels.keep[(rows,)](
            mixed,
            keys,
            values,
            slots,
            positions,
            context,
            HEADS=heads,
            SIZE=size,
            BLOCK=1 << (heads * size - 1).bit_length(),
        )
        kernels.attend[(rows, heads)](
            mixed,
            keys,
            values,
            slots,
            positions,
            attended,
            context,
            scale,
            HEADS=heads,
            SIZE=size,
            WIDE=1 << (size - 1).bit_length(),
            BLOCK=128,  # of those measured the quickest for nearly all lengths
        )
        return attended


def _activation(name: str) -> Callable[[Tensor], Tensor]:
    """transformers' own, but as one kernel where it would be eight."""
    if name in _TANH_GELU:
        return lambda inner: functional.gelu(inner, approximate="tanh")
    return activation(name)
