"""Programs that want the processor while it is measured, as a bot and its database do."""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many processes that never rest, for as long as this lasts."""
    fresh = multiprocessing.get_context("spawn")  # a fork would copy the engine
    spinning = [fresh.Process(target=_spin, daemon=True) for _ in range(count)]
    try:
        for process in spinning:
            process.start()
        yield
    finally:
        for process in spinning:
            process.kill()
            process.join()


def _spin() -> None:
    while True:
        pass
