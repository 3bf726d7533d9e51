"""What a GPT-2 and a Llama share over rows of single tokens: keys and values, norms, the head.

Every row has a token, a slot and a position, so a chunk of a prompt and one token of every story
are the same thing. Keys and values of all rows are kept before any row looks at them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from generator.models.llama import turned

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

_CHUNK = 64
"""Prompt tokens that are read together."""
_HEAD_ROWS = 64
"""The head's rows are a multiple of so many; nothing is drawn from those that are added."""
_BLOCK = 128
"""Keys that a program looks at together: of those measured the quickest for nearly all lengths."""


class Turns(NamedTuple):
    """How far each position turns a query and a key: (context, head size) of each."""

    cosine: Tensor
    sine: Tensor


class AttendingRows:
    """All of `Rows` but reading."""

    chunk = _CHUNK

    def __init__(
        self,
        head: Tensor,
        slots: int,
        *,
        layers: int,
        heads: int,
        key_heads: int,
        context: int,
        size: int,
        turns: Turns | None = None,
        fused: bool,
    ) -> None:
        """Prepares keys and values of the slots, and one more that nobody reads.

        Args:
            head: (vocabulary, width).
            slots: stories told together.
            layers: of the model.
            heads: of queries.
            key_heads: of keys; each is read by as many heads of queries.
            context: tokens that a slot holds.
            size: of a head.
            turns: where the model tells positions apart by them.
            fused: by the GPU's own kernels, else in plain torch.
        """
        self.vocabulary = len(head)
        # A product whose rows do not begin where a GPU likes them takes three times as long.
        missing = -self.vocabulary % _HEAD_ROWS
        self._head = functional.pad(head, (0, 0, 0, missing)) if missing else head
        self._heads, self._turns, self._fused = heads, turns, fused
        shape = slots + 1, key_heads, context, size
        # Zeros, not empty memory: a masked-out key may be any number, but never NaN.
        self._keys = [head.new_zeros(shape) for _ in range(layers)]
        self._values = [head.new_zeros(shape) for _ in range(layers)]

    @property
    def memory(self) -> int:
        """Bytes of keys and values, and of the head where it lies here in another shape too."""
        head = [self._head] if len(self._head) > self.vocabulary else []
        parts = [*self._keys, *self._values, *head, *(self._turns or ())]
        return sum(tensor.nbytes for tensor in parts)

    def copy(self, source: int, target: int, begin: int, end: int) -> None:
        """See `Decoder.copy`."""
        for part in (*self._keys, *self._values):
            part[target, :, begin:end] = part[source, :, begin:end]

    def chunks(
        self, slots: NDArray[np.int32], positions: NDArray[np.int32]
    ) -> Iterator[slice | NDArray[np.intp]]:
        """Which tokens of prompts go together, at most `chunk` of them; in order."""
        del positions
        for start in range(0, len(slots), _CHUNK):
            yield slice(start, start + _CHUNK)

    def logits(self, last: Tensor) -> Tensor:
        """(rows, width) to (rows, vocabulary)."""
        return functional.linear(last, self._head)[:, : self.vocabulary]

    def _norm(
        self,
        hidden: Tensor,
        change: Tensor,
        norm: nn.LayerNorm | nn.RMSNorm,
        change_bias: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The hidden rows with what a layer changes, and their norm."""
        if not self._fused:
            hidden = hidden + change if change_bias is None else hidden + change + change_bias
            return hidden, norm(hidden)
        from generator.models import triton_layers as kernels  # noqa: PLC0415

        rows, width = hidden.shape
        normed = torch.empty_like(hidden)
        kernels.add_and_norm[(rows,)](
            hidden,
            change,
            change_bias,
            norm.weight,
            norm.bias if isinstance(norm, nn.LayerNorm) else None,
            normed,
            norm.eps,
            WIDTH=width,
            BLOCK=_power_of_two(width),
        )
        return hidden, normed

    def _attend(
        self, layer: int, mixed: Tensor, slots: Tensor, positions: Tensor, scale: float
    ) -> Tensor:
        """(rows, heads x size) queries, then keys and values, to (rows, heads x size)."""
        keys, values = self._keys[layer], self._values[layer]
        _, key_heads, context, size = keys.shape
        rows, heads = len(mixed), self._heads
        if not self._fused:
            parts = mixed.view(rows, -1, size).split((heads, key_heads, key_heads), 1)
            query, key, value = parts
            if self._turns is not None:
                turn = [table[positions, None] for table in self._turns]
                query, key = turned(query, *turn), turned(key, *turn)
            keys[slots, :, positions], values[slots, :, positions] = key, value
            reach = torch.arange(context, device=mixed.device) <= positions[:, None]
            attended = functional.scaled_dot_product_attention(
                query[:, :, None],
                keys[slots],
                values[slots],
                attn_mask=reach[:, None, None],
                scale=scale,
                enable_gqa=heads != key_heads,
            )
            return attended.reshape(rows, heads * size)
        from generator.models import triton_layers as kernels  # noqa: PLC0415

        attended = mixed.new_empty(rows, heads * size)
        cosine, sine = self._turns or (None, None)
        kernels.keep[(rows,)](
            mixed,
            keys,
            values,
            slots,
            positions,
            cosine,
            sine,
            context,
            HEADS=heads,
            KEY_HEADS=key_heads,
            SIZE=size,
            PAIRS=_power_of_two((heads + key_heads) * size // 2),
            BLOCK=_power_of_two(key_heads * size),
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
            KEY_HEADS=key_heads,
            SIZE=size,
            WIDE=_power_of_two(size),
            BLOCK=_BLOCK,
        )
        return attended


def _power_of_two(number: int) -> int:
    """The first that is not below the number."""
    return 1 << (number - 1).bit_length()
