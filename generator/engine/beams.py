"""Beam search, by transformers' own `generate`, beside the engine and never in its way.

One search at a time in a thread of low priority: it reads the same weights, and stories that are
told token by token go on meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from generator.models.loading import LoadedModel
    from generator.sampling.requests import FinishReason, Request


_TORCH_RNG = threading.Lock()
"""Torch has one generator of random numbers for the process: searches of all models take turns."""
_LOOK_AGAIN = 0.1
"""Seconds after which a search that waits for its turn looks whether it is still wanted."""


class BeamSearch:
    """Searches stories with `num_beams` above one, with or without sampling."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded, self._vocabulary = loaded, loaded.vocabulary()
        self._thread = ThreadPoolExecutor(1, "beams", initializer=_lower_priority)

    async def search(
        self, request: Request, cancelled: Callable[[], bool]
    ) -> tuple[list[int], FinishReason]:
        """The whole story at once, as a list of tokens without the end token.

        Args:
            request: with its `num_beams`.
            cancelled: asked at each step; once true, the search stops where it is.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._generate, request, cancelled
        )

    def close(self) -> None:
        """Waits for the search under way, which should have been cancelled."""
        self._thread.shutdown(cancel_futures=True)

    @torch.inference_mode()
    def _generate(
        self, request: Request, cancelled: Callable[[], bool]
    ) -> tuple[list[int], FinishReason]:
        from generator.engine.beam_search import search  # noqa: PLC0415  # takes seconds

        while not _TORCH_RNG.acquire(timeout=_LOOK_AGAIN):
            if cancelled():
                return [], "length"
        try:
            tokens = search(self._loaded, self._vocabulary, request, cancelled)
        finally:
            _TORCH_RNG.release()
        for index, token in enumerate(tokens):
            if token in self._loaded.ends:
                return tokens[:index], "stop"
        return tokens, "length"


def _lower_priority() -> None:
    """The system runs this thread when the engine leaves a core free; Linux knows niceness so."""
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
