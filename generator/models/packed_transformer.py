"""A GPT-2, or a Llama, in 8 bits."""

from __future__ import annotations

from ctypes import byref
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch.nn import functional

from generator.models.llama import rotations
from generator.models.packed import (
    LANES,
    Block,
    Linear,
    Norm,
    Packed,
    Positions,
    Table,
    TransformerShape,
    memory,
)
from generator.native import library

if TYPE_CHECKING:
    from ctypes import Array

    from torch import Tensor

    from generator.models.shapes import LlamaShape
    from generator.models.weights import GPT2, GPT2Block, Llama, LlamaBlock


class _PackedTransformer(Packed):
    kind = "transformer"

    _shape: TransformerShape
    _blocks: Array[Block]
    _last: Norm
    _tokens: Table
    _positions: Positions

    def state(self, slots: int) -> list[Tensor]:
        """See `Packed.state`: keys and values, the most that they may take.

        The system gives their pages only when stories first grow into them.
        """
        shape = self._shape
        reach = -(-shape.context // LANES) * LANES
        a_slot = 2 * shape.layers * shape.key_heads * shape.size * reach
        return [memory(slots * a_slot, torch.float16)]

    def copy(self, state: list[Tensor], source: int, target: int, begin: int, end: int) -> None:
        """See `Packed.copy`: blocks of sixteen tokens, which lie one after the other."""
        (cache,) = state
        shape = self._shape
        a_block = 2 * shape.layers * shape.key_heads * shape.size * LANES
        slots = cache.view(-1, -(-shape.context // LANES), a_block)
        blocks = slice(begin // LANES, -(-end // LANES))
        slots[target, blocks] = slots[source, blocks]

    def open(self, state: list[Tensor]) -> int:
        """See `Packed.open`."""
        (cache,) = state
        opened: int = library().transformer_open(
            byref(self._shape),
            self._blocks,
            byref(self._last),
            byref(self.head),
            byref(self._tokens),
            byref(self._positions),
            cache.data_ptr(),
        )
        return opened


class PackedGPT2(_PackedTransformer):
    """A GPT-2 whose shape `choosing.fits_8_bits`."""

    def __init__(self, model: GPT2, context: int) -> None:
        """See `Packed`."""
        super().__init__(model, context)
        config, parts = model.config, model.transformer
        self.head = self._linear(model.lm_head.weight, None)
        size = config.n_embd // config.n_head
        self._shape = TransformerShape(
            layers=config.n_layer,
            heads=config.n_head,
            key_heads=config.n_head,
            size=size,
            width=config.n_embd,
            inner=config.n_inner or 4 * config.n_embd,
            context=context,
            epsilon=config.layer_norm_epsilon,
            scale=_scale(size),
        )
        blocks = (self._block(cast("GPT2Block", part)) for part in parts.h)
        self._blocks = (Block * config.n_layer)(*blocks)
        self._last = self._norm(parts.ln_f)
        self._tokens = self._table(parts.wte.weight)
        self._positions = Positions(added=self._hold(parts.wpe.weight[:context].float()))

    def _block(self, block: GPT2Block) -> Block:
        attention, inner = block.attn, block.mlp
        return Block(
            self._norm(block.ln_1),
            self._norm(block.ln_2),
            # Conv1D keeps its weight as (inputs, outputs).
            self._linear(attention.c_attn.weight.T, attention.c_attn.bias),
            self._linear(attention.c_proj.weight.T, attention.c_proj.bias),
            self._linear(inner.c_fc.weight.T, inner.c_fc.bias),
            self._linear(inner.c_proj.weight.T, inner.c_proj.bias),
        )


class PackedLlama(_PackedTransformer):
    """A Llama whose shape `choosing.fits_8_bits`.

    The two halves of a head turn together, number by number: so sixteen of the first come beside
    those sixteen of the second, padded with zeros; what queries and keys have to do with each other
    does not hang on their order. Likewise the inner layer's gate goes beside what it lets through.
    """

    def __init__(self, model: Llama, context: int) -> None:
        """See `Packed`."""
        super().__init__(model, context)
        config, parts = model.config, model.model
        self.head = self._linear(model.lm_head.weight, None)
        self._size = config.head_dim
        self._shape = TransformerShape(
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            key_heads=config.num_key_value_heads,
            size=_padded_size(config),
            width=config.hidden_size,
            inner=config.intermediate_size + -config.intermediate_size % LANES,
            context=context,
            gated=True,
            smooth=config.hidden_act == "silu",
            epsilon=config.rms_norm_eps,
            scale=_scale(config.head_dim),
        )
        blocks = (self._block(cast("LlamaBlock", part), config) for part in parts.layers)
        self._blocks = (Block * config.num_hidden_layers)(*blocks)
        self._last = self._norm(parts.norm)
        self._tokens = self._table(parts.embed_tokens.weight)
        turns = rotations(config, context, like=torch.empty(0))
        halves = [turn[:, : config.head_dim // 2] for turn in turns]
        spare = (self._shape.size - config.head_dim) // 2
        turned = torch.cat([functional.pad(half, (0, spare)) for half in halves], 1)
        self._positions = Positions(turned=self._hold(turned))

    def _block(self, block: LlamaBlock, config: LlamaShape) -> Block:
        attention, inner = block.self_attn, block.mlp
        query, key, value = attention.q_proj, attention.k_proj, attention.v_proj
        out, gate, up = attention.o_proj.weight, inner.gate_proj, inner.up_proj
        found = _lengthened(out.unflatten(1, (-1, self._size)), 2, self._shape.size).flatten(1)
        return Block(
            self._norm(block.input_layernorm),
            self._norm(block.post_attention_layernorm),
            self._linear(
                self._mixed(query.weight, key.weight, value.weight),
                self._mixed(query.bias, key.bias, value.bias) if config.query_bias else None,
            ),
            self._linear(found, attention.o_proj.bias),
            self._linear(
                _beside(gate.weight, up.weight),
                _beside(gate.bias, up.bias) if config.mlp_bias else None,
            ),
            self._linear(inner.down_proj.weight, inner.down_proj.bias),
        )

    def _mixed(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return torch.cat([self._turning(query), self._turning(key), self._values(value)])

    def _turning(self, rows: Tensor) -> Tensor:
        """(heads · size, …) of queries or keys, reordered and padded."""
        halves = rows.unflatten(0, (-1, 2, self._size // 2))
        padded = _lengthened(halves, 2, self._shape.size // 2)
        mixed: Tensor = padded.unflatten(2, (-1, LANES)).transpose(1, 2).flatten(0, 3)
        return mixed

    def _values(self, rows: Tensor) -> Tensor:
        """(heads · size, …) of values, padded."""
        return _lengthened(rows.unflatten(0, (-1, self._size)), 1, self._shape.size).flatten(0, 1)


def _scale(size: int) -> float:
    return float(1 / np.sqrt(np.float32(size)))


def _padded_size(config: LlamaShape) -> int:
    """Of a head: each half is a multiple of sixteen."""
    return -(-config.head_dim // (2 * LANES)) * 2 * LANES


def _beside(gate: Tensor, up: Tensor) -> Tensor:
    """(inner, …) each: sixteen outputs of one, then those of the other, padded."""
    both = torch.stack([gate, up])
    both = _lengthened(both, 1, both.shape[1] + -both.shape[1] % LANES)
    mixed: Tensor = both.unflatten(1, (-1, LANES)).transpose(0, 1).flatten(0, 2)
    return mixed


def _lengthened(tensor: Tensor, dimension: int, length: int) -> Tensor:
    """The same, with zeros at the end of a dimension."""
    spare = length - tensor.shape[dimension]
    shape = [*tensor.shape[:dimension], spare, *tensor.shape[dimension + 1 :]]
    return torch.cat([tensor, tensor.new_zeros(shape)], dimension) if spare else tensor
