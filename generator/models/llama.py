"""A Llama over slots, in torch: the exact reference (Touvron et al. 2023).

Beside a GPT-2 it has norms without a mean, positions that turn queries and keys, keys that several
heads of queries share, and an inner layer with a gate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.nn import functional

from generator.models.attention import Attention, Places
from generator.models.gpt2 import activation

if TYPE_CHECKING:
    from collections.abc import Callable

    from generator.models.decoder import Batch
    from generator.models.shapes import LlamaShape
    from generator.models.weights import Llama, LlamaBlock


class LlamaDecoder:
    """Implements `Decoder` for a Llama on any device and in any floating type."""

    def __init__(self, model: Llama, slots: int, context: int = 0) -> None:
        """Prepares slots for stories of `context` tokens; 0: as many as the model reads."""
        shape, weights = model.config, model.model.embed_tokens.weight
        context = context or shape.max_position_embeddings
        self.vocabulary = shape.vocab_size
        self._model = model.model
        self._head = model.lm_head.weight
        self._size = shape.head_dim
        self._device = weights.device
        self._activation = gate(shape)
        self._cosine, self._sine = rotations(shape, context, like=weights)
        self._attention = Attention(
            weights,
            slots=slots,
            layers=shape.num_hidden_layers,
            heads=shape.num_key_value_heads,
            context=context,
            size=shape.head_dim,
        )

    @property
    def memory(self) -> int:
        """See `Decoder.memory`: keys and values, and how far each position turns."""
        return self._attention.memory + self._cosine.nbytes + self._sine.nbytes

    def copy(self, source: int, target: int, begin: int, end: int) -> None:
        """See `Decoder.copy`."""
        self._attention.copy(source, target, begin, end)

    @torch.inference_mode()
    def step(self, batch: Batch) -> Tensor:
        """See `Decoder.step`."""
        where = Places(batch, self._device)
        tokens = torch.from_numpy(batch.tokens).to(self._device, torch.long)
        hidden = functional.embedding(tokens, self._model.embed_tokens.weight)
        turn = self._cosine[where.positions, None], self._sine[where.positions, None]
        for layer, block in enumerate(self._model.layers):
            hidden = self._block(cast("LlamaBlock", block), layer, hidden, where, turn)
        last = hidden[torch.from_numpy(batch.ends - 1).to(self._device, torch.long)]
        return functional.linear(self._model.norm(last), self._head).float()

    def _block(
        self,
        block: LlamaBlock,
        layer: int,
        hidden: Tensor,
        where: Places,
        turn: tuple[Tensor, Tensor],
    ) -> Tensor:
        """hidden: (tokens, width), before and after."""
        attention, inner = block.self_attn, block.mlp
        normed = block.input_layernorm(hidden)
        query, key, value = (
            projection(normed).unflatten(1, (-1, self._size))
            for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        self._attention.keep(layer, turned(key, *turn), value, where)
        scale = self._size**-0.5
        attended = self._attention.attend(layer, turned(query, *turn), where, scale)
        hidden = hidden + attention.o_proj(attended.flatten(1))
        normed = block.post_attention_layernorm(hidden)
        gated = self._activation(inner.gate_proj(normed)) * inner.up_proj(normed)
        changed: Tensor = hidden + inner.down_proj(gated)
        return changed


def gate(shape: LlamaShape) -> Callable[[Tensor], Tensor]:
    """What the inner layer's gate goes through."""
    return functional.silu if shape.hidden_act == "silu" else activation(shape.hidden_act)


def rotations(shape: LlamaShape, context: int, *, like: Tensor) -> tuple[Tensor, Tensor]:
    """(context, head size) cosines and sines of each position, in the type of `like`; RoPE's.

    The second half of a head turns with the first: number i with number i + size / 2.
    """
    frequencies = torch.tensor(shape.frequencies, device=like.device)
    angles = torch.arange(context, device=like.device)[:, None].float() * frequencies
    both = torch.cat((angles, angles), 1)
    cosine, sine = both.cos() * shape.rotary_scale, both.sin() * shape.rotary_scale
    return cosine.to(like.dtype), sine.to(like.dtype)


def turned(rows: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """(tokens, heads, head size), each head turned by its token's position."""
    first, second = rows.chunk(2, dim=-1)
    return rows * cosine + torch.cat((-second, first), dim=-1) * sine
