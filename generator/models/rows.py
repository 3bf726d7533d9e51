"""A model's tensors, of which rows are read when they are asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


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

    def __getitem__(self, part: slice, /) -> Tensor:
        """The rows from one to another; `[:]` is all of them."""
        ...


@dataclass(frozen=True, slots=True)
class Changed:
    """Implements `Rows` for what must be whole before it is changed."""

    rows: Rows
    shape: tuple[int, ...]
    """After the change."""
    change: Callable[[Tensor], Tensor]

    @property
    def dtype(self) -> torch.dtype:
        """See `Rows`."""
        return self.rows.dtype

    def __getitem__(self, part: slice, /) -> Tensor:
        """See `Rows`."""
        return self.change(self.rows[:])[part]


def read_into(file: BinaryIO, tensor: Tensor, start: int) -> None:
    """Fills a tensor with the bytes of a file from there on.

    Raises:
        OSError: the file has become shorter, or cannot be read.
    """
    numbers: Any = tensor.view(-1).view(torch.uint8).numpy()
    left = memoryview(numbers)
    while left:
        count = os.preadv(file.fileno(), [left], start)
        if not count:
            raise OSError(f"{file.name} has become shorter while it is read")
        left, start = left[count:], start + count
