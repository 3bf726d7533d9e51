"""The LSTM over slots, in torch: hidden and cell state of every story, one step for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from generator.models.decoder import Batch
    from generator.models.lstm import LSTMForCausalLM
    from generator.models.weights import LSTM


class LSTMDecoder:
    """Implements `Decoder` for an `LSTMForCausalLM` on any device and in any floating type."""

    def __init__(self, model: LSTM | LSTMForCausalLM, slots: int) -> None:
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

    def copy(self, source: int, target: int, begin: int, end: int) -> None:
        """See `Decoder.copy`; its state is of all tokens at once."""
        del begin, end
        for part in (self._hidden, self._cell):
            part[:, target] = part[:, source]

    @torch.inference_mode()
    def step(self, batch: Batch) -> Tensor:
        """See `Decoder.step`."""
        tokens = torch.from_numpy(batch.tokens).to(self._device, torch.long)
        fresh = torch.from_numpy(batch.slots[batch.starts == 0]).to(self._device, torch.long)
        self._hidden[:, fresh] = 0
        self._cell[:, fresh] = 0
        last = self._hidden.new_empty(len(batch.slots), self._hidden.shape[2])
        alone = batch.counts == 1
        if alone.any():
            rows = torch.from_numpy(batch.ends[alone] - 1).to(self._device, torch.long)
            slots = torch.from_numpy(batch.slots[alone]).to(self._device, torch.long)
            last[torch.from_numpy(alone).to(self._device)] = self._read(tokens[rows, None], slots)
        for index in (~alone).nonzero()[0]:
            run = tokens[batch.ends[index] - batch.counts[index] : batch.ends[index]]
            slot = torch.tensor([batch.slots[index]], device=self._device)
            last[index] = self._read(run[None], slot)[0]
        if self._model.projection is not None:
            last = self._model.projection(last)
        logits: Tensor = self._model.head(last)
        return logits.float()

    def _read(self, tokens: Tensor, slots: Tensor) -> Tensor:
        """tokens: (slots, length); the top layer's output after the last: (slots, hidden)."""
        state = self._hidden[:, slots], self._cell[:, slots]
        output, (hidden, cell) = self._model.lstm(self._model.embedding(tokens), state)
        self._hidden[:, slots], self._cell[:, slots] = hidden, cell
        last: Tensor = output[:, -1]
        return last
