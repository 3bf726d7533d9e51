"""A GPT-2, or a Llama, in 8 bits."""

from __future__ import annotations

from ctypes import byref
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from generator.models.llama import rotations
from generator.models.memory import memory
from generator.models.packed import (
    Block,
    Linear,
    Norm,
    Packed,
    Positions,
    Table,
    TransformerShape,
)
from generator.models.packing import LANES, Part
from generator.native import library

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ctypes import Array

    from torch import Tensor

    from generator.models.rows import Order, Rows
    from generator.models.shapes import GPT2Shape, LlamaShape


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
        return [memory(self.kept(slots) // 2, torch.float16)]

    def kept(self, slots: int) -> int:
        """See `Packed.kept`."""
        shape = self._shape
        reach = -(-shape.context // LANES) * LANES
        numbers: int = 2 * shape.layers * shape.key_heads * shape.size * reach
        return 2 * slots * numbers

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

    def __init__(
        self,
        shape: GPT2Shape,
        tensors: Mapping[str, Rows],
        context: int,
        *,
        only_weighed: bool = False,
    ) -> None:
        """See `Packed`."""
        super().__init__(shape, tensors, context, only_weighed=only_weighed)
        rows, width = tensors["transformer.wte.weight"], shape.n_embd
        head = Part(tensors.get("lm_head.weight", rows))
        self.head = self._linear([head], [], shape.vocab_size, width)
        size = width // shape.n_head
        self._shape = TransformerShape(
            layers=shape.n_layer,
            heads=shape.n_head,
            key_heads=shape.n_head,
            size=size,
            width=width,
            inner=shape.n_inner or 4 * width,
            context=context,
            epsilon=shape.layer_norm_epsilon,
            scale=_scale(size),
        )
        blocks = (self._block(tensors, f"transformer.h.{at}") for at in range(shape.n_layer))
        self._blocks = (Block * shape.n_layer)(*blocks)
        self._last = self._norm(
            tensors["transformer.ln_f.weight"], tensors["transformer.ln_f.bias"]
        )
        self._tokens = self._table_of_tokens(rows)
        positions = tensors["transformer.wpe.weight"]
        added = self._table(positions, torch.float32, context, width)
        self._positions = Positions(added=added)

    def _block(self, tensors: Mapping[str, Rows], layer: str) -> Block:
        def norm(name: str) -> Norm:
            return self._norm(tensors[f"{layer}.{name}.weight"], tensors[f"{layer}.{name}.bias"])

        def linear(name: str) -> Linear:  # Conv1D keeps its weight as (inputs, outputs)
            weight, bias = (tensors[f"{layer}.{name}.{kind}"] for kind in ("weight", "bias"))
            inputs, outputs = weight.shape
            return self._linear([Part(weight, turned=True)], [Part(bias)], outputs, inputs)

        return Block(
            norm("ln_1"),
            norm("ln_2"),
            linear("attn.c_attn"),
            linear("attn.c_proj"),
            linear("mlp.c_fc"),
            linear("mlp.c_proj"),
        )


class PackedLlama(_PackedTransformer):
    """A Llama whose shape `choosing.fits_8_bits`.

    The two halves of a head turn together, number by number: so sixteen of the first come beside
    those sixteen of the second, padded with zeros; what queries and keys have to do with each other
    does not hang on their order. Likewise the inner layer's gate goes beside what it lets through.
    """

    def __init__(
        self,
        shape: LlamaShape,
        tensors: Mapping[str, Rows],
        context: int,
        *,
        only_weighed: bool = False,
    ) -> None:
        """See `Packed`."""
        super().__init__(shape, tensors, context, only_weighed=only_weighed)
        rows, width = tensors["model.embed_tokens.weight"], shape.hidden_size
        head = Part(tensors.get("lm_head.weight", rows))
        self.head = self._linear([head], [], shape.vocab_size, width)
        self._shape = TransformerShape(
            layers=shape.num_hidden_layers,
            heads=shape.num_attention_heads,
            key_heads=shape.num_key_value_heads,
            size=_padded_size(shape),
            width=width,
            inner=shape.intermediate_size + -shape.intermediate_size % LANES,
            context=context,
            gated=True,
            smooth=shape.hidden_act == "silu",
            epsilon=shape.rms_norm_eps,
            scale=_scale(shape.head_dim),
        )
        layers = shape.num_hidden_layers
        blocks = (self._block(tensors, f"model.layers.{at}", shape) for at in range(layers))
        self._blocks = (Block * layers)(*blocks)
        self._last = self._norm(tensors["model.norm.weight"])
        self._tokens = self._table_of_tokens(rows)
        turns = rotations(shape, context, like=torch.empty(0))
        halves = [turn[:, : shape.head_dim // 2] for turn in turns]
        spare = (self._shape.size - shape.head_dim) // 2
        turned = torch.cat([functional.pad(half, (0, spare)) for half in halves], 1)
        self._positions = Positions(turned=self._table(turned, torch.float32, *turned.shape))

    def _block(self, tensors: Mapping[str, Rows], layer: str, shape: LlamaShape) -> Block:
        def norm(name: str) -> Norm:
            return self._norm(tensors[f"{layer}.{name}.weight"])

        def linear(
            orders: dict[str, Order | None], outputs: int, inputs: int, within: Order | None = None
        ) -> Linear:
            def parts(kind: str) -> list[Part]:
                named = ((f"{layer}.{name}.{kind}", order) for name, order in orders.items())
                return [
                    Part(tensors[name], outputs=order, inputs=within)
                    for name, order in named
                    if name in tensors
                ]

            return self._linear(parts("weight"), parts("bias"), outputs, inputs)

        width, inner, size = shape.hidden_size, self._shape.inner, self._shape.size
        queries, keys = shape.num_attention_heads * size, shape.num_key_value_heads * size
        mixing: dict[str, Order | None] = {
            "self_attn.q_proj": partial(_turning, shape.head_dim, size, 0),
            "self_attn.k_proj": partial(_turning, shape.head_dim, size, queries),
            "self_attn.v_proj": partial(_in_heads, shape.head_dim, size, queries + keys),
        }
        gating: dict[str, Order | None] = {
            "mlp.gate_proj": partial(_beside, 0),
            "mlp.up_proj": partial(_beside, LANES),
        }
        found = partial(_in_heads, shape.head_dim, size, 0)
        return Block(
            norm("input_layernorm"),
            norm("post_attention_layernorm"),
            linear(mixing, queries + 2 * keys, width),
            linear({"self_attn.o_proj": None}, width, queries, found),
            linear(gating, 2 * inner, width),
            linear({"mlp.down_proj": None}, width, inner),
        )


def _scale(size: int) -> float:
    return float(1 / np.sqrt(np.float32(size)))


def _padded_size(config: LlamaShape) -> int:
    """Of a head: each half is a multiple of sixteen."""
    return -(-config.head_dim // (2 * LANES)) * 2 * LANES


def _turning(size: int, padded: int, begin: int, rows: Tensor) -> Tensor:
    """Where the rows of queries or keys come to be: sixteen of one half, then of the other."""
    half, at = rows % size // (size // 2), rows % (size // 2)
    return begin + rows // size * padded + at // LANES * 2 * LANES + half * LANES + at % LANES


def _in_heads(size: int, padded: int, begin: int, rows: Tensor) -> Tensor:
    """Where the rows of values come to be, or the columns of what attention found."""
    return begin + rows // size * padded + rows % size


def _beside(begin: int, rows: Tensor) -> Tensor:
    """Where the rows of gate or up come to be: sixteen of one, then of the other."""
    return begin + rows // LANES * 2 * LANES + rows % LANES
