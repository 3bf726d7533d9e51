"""Attention of a step's tokens over slots, in torch: what the exact references share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from generator.models.decoder import Batch


class Attention:
    """The keys and values of all slots, one block a layer."""

    def __init__(
        self, like: Tensor, *, slots: int, layers: int, heads: int, context: int, size: int
    ) -> None:
        """All of them empty.

        Args:
            like: a tensor on their device and of their floating type.
            slots: stories told together.
            layers: of the model.
            heads: of keys; those of queries are a multiple.
            context: tokens that a slot holds.
            size: of a head.
        """
        shape = slots, heads, context, size
        # Zeros, not empty memory: a masked-out key may be any number, but never NaN.
        self._keys = [like.new_zeros(shape) for _ in range(layers)]
        self._values = [like.new_zeros(shape) for _ in range(layers)]

    @property
    def memory(self) -> int:
        """Bytes of keys and values."""
        return sum(tensor.nbytes for tensor in [*self._keys, *self._values])

    def copy(self, source: int, target: int, begin: int, end: int) -> None:
        """See `Decoder.copy`."""
        for part in (*self._keys, *self._values):
            part[target, :, begin:end] = part[source, :, begin:end]

    def keep(self, layer: int, key: Tensor, value: Tensor, where: Places) -> None:
        """(tokens, heads, head size) of each."""
        self._keys[layer][where.token_slots, :, where.positions] = key
        self._values[layer][where.token_slots, :, where.positions] = value

    def attend(self, layer: int, query: Tensor, where: Places, scale: float) -> Tensor:
        """query: (tokens, heads, head size) to the same shape.

        Slots with one token go together, over a view of the first slots (the engine fills the
        lowest first), so that no key is copied. Slots with more go one by one.
        """
        keys, values = self._keys[layer], self._values[layer]
        grouped = query.shape[1] != keys.shape[1]
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
                enable_gqa=grouped,
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
                enable_gqa=grouped,
            )
            attended[first:end] = run[0].transpose(0, 1)
        return attended


class Places:
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
