"""A GPT-2, or a Llama, in 8 bits."""

from __future__ import annotations

from ctypes import byref
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from generator.models.llama import rotations
from generator.models.memory import memory
from generator.models.packed import (
    LANES,
    Block,
    Linear,
    Norm,
    Packed,
    Positions,
    Table,
    TransformerShape,
)
from generator.native import library

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ctypes import Array

    from torch import Tensor

    from generator.models.rows import Rows
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
        shape = self._shape
        reach = -(-shape.context // LANES) * LANES
        a_slot = 2 * shape.layers * shape.key_heads * shape.size * reach
        return [memory(slots * a_slot, torch.float16)]

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

    def __init__(self, shape: GPT2Shape, tensors: Mapping[str, Rows], context: int) -> None:
        """See `Packed`."""
        super().__init__(shape, tensors, context)
        rows = tensors["transformer.wte.weight"]
        self.head = self._linear(tensors.get("lm_head.weight", rows), None)
        size = shape.n_embd // shape.n_head
        self._shape = TransformerShape(
            layers=shape.n_layer,
            heads=shape.n_head,
            key_heads=shape.n_head,
            size=size,
            width=shape.n_embd,
            inner=shape.n_inner or 4 * shape.n_embd,
            context=context,
            epsilon=shape.layer_norm_epsilon,
            scale=_scale(size),
        )
        blocks = (self._block(tensors, f"transformer.h.{at}") for at in range(shape.n_layer))
        self._blocks = (Block * shape.n_layer)(*blocks)
        self._last = self._norm(tensors["transformer.ln_f.weight"], tensors["transformer.ln_f.bias"])
        self._tokens = self._table(rows)
        positions = tensors["transformer.wpe.weight"][:context]
        self._positions = Positions(added=self._hold(positions.float()))

    def _block(self, tensors: Mapping[str, Rows], layer: str) -> Block:
        def norm(name: str) -> Norm:
            return self._norm(tensors[f"{layer}.{name}.weight"], tensors[f"{layer}.{name}.bias"])

        def linear(name: str) -> Linear:  # Conv1D keeps its weight as (inputs, outputs)
            weight = tensors[f"{layer}.{name}.weight"][:].T
            return self._linear(weight, tensors[f"{layer}.{name}.bias"])

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

    def __init__(self, shape: LlamaShape, tensors: Mapping[str, Rows], context: int) -> None:
        """See `Packed`."""
        super().__init__(shape, tensors, context)
        rows = tensors["model.embed_tokens.weight"]
        self.head = self._linear(tensors.get("lm_head.weight", rows), None)
        self._size = shape.head_dim
        self._shape = TransformerShape(
            layers=shape.num_hidden_layers,
            heads=shape.num_attention_heads,
            key_heads=shape.num_key_value_heads,
            size=_padded_size(shape),
            width=shape.hidden_size,
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
        self._tokens = self._table(rows)
        turns = rotations(shape, context, like=torch.empty(0))
        halves = [turn[:, : shape.head_dim // 2] for turn in turns]
        spare = (self._shape.size - shape.head_dim) // 2
        turned = torch.cat([functional.pad(half, (0, spare)) for half in halves], 1)
        self._positions = Positions(turned=self._hold(turned))

    def _block(self, tensors: Mapping[str, Rows], layer: str, shape: LlamaShape) -> Block:
        def norm(name: str) -> Norm:
            return self._norm(tensors[f"{layer}.{name}.weight"])

        def all_of(kind: str, names: tuple[str, ...]) -> list[Tensor]:
            return [tensors[f"{layer}.{name}.{kind}"][:] for name in names]

        def bias(name: str) -> Rows | None:
            return tensors.get(f"{layer}.{name}.bias")

        mixing = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
        gating = ("mlp.gate_proj", "mlp.up_proj")
        (out,) = all_of("weight", ("self_attn.o_proj",))
        found = _lengthened(out.unflatten(1, (-1, self._size)), 2, self._shape.size).flatten(1)
        return Block(
            norm("input_layernorm"),
            norm("post_attention_layernorm"),
            self._linear(
                self._mixed(*all_of("weight", mixing)),
                self._mixed(*all_of("bias", mixing)) if shape.query_bias else None,
            ),
            self._linear(found, bias("self_attn.o_proj")),
            self._linear(
                _beside(*all_of("weight", gating)),
                _beside(*all_of("bias", gating)) if shape.mlp_bias else None,
            ),
            self._linear(tensors[f"{layer}.mlp.down_proj.weight"], bias("mlp.down_proj")),
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
    inner = len(gate) + -len(gate) % LANES
    mixed = gate.new_empty(inner // LANES, 2, LANES, *gate.shape[1:])
    for at, part in enumerate((gate, up)):
        mixed[:, at] = _lengthened(part, 0, inner).unflatten(0, (-1, LANES))
    return mixed.flatten(0, 2)


def _lengthened(tensor: Tensor, dimension: int, length: int) -> Tensor:
    """The same, with zeros at the end of a dimension."""
    spare = length - tensor.shape[dimension]
    shape = [*tensor.shape[:dimension], spare, *tensor.shape[dimension + 1 :]]
    return torch.cat([tensor, tensor.new_zeros(shape)], dimension) if spare else tensor
