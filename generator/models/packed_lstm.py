"""An LSTM in 8 bits."""

from __future__ import annotations

from ctypes import addressof, byref
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from generator.models.packed import LANES, Layers, Linear, Packed, State
from generator.native import library

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from generator.models.rows import Rows
    from generator.models.shapes import LSTMShape


class PackedLSTM(Packed):
    """An LSTM of any shape."""

    kind = "lstm"

    def __init__(self, shape: LSTMShape, tensors: Mapping[str, Rows], context: int) -> None:
        """See `Packed`."""
        super().__init__(shape, tensors, context)
        rows = tensors["embedding.weight"]
        self.head = self._linear(tensors.get("head.weight", rows), None)
        self._hidden = shape.hidden_size + -shape.hidden_size % LANES
        embedding = functional.pad(rows[:].float(), (0, -shape.embedding_size % LANES))
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        self._stack = (Linear * shape.num_layers)(
            *(
                self._gates(*(tensors[f"lstm.{kind}_l{layer}"][:] for kind in kinds))
                for layer in range(shape.num_layers)
            )
        )
        self._projection = None
        if "projection.weight" in tensors:
            self._projection = self._linear(tensors["projection.weight"], tensors["projection.bias"])
        self._layers = Layers(
            layers=addressof(self._stack),
            projection=addressof(self._projection) if self._projection else None,
            head=self.head,
            embedding=self._hold(embedding),
            count=shape.num_layers,
            input=embedding.shape[1],
            hidden=self._hidden,
        )

    def state(self, slots: int) -> list[Tensor]:
        """See `Packed.state`: hidden and cell states."""
        return [*torch.zeros(2, slots, self._layers.count, self._hidden)]

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
