"""Weights in 8 bits, laid out as the compiled step in `generator/native` reads them.

A weight is rounded to 255 steps of its output's own scale; inputs are rounded in the step itself,
with a scale for each token and 128 inputs. So a story depends on nothing but itself, to the bit.

A model is packed matrix by matrix, and each is read from its file only then, the table of tokens
and the head some rows at a time: what is loaded is never in memory as a whole in larger numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from ctypes import Structure, c_float, c_int32, c_void_p
from math import prod
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional

from generator.models.memory import memory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from generator.models.rows import Rows
    from generator.models.shapes import Shape

LANES = 16
"""Numbers that the step takes together: inputs come in multiples of it, padded with zeros."""
_OUTPUTS = 64  # outputs of one block
_AT_ONCE = 1 << 20  # weights that are in float32 for a moment
_ALIGNED = 64  # bytes of a line of the cache
_AREA = 64 << 20  # bytes that are asked of the system for several matrices
TABLES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}
"""In which numbers the step reads a table of tokens, and what it calls them."""


class Linear(Structure):
    """As in linear.h."""

    _fields_: ClassVar = [
        ("weights", c_void_p),
        ("scales", c_void_p),
        ("bias", c_void_p),
        ("inputs", c_int32),
        ("outputs", c_int32),
    ]


class Norm(Structure):
    """As in transformer.h; without a bias it takes no mean off either."""

    _fields_: ClassVar = [("weight", c_void_p), ("bias", c_void_p)]


class Block(Structure):
    """As in transformer.h."""

    _fields_: ClassVar = [
        ("before_attention", Norm),
        ("before_inner", Norm),
        ("query_key_value", Linear),
        ("attention_out", Linear),
        ("inner", Linear),
        ("inner_out", Linear),
    ]


class Table(Structure):
    """As in transformer.h: a row for each token."""

    _fields_: ClassVar = [("rows", c_void_p), ("kind", c_int32)]


class TransformerShape(Structure):
    """`Shape` in transformer.h."""

    _fields_: ClassVar = [
        ("layers", c_int32),
        ("heads", c_int32),
        ("key_heads", c_int32),
        ("size", c_int32),
        ("width", c_int32),
        ("inner", c_int32),
        ("context", c_int32),
        ("gated", c_int32),
        ("smooth", c_int32),
        ("epsilon", c_float),
        ("scale", c_float),
    ]


class Positions(Structure):
    """As in transformer.h: one of them is null."""

    _fields_: ClassVar = [("added", c_void_p), ("turned", c_void_p)]


class Layers(Structure):
    """As in lstm.h."""

    _fields_: ClassVar = [
        ("layers", c_void_p),
        ("projection", c_void_p),
        ("head", Linear),
        ("embedding", c_void_p),
        ("count", c_int32),
        ("input", c_int32),
        ("hidden", c_int32),
    ]


class State(Structure):
    """As in lstm.h."""

    _fields_: ClassVar = [("hidden", c_void_p), ("cell", c_void_p)]


class Packed(ABC):
    """A model's weights as the step reads them, for any number of engines."""

    kind: ClassVar[str]
    """What the step's functions are called after."""
    head: Linear

    def __init__(self, shape: Shape, tensors: Mapping[str, Rows], context: int) -> None:
        """Packs a model; what it is packed from may go afterwards, its file too.

        Args:
            shape: of the model.
            tensors: its weights, in any floating type, as `weights.fitting` gives them.
            context: tokens that a slot has room for.
        """
        self.config = shape
        self.context = context
        self.count = sum(prod(rows.shape) for rows in tensors.values())
        """Weights that were packed."""
        self._areas: list[Tensor] = []
        self._taken = self._left = 0

    @abstractmethod
    def state(self, slots: int) -> list[Tensor]:
        """Room for so many stories, of which none has begun."""

    @abstractmethod
    def open(self, state: list[Tensor]) -> int:
        """The step's object, which reads weights and this state where they are."""

    @property
    def memory(self) -> int:
        """Bytes of the weights."""
        return self._taken

    def _linear(self, weight: Rows, bias: Rows | None) -> Linear:
        """(outputs, inputs) and (outputs,)."""
        outputs, inputs = _padded(*weight.shape)
        place = self._room(outputs * inputs)
        scales = self._hold(pack(weight, place))
        shift = None
        if bias is not None:
            known = bias[:].float()
            shift = self._hold(functional.pad(known, (0, outputs - len(known))))
        return Linear(place.data_ptr(), scales, shift, inputs, outputs)

    def _norm(self, weight: Rows, bias: Rows | None = None) -> Norm:
        shift = None if bias is None else self._hold(bias[:].float())
        return Norm(self._hold(weight[:].float()), shift)

    def _table(self, rows: Rows) -> Table:
        """In the file's own type where the step can read it: half of a large vocabulary's bytes."""
        kind = rows.dtype if rows.dtype in TABLES else torch.float32
        count, width = rows.shape
        table = self._room(count * width * kind.itemsize).view(kind).view(count, width)
        at_once = max(1, _AT_ONCE // width)
        for first in range(0, count, at_once):
            table[first : first + at_once] = rows[first : first + at_once]
        return Table(table.data_ptr(), TABLES[kind])

    def _hold(self, tensor: Tensor) -> int:
        """The address of a copy that lives as long as this: a file may be replaced."""
        place = self._room(tensor.numel() * tensor.element_size())
        place.view(tensor.dtype).view(tensor.shape).copy_(tensor)
        return place.data_ptr()

    def _room(self, count: int) -> Tensor:
        """(count,) bytes, beside those given before.

        Nothing that stays is asked of the allocator of small things: between what is needed for a
        moment it would keep that from going back to the system.
        """
        whole = count + -count % _ALIGNED
        if whole > self._left:
            self._left = max(whole, _AREA)
            self._areas.append(memory(self._left, torch.uint8))
        area = self._areas[-1]
        begin = len(area) - self._left
        self._left -= whole
        self._taken += whole
        return area[begin : begin + count]


def pack(weight: Rows, place: Tensor) -> Tensor:
    """Rounds a weight and lays it out as the step reads it.

    Args:
        weight: (outputs, inputs) in any floating type, read some rows at a time.
        place: bytes enough for both sizes padded up to multiples of 64 and 16; written as
            (outputs / 64, inputs / 4, 64, 4).

    Returns:
        The (outputs,) scales, padded: weight ≈ (byte - 128) · scale.
    """
    outputs, inputs = _padded(*weight.shape)
    blocks = place.view(-1, inputs // 4, _OUTPUTS, 4)
    scales = torch.empty(outputs)
    rows = max(1, _AT_ONCE // (inputs * _OUTPUTS)) * _OUTPUTS
    floats = torch.empty(min(rows, outputs), inputs)
    for first in range(0, outputs, rows):
        given = weight[first : first + rows].detach()
        part = floats[: len(given) + -len(given) % _OUTPUTS].zero_()
        part[: len(given), : given.shape[1]] = given
        scale = torch.maximum(part.amax(1), -part.amin(1)) / 127
        part /= scale.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
        scales[first : first + len(part)] = scale
        whole = part.round_().add_(128).view(-1, _OUTPUTS, inputs // 4, 4).transpose(1, 2)
        blocks[first // _OUTPUTS :][: len(whole)] = whole
    return scales


def _padded(outputs: int, inputs: int) -> tuple[int, int]:
    return outputs + -outputs % _OUTPUTS, inputs + -inputs % LANES
