"""An LSTM in 8 bits."""

from __future__ import annotations

from ctypes import addressof, byref
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from generator.models.packed import LANES, Layers, Linear, Packed, State
from generator.native import library

if TYPE_CHECKING:
    from torch import Tensor

    from generator.models.weights import LSTM


class PackedLSTM(Packed):
    """An LSTM of any shape."""

    kind = "lstm"

    def __init__(self, model: LSTM, context: int) -> None:
        """See `Packed`."""
        super().__init__(model, context)
        config = model.config
        self.head = self._linear(model.head.weight, None)
        self._hidden = config.hidden_size + -config.hidden_size % LANES
        embedding = functional.pad(
            model.embedding.weight.float(), (0, -config.embedding_size % LANES)
        )
        self._stack = (Linear * config.num_layers)(
            *(self._gates(*weights) for weights in model.lstm.all_weights)
        )
        self._projection = None
        if model.projection is not None:
            self._projection = self._linear(model.projection.weight, model.projection.bias)
        self._layers = Layers(
            layers=addressof(self._stack),
            projection=addressof(self._projection) if self._projection else None,
            head=self.head,
            embedding=self._hold(embedding),
            count=config.num_layers,
            input=embedding.shape[1],
            hidden=self._hidden,
        )

    def state(self, slots: int) -> list[Tensor]:
        """See `Packed.state`: hidden and cell states."""
        return [*torch.zeros(2, slots, self._layers.count, self._hidden)]

    def copy(self, state: list[Tensor], source: int, target: int, begin: int, end: int) -> None:
        """See `Packed.copy`; its state is of all tokens at once."""
        del begin, end
        for part in state:
            part[target] = part[source]

    def open(self, state: list[Tensor]) -> int:
        """See `Packed.open`."""
        hidden, cell = (tensor.data_ptr() for tensor in state)
        opened: int = library().lstm_open(byref(self._layers), byref(State(hidden, cell)))
        return opened

    def _gates(
        self, of_input: Tensor, of_hidden: Tensor, input_bias: Tensor, hidden_bias: Tensor
    ) -> Linear:
        """One linear layer over input and hidden; outputs go by sixteen units of each gate."""
        spare = -of_hidden.shape[1] % LANES
        both = torch.cat(
            [functional.pad(part, (0, -part.shape[1] % LANES)) for part in (of_input, of_hidden)],
            1,
        )

        def by_units(gates: Tensor) -> Tensor:  # (4 · hidden, …), of the gates i, f, g, o
            split = gates.unflatten(0, (4, -1))
            padded = torch.cat([split, split.new_zeros(4, spare, *split.shape[2:])], 1)
            mixed: Tensor = padded.unflatten(1, (-1, LANES)).transpose(0, 1).flatten(0, 2)
            return mixed

        return self._linear(by_units(both), by_units(input_bias.float() + hidden_bias.float()))
