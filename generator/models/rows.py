"""A model's tensors, of which rows are read when they are asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    Order = Callable[[Tensor], Tensor]
    """Where rows, or columns, come to be that are at these places."""


class Rows(Protocol):
    """One tensor, in memory or still in its file."""

    @property
    def shape(self) -> Sequence[int]:
        """As a tensor's."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """In which they come."""
        ...

    def __getitem__(self, part: slice | tuple[slice, slice], /) -> Tensor:
        """The rows from one to another, or a part of each of them; `[:]` is all of them."""
        ...


@dataclass(frozen=True, slots=True)
class Reordered:
    """Implements `Rows` for a matrix that its file has in another order."""

    rows: Rows
    """As the file has it."""
    turned: bool = False
    """There, what are rows here are columns."""
    order: Order | None = None
    """Where each row of the file comes to be."""

    @property
    def shape(self) -> tuple[int, ...]:
        """See `Rows`."""
        return tuple(reversed(self.rows.shape)) if self.turned else tuple(self.rows.shape)

    @property
    def dtype(self) -> torch.dtype:
        """See `Rows`."""
        return self.rows.dtype

    def __getitem__(self, part: slice | tuple[slice, slice], /) -> Tensor:
        """See `Rows`; all of it is read."""
        whole = self.rows[:]
        if self.order is not None:
            places = self.order(torch.arange(len(whole)))
            whole = torch.empty_like(whole).index_copy_(0, places, whole)
        return (whole.T if self.turned else whole)[part]


def read_part(file: BinaryIO, part: Tensor, start: int, row: int) -> None:
    """Fills (rows, …) from a file, where the first is at `start` and the next so many bytes on.

    Raises:
        OSError: the file has become shorter, or cannot be read.
    """
    together = [part] if part.nbytes == len(part) * row else part
    for at, numbers in enumerate(together):
        _read_into(file, numbers, start + at * row)


def _read_into(file: BinaryIO, tensor: Tensor, start: int) -> None:
    numbers: Any = tensor.view(-1).view(torch.uint8).numpy()
    left = memoryview(numbers)
    while left:
        count = os.preadv(file.fileno(), [left], start)
        if not count:
            raise OSError(f"{file.name} has become shorter while it is read")
        left, start = left[count:], start + count
