"""Rounds matrices to 8 bits, piece by piece, into the order in which the compiled step reads them.

A piece is what lies together in a file: some rows, or a part of one that is long. So packing takes
little beside what stays, whatever sizes a folder names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from generator.models.rows import Reordered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from generator.models.rows import Order, Rows

LANES = 16
"""Numbers that the step takes together: inputs come in multiples of it, padded with zeros."""
OUTPUTS = 64
"""Outputs of one block: they come in multiples of it, padded too."""
_ZERO = 128
_AT_ONCE = 1 << 17
"""Numbers of a piece at most: in float32 they stay in a processor's cache, and the C library keeps
their place for the next. A multiple of what any kind of ggml packs together."""


@dataclass(frozen=True, slots=True)
class Part:
    """A tensor, or the part of a larger matrix or vector that is one in the file."""

    rows: Rows
    """(outputs, inputs), or of a bias (outputs,)."""
    turned: bool = False
    """It is (inputs, outputs)."""
    outputs: Order | None = None
    """Where each of its outputs comes to be; None: where it is."""
    inputs: Order | None = None
    """Where each of its inputs does."""

    def placed(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Of each piece which outputs and inputs it has, and its numbers in float32."""
        stored, turned = self.rows, self.turned
        order: Order | None = None
        if isinstance(stored, Reordered):
            order, turned, stored = stored.order, turned != stored.turned, stored.rows
        for row, column, piece in pieces(stored):
            rows = torch.arange(row, row + piece.shape[0])
            columns = torch.arange(column, column + piece.shape[1])
            if order is not None:
                rows = order(rows)
            outputs, inputs = (columns, rows) if turned else (rows, columns)
            yield (
                outputs if self.outputs is None else self.outputs(outputs),
                inputs if self.inputs is None else self.inputs(inputs),
                (piece.T if turned else piece).float(),
            )


def pieces(rows: Rows, first: int | None = None) -> Iterator[tuple[int, int, Tensor]]:
    """A matrix as it lies in its file: the first row and column of each piece, and its numbers.

    Args:
        rows: the matrix.
        first: so many of its rows; None: all.
    """
    count, width = rows.shape
    count = count if first is None else first
    at_once = max(1, _AT_ONCE // width)
    if at_once > LANES:
        at_once -= at_once % LANES  # inputs that are rows are best laid down by fours
    for row in range(0, count, at_once):
        for column in range(0, width, _AT_ONCE):
            across = slice(column, min(column + _AT_ONCE, width))
            yield row, column, rows[row : min(row + at_once, count), across]


def gather(parts: Sequence[Part], place: Tensor) -> None:
    """A vector in float32.

    Args:
        parts: of it, each (outputs,); where several have the same outputs, their sum.
        place: (outputs,), zeros.
    """
    for part in parts:
        (count,) = part.rows.shape
        for first in range(0, count, _AT_ONCE):
            numbers = part.rows[first : first + _AT_ONCE].float()
            outputs = torch.arange(first, first + len(numbers))
            place[outputs if part.outputs is None else part.outputs(outputs)] += numbers


def padded(outputs: int, inputs: int) -> tuple[int, int]:
    """The sizes of a packed matrix."""
    return outputs + -outputs % OUTPUTS, inputs + -inputs % LANES


def pack(parts: Sequence[Part], place: Tensor, scales: Tensor) -> None:
    """Rounds a weight and lays it out as the step reads it.

    Args:
        parts: of the weight, in any floating type; what none of them has is zero.
        place: bytes enough for both sizes `padded`; written as (outputs / 64, inputs / 4, 64, 4).
        scales: (outputs,) zeros, padded; written: weight ≈ (byte - 128) · scale.
    """
    inputs = len(place) // len(scales)
    place.fill_(_ZERO)
    for part in parts:
        for outputs, columns, numbers in part.placed():
            if not _is_whole(columns, inputs):
                most = torch.maximum(numbers.amax(1), -numbers.amin(1))
                scales[outputs] = torch.maximum(scales[outputs], most)
    for part in parts:
        for outputs, columns, numbers in part.placed():
            if _is_whole(columns, inputs):
                scales[outputs] = torch.maximum(numbers.amax(1), -numbers.amin(1))
            scale = (scales[outputs] / 127).clamp(min=torch.finfo(torch.float32).tiny)
            steps = (numbers / scale[:, None]).round_().add_(_ZERO)
            _lay(place, inputs, outputs, columns, steps.to(torch.uint8).contiguous())
    scales /= 127


def _is_whole(columns: Tensor, inputs: int) -> bool:
    """Whether a piece has all inputs of its outputs, but for those that are padded."""
    return len(columns) > inputs - LANES


def _lay(place: Tensor, inputs: int, outputs: Tensor, columns: Tensor, steps: Tensor) -> None:
    """Puts (outputs, columns) bytes where they belong, by fours where those lie together."""
    block, row = outputs // OUTPUTS * (OUTPUTS * inputs), outputs % OUTPUTS * 4
    column = columns // 4 * (4 * OUTPUTS) + columns % 4
    first, last = columns[::4], columns[3::4]
    if not len(columns) % 4 and bool(((first % 4 == 0) & (last == first + 3)).all()):
        place, steps = place.view(torch.int32), steps.view(torch.int32)
        block, row, column = block // 4, row // 4, column[::4] // 4
    place[(block + row)[:, None] + column] = steps
