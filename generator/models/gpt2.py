"""GPT-2 over slots, in torch: the exact reference, and the way to tell on a GPU.

Radford et al. 2019, "Language Models are Unsupervised Multitask Learners". The weights are those
of transformers' `GPT2LMHeadModel`; only the keys and values live here, one block for all slots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import GPT2LMHeadModel

    from generator.models.decoder import Batch
    from generator.models.weights import GPT2, Conv1D, GPT2Block


class GPT2Decoder:
    """Implements `Decoder` for a GPT-2 on any device and in any floating type."""

    def __init__(self, model: GPT2 | GPT2LMHeadModel, slots: int) -> None:
        config, weights = model.config, model.transformer.wte.weight
        self.vocabulary = config.vocab_size
        self._model = model.transformer
        self._head = model.lm_head.weight
        self._heads = config.n_head
        self._device = weights.device
        self._activation = activation(config.activation_function)
        shape = slots, config.n_head, config.n_positions, config.n_embd // config.n_head
        # Zeros, not empty memory: a masked-out key may be any number, but never NaN.
        self._keys = [weights.new_zeros(shape) for _ in range(config.n_layer)]
        self._values = [weights.new_zeros(shape) for _ in range(config.n_layer)]

    @property
    def memory(self) -> int:
        """See `Decoder.memory`: keys and values."""
        return sum(tensor.nbytes for tensor in [*self._keys, *self._values])

    @torch.inference_mode()
    def step(self, batch: Batch) -> Tensor:
        """See `Decoder.step`."""
        where = _Places(batch, self._device)
        tokens = torch.from_numpy(batch.tokens).to(self._device, torch.long)
        hidden = self._model.wte(tokens) + self._model.wpe(where.positions)
        for layer, block in enumerate(self._model.h):
            hidden = self._block(cast("GPT2Block", block), layer, hidden, where)
        last = hidden[torch.from_numpy(batch.ends - 1).to(self._device, torch.long)]
        return functional.linear(self._model.ln_f(last), self._head).float()

    def _block(self, block: GPT2Block, layer: int, hidden: Tensor, where: _Places) -> Tensor:
        """hidden: (tokens, width), before and after."""
        attention = block.attn
        query, key, value = (
            part.unflatten(1, (self._heads, -1))
            for part in _linear(attention.c_attn, block.ln_1(hidden)).chunk(3, dim=1)
        )
        self._keys[layer][where.token_slots, :, where.positions] = key
        self._values[layer][where.token_slots, :, where.positions] = value
        attended = self._attend(layer, query, where, attention.scaling)
        hidden = hidden + _linear(attention.c_proj, attended.flatten(1))
        inner = self._activation(_linear(block.mlp.c_fc, block.ln_2(hidden)))
        return hidden + _linear(block.mlp.c_proj, inner)

    def _attend(self, layer: int, query: Tensor, where: _Places, scale: float) -> Tensor:
        """query: (tokens, heads, head size) to the same shape.

        Slots with one token go together, over a view of the first slots (the engine fills the
        lowest first), so that no key is copied. Slots with more go one by one.
        """
        keys, values = self._keys[layer], self._values[layer]
        attended = torch.empty_like(query)
        if where.single is not None:
            rows, slots, mask = where.single
            queries = query.new_zeros(len(mask), *query.shape[1:])
            queries[slots] = query[rows]
            used, length = mask.shape[0], mask.shape[-1]
            together = functional.scaled_dot_product_attention(
                queries[:, :, None],
                keys[:used, :, :length],
                values[:used, :, :length],
                attn_mask=mask,
                scale=scale,
            )
            attended[rows] = together[slots, :, 0]
        for first, end, slot, mask in where.runs:
            length = mask.shape[1]
            run = functional.scaled_dot_product_attention(
                query[None, first:end].transpose(1, 2),
                keys[slot, None, :, :length],
                values[slot, None, :, :length],
                attn_mask=mask,
                scale=scale,
            )
            attended[first:end] = run[0].transpose(0, 1)
        return attended


class _Places:
    """Where the tokens of one batch sit, worked out once for all layers."""

    def __init__(self, batch: Batch, device: torch.device) -> None:
        self.positions = torch.from_numpy(batch.positions).to(device, torch.long)
        token_slots = torch.from_numpy(batch.slots.repeat(batch.counts))
        self.token_slots = token_slots.to(device, torch.long)
        self.single: tuple[Tensor, Tensor, Tensor] | None = None
        """Rows, slots and the mask (slots used, 1, 1, longest) of slots with one token."""
        self.runs: list[tuple[int, int, int, Tensor]] = []
        """First row, last + 1, slot and mask (tokens, longest) of each slot with more."""
        alone = batch.counts == 1
        if alone.any():
            rows = torch.from_numpy(batch.ends[alone] - 1).to(device, torch.long)
            slots = self.token_slots[rows]
            # Slots below the highest that have no token here see their own first key only.
            known = torch.zeros(int(batch.slots[alone].max()) + 1, dtype=torch.long, device=device)
            known[slots] = self.positions[rows]
            reach = torch.arange(int(batch.starts[alone].max()) + 1, device=device)
            self.single = rows, slots, (reach <= known[:, None])[:, None, None]
        for index in (~alone).nonzero()[0]:
            end, start = int(batch.ends[index]), int(batch.starts[index])
            count = int(batch.counts[index])
            reach = torch.arange(start + count, device=device)
            mask = reach <= self.positions[end - count : end, None]
            self.runs.append((end - count, end, int(batch.slots[index]), mask))


def _linear(layer: Conv1D, rows: Tensor) -> Tensor:
    """Its weight is turned over."""
    return torch.addmm(layer.bias, rows, layer.weight)


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """transformers' own, to the last digit."""
    from transformers.activations import ACT2FN  # noqa: PLC0415  # takes seconds; not for 8 bits

    found: Callable[[Tensor], Tensor] = ACT2FN[name]
    return found
