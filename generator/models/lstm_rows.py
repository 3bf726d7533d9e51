"""The LSTM over rows of single tokens, without a question to the host; see `gpt2_rows`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from generator.models.lstm import LSTMForCausalLM
    from generator.models.weights import LSTM

_BLOCK = 512
"""Cells that one of the GPU's programs works on."""


class LSTMRows:
    """Implements `Rows` for an `LSTMForCausalLM`: no two rows of a step have the same slot."""

    def __init__(self, model: LSTM | LSTMForCausalLM, slots: int, *, fused: bool) -> None:
        """Prepares hidden and cell state of the slots, and one more that nobody reads."""
        config, weights = model.config, model.head.weight
        self.vocabulary = config.vocab_size
        self.chunk = slots
        self._model, self._fused = model, fused
        self._weights = [
            (torch.cat([of_input, of_hidden], 1), (input_bias + hidden_bias))
            for of_input, of_hidden, input_bias, hidden_bias in model.lstm.all_weights
        ]
        shape = config.num_layers, slots + 1, config.hidden_size
        self._hidden = weights.new_zeros(shape)
        self._cell = weights.new_zeros(shape, dtype=torch.float32)  # sums over a whole story

    @property
    def memory(self) -> int:
        """Bytes of both states, and of the weights, which lie here in another order too."""
        weights = [part for layer in self._weights for part in layer]
        return sum(part.nbytes for part in [self._hidden, self._cell, *weights])

    def copy(self, source: int, target: int, begin: int, end: int) -> None:
        """See `Decoder.copy`; its state is of all tokens at once."""
        del begin, end
        for part in (self._hidden, self._cell):
            part[:, target] = part[:, source]

    def chunks(
        self, slots: NDArray[np.int32], positions: NDArray[np.int32]
    ) -> Iterator[slice | NDArray[np.intp]]:
        """Which tokens of prompts go together: one of each slot; in order."""
        nth = np.zeros(len(slots), np.intp)
        for slot in np.unique(slots):
            of_slot = np.flatnonzero(slots == slot)
            nth[of_slot] = positions[of_slot] - positions[of_slot[0]]
        for turn in range(int(nth.max(initial=-1)) + 1):
            yield np.flatnonzero(nth == turn)

    def read(self, tokens: Tensor, slots: Tensor, positions: Tensor) -> Tensor:
        """Reads one token a row into its slot; (rows, width) before the head."""
        if self._fused:
            return self._read_fused(tokens, slots, positions)
        output = functional.embedding(tokens, self._model.embedding.weight)
        begins = (positions == 0)[:, None]
        for layer, (weight, bias) in enumerate(self._weights):
            hidden = self._hidden[layer, slots].masked_fill(begins, 0)
            cell = self._cell[layer, slots].masked_fill(begins, 0)
            gates = functional.linear(torch.cat([output, hidden], 1), weight, bias).float()
            add, forget, fresh, show = gates.chunk(4, 1)
            cell = forget.sigmoid() * cell + add.sigmoid() * fresh.tanh()
            output = (show.sigmoid() * cell.tanh()).to(output.dtype)
            self._hidden[layer, slots] = output
            self._cell[layer, slots] = cell
        return output

    def _read_fused(self, tokens: Tensor, slots: Tensor, positions: Tensor) -> Tensor:
        """The same by the GPU's own kernels: two a layer, and the first."""
        from generator.models import triton_layers as kernels  # noqa: PLC0415

        table, rows = self._model.embedding.weight, len(tokens)
        layers, held, width = self._hidden.shape
        sizes = [rows * weight.shape[1] for weight, _ in self._weights]
        joined = table.new_empty(sum(sizes))
        kernels.remember[(rows, layers)](
            table,
            tokens,
            self._hidden,
            slots,
            positions,
            joined,
            held,
            rows,
            INPUT=table.shape[1],
            WIDTH=width,
            BLOCK=1 << (max(table.shape[1], width) - 1).bit_length(),
        )
        parts = [part.view(rows, -1) for part in joined.split(sizes)]
        last = table.new_empty(rows, width)
        outputs = [*parts[1:], last]
        for layer, (weight, bias) in enumerate(self._weights):
            gates = functional.linear(parts[layer], weight, bias)
            kernels.remember_more[(rows, -(-width // _BLOCK))](
                gates,
                self._hidden[layer],
                self._cell[layer],
                slots,
                positions,
                outputs[layer],
                outputs[layer].stride(0),
                WIDTH=width,
                BLOCK=_BLOCK,
            )
        return last

    def logits(self, last: Tensor) -> Tensor:
        """(rows, width) to (rows, vocabulary)."""
        if self._model.projection is not None:
            last = self._model.projection(last)
        logits: Tensor = self._model.head(last)
        return logits
