"""Memory of the system's that weights are packed into, and what loading needs for a moment."""

from __future__ import annotations

import ctypes
import mmap
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

_TRIM, _MAP = -1, -3
"""Names of glibc's `mallopt`: from how many bytes on what is free, or asked for, is the system's."""
_LARGE = 1 << 20
_USUAL = 32 << 20
"""What glibc comes to by itself, at most, in a process that uses large pieces."""


def memory(count: int, kind: torch.dtype) -> Tensor:
    """(count,) zeros in pages as large as the system has, which it gives only when written to."""
    area = mmap.mmap(-1, count * kind.itemsize, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without transparent huge pages
            area.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(area, dtype=kind, count=count)


@contextmanager
def given_back() -> Iterator[None]:
    """What is needed for a moment meanwhile goes back to the system, as far as glibc is told so.

    By itself it keeps pieces of up to 32 MB for the next that fit, and torch's seldom do, as each
    is to begin at a multiple of 64 bytes: of a GPT-2 XL's matrices 600 MB stayed. At the end what
    is free between small things goes back too: of a tokenizer of 50,000 tokens 20 MB.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(_MAP, _LARGE)
    try:
        yield
    finally:
        with suppress(AttributeError, OSError, TypeError):
            ctypes.CDLL(None).mallopt(_MAP, _USUAL)
            ctypes.CDLL(None).mallopt(_TRIM, 2 * _USUAL)
            ctypes.CDLL(None).malloc_trim(0)
