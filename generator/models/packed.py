"""Weights in 8 bits, laid out as the compiled step in `generator/native` reads them.

A weight is rounded to 255 steps of its output's own scale; inputs are rounded in the step itself,
with a scale for each token and 128 inputs. So a story depends on nothing but itself, to the bit.

A model is packed matrix by matrix, and each is read from its file only then, piece by piece: what
is loaded is never in memory in larger numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from ctypes import Structure, c_float, c_int32, c_void_p
from typing import TYPE_CHECKING, ClassVar

import torch

from generator.models.memory import memory
from generator.models.packing import Part, gather, pack, padded, pieces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from generator.models.rows import Rows
    from generator.models.shapes import Shape

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

    def __init__(
        self,
        shape: Shape,
        tensors: Mapping[str, Rows],  # noqa: ARG002
        context: int,
        *,
        only_weighed: bool = False,
    ) -> None:
        """Packs a model; what it is packed from may go afterwards, its file too.

        Args:
            shape: of the model.
            tensors: its weights, in any floating type, as `weights.fitting` gives them.
            context: tokens that a slot has room for.
            only_weighed: they are neither read nor packed: what it would take is reckoned.
        """
        self.config = shape
        self.context = context
        self.only_weighed = only_weighed
        self._areas: list[Tensor] = []
        self._taken = self._left = 0

    @abstractmethod
    def state(self, slots: int) -> list[Tensor]:
        """Room for so many stories, of which none has begun."""

    @abstractmethod
    def kept(self, slots: int) -> int:
        """Bytes of `state`."""

    @abstractmethod
    def copy(self, state: list[Tensor], source: int, target: int, begin: int, end: int) -> None:
        """One slot's state to another: see `Decoder.copy`."""

    @abstractmethod
    def open(self, state: list[Tensor]) -> int:
        """The step's object, which reads weights and this state where they are."""

    @property
    def memory(self) -> int:
        """Bytes of the weights."""
        return self._taken

    def _linear(
        self, weight: Sequence[Part], bias: Sequence[Part], outputs: int, inputs: int
    ) -> Linear:
        """Of a weight's parts and those of a bias, if it has one."""
        outputs, inputs = padded(outputs, inputs)
        place = self._room(outputs * inputs, torch.uint8)
        scales = self._room(outputs, torch.float32)
        shift = self._room(outputs, torch.float32) if bias else None
        if not self.only_weighed:
            pack(weight, place, scales)
            if shift is not None:
                gather(bias, shift)
        return Linear(
            place.data_ptr(),
            scales.data_ptr(),
            None if shift is None else shift.data_ptr(),
            inputs,
            outputs,
        )

    def _norm(self, weight: Rows, bias: Rows | None = None) -> Norm:
        return Norm(self._vector(weight), None if bias is None else self._vector(bias))

    def _vector(self, rows: Rows) -> int:
        """Its address, in float32."""
        place = self._room(rows.shape[0], torch.float32)
        if not self.only_weighed:
            gather([Part(rows)], place)
        return place.data_ptr()

    def _table(self, rows: Rows, kind: torch.dtype, count: int, width: int) -> int:
        """The address of the first rows of a matrix, each followed by zeros."""
        table = self._room(count * width, kind).view(count, width)
        if not self.only_weighed:
            for row, column, piece in pieces(rows, count):
                table[row : row + piece.shape[0], column : column + piece.shape[1]] = piece
        return table.data_ptr()

    def _table_of_tokens(self, rows: Rows) -> Table:
        """In the file's own type where the step can read it: half of a large vocabulary's bytes."""
        kind = rows.dtype if rows.dtype in TABLES else torch.float32
        return Table(self._table(rows, kind, *rows.shape), TABLES[kind])

    def _room(self, count: int, kind: torch.dtype) -> Tensor:
        """(count,) zeros, beside those given before; nowhere, where they are only weighed.

        Nothing that stays is asked of the allocator of small things: between what is needed for a
        moment it would keep that from going back to the system.
        """
        taken = count * kind.itemsize
        whole = taken + -taken % _ALIGNED
        self._taken += whole
        if self.only_weighed:
            return torch.empty(count, dtype=kind, device="meta")
        if whole > self._left:
            self._left = max(whole, _AREA)
            self._areas.append(memory(self._left, torch.uint8))
        area = self._areas[-1]
        begin = len(area) - self._left
        self._left -= whole
        return area[begin : begin + taken].view(kind)
