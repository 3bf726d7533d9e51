"""The LSTM over slots, in torch: hidden and cell state of every story, one step for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from generator.models.decoder import Batch
    from generator.models.lstm import LSTMForCausalLM


class LSTMDecoder:
    """Implements `Decoder` for an `LSTMForCausalLM` on any device and in any floating type."""

    def __init__(self, model: LSTMForCausalLM, slots: int) -> None:
        config, weights = model.config, model.head.weight
        self.vocabulary = config.vocab_size
        self._model = model
        self._device = weights.device
        shape = config.num_layers, slots, config.hidden_size
        self._hidden, self._cell = weights.new_zeros(shape), weights.new_zeros(shape)

    @property
    def memory(self) -> int:
        """See `Decoder.memory`: hidden and cell state."""
        return self._hidden.nbytes + self._cell.nbytes

    @torch.inference_mode()
    def step(self, batch: Batch) -> Tensor:
        """See `Decoder.step`."""
        tokens = torch.from_numpy(batch.tokens).to(self._device, torch.long)
        fresh = torch.from_numpy(batch.slots[batch.starts == 0]).to(self._device, torch.long)
        self._hidden[:, fresh] = 0
        self._cell[:, fresh] = 0
        tops = self._hidden.new_empty(len(batch.rows), self._hidden.shape[2])
        places = np.searchsorted(batch.rows, batch.ends - 1)
        alone = batch.counts == 1
        if alone.any():
            rows = torch.from_numpy(batch.ends[alone] - 1).to(self._device, torch.long)
            slots = torch.from_numpy(batch.slots[alone]).to(self._device, torch.long)
            last = torch.from_numpy(places[alone]).to(self._device)
            tops[last] = self._read(tokens[rows, None], slots)[:, -1]
        for index in (~alone).nonzero()[0]:
            first = batch.ends[index] - batch.counts[index]
            run = tokens[first : batch.ends[index]]
            slot = torch.tensor([batch.slots[index]], device=self._device)
            wanted = slice(np.searchsorted(batch.rows, first), places[index] + 1)
            after = torch.from_numpy(batch.rows[wanted] - first).to(self._device, torch.long)
            tops[wanted] = self._read(run[None], slot)[0, after]
        if self._model.projection is not None:
            tops = self._model.projection(tops)
        logits: Tensor = self._model.head(tops)
        return logits.float()

    def _read(self, tokens: Tensor, slots: Tensor) -> Tensor:
        """tokens: (slots, length); the top layer's output after each: (slots, length, hidden)."""
        state = self._hidden[:, slots], self._cell[:, slots]
        output: Tensor
        output, (hidden, cell) = self._model.lstm(self._model.embedding(tokens), state)
        self._hidden[:, slots], self._cell[:, slots] = hidden, cell
        return output
