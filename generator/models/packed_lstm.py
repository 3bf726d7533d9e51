"""An LSTM in 8 bits."""

from __future__ import annotations

from ctypes import addressof, byref
from functools import partial
from typing import TYPE_CHECKING

import torch

from generator.models.packed import Layers, Linear, Packed, State
from generator.models.packing import LANES, Part
from generator.native import library

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from generator.models.rows import Rows
    from generator.models.shapes import LSTMShape


class PackedLSTM(Packed):
    """An LSTM of any shape."""

    kind = "lstm"

    def __init__(
        self,
        shape: LSTMShape,
        tensors: Mapping[str, Rows],
        context: int,
        *,
        only_weighed: bool = False,
    ) -> None:
        """See `Packed`."""
        super().__init__(shape, tensors, context, only_weighed=only_weighed)
        rows = tensors["embedding.weight"]
        head = tensors.get("head.weight", rows)
        self.head = self._linear([Part(head)], [], *head.shape)
        self._hidden = shape.hidden_size + -shape.hidden_size % LANES
        width = shape.embedding_size + -shape.embedding_size % LANES
        self._stack = (Linear * shape.num_layers)(
            *(self._gates(tensors, layer, shape) for layer in range(shape.num_layers))
        )
        self._projection = None
        if (projection := tensors.get("projection.weight")) is not None:
            bias = Part(tensors["projection.bias"])
            self._projection = self._linear([Part(projection)], [bias], *projection.shape)
        self._layers = Layers(
            layers=addressof(self._stack),
            projection=addressof(self._projection) if self._projection else None,
            head=self.head,
            embedding=self._table(rows, torch.float32, shape.vocab_size, width),
            count=shape.num_layers,
            input=width,
            hidden=self._hidden,
        )

    def state(self, slots: int) -> list[Tensor]:
        """See `Packed.state`: hidden and cell states."""
        return [*torch.zeros(2, slots, self._layers.count, self._hidden)]

    def kept(self, slots: int) -> int:
        """See `Packed.kept`."""
        numbers: int = 2 * self._layers.count * self._hidden
        return 4 * slots * numbers

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

    def _gates(self, tensors: Mapping[str, Rows], layer: int, shape: LSTMShape) -> Linear:
        """One linear layer over input and hidden; outputs go by sixteen units of each gate."""
        order = partial(_by_units, shape.hidden_size)
        of_input, of_hidden, *biases = (
            tensors[f"lstm.{kind}_l{layer}"]
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        width = of_input.shape[1] + -of_input.shape[1] % LANES
        weight = [
            Part(of_input, outputs=order),
            Part(of_hidden, outputs=order, inputs=partial(torch.add, width)),
        ]
        bias = [Part(rows, outputs=order) for rows in biases]
        return self._linear(weight, bias, 4 * self._hidden, width + self._hidden)


def _by_units(hidden: int, rows: Tensor) -> Tensor:
    """Where the rows of the gates i, f, g, o come to be: sixteen units of one, then of the next."""
    gate, unit = rows // hidden, rows % hidden
    return unit // LANES * 4 * LANES + gate * LANES + unit % LANES
