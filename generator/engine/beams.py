"""Beam search, by transformers' own `generate`, beside the engine and never in its way.

One search at a time in a thread of low priority: it reads the same weights, and stories that are
told token by token go on meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import torch
from transformers import GenerationConfig, StoppingCriteria

from generator.sampling.processors import OURS, processors
from generator.sampling.settings import Sampling

if TYPE_CHECKING:
    from collections.abc import Callable

    from generator.models.loading import LoadedModel
    from generator.sampling.requests import FinishReason, Request


_TORCH_RNG = threading.Lock()
"""Torch has one generator of random numbers for the process: searches of all models take turns."""
_OF_DRAWING = {"temperature", "top_k", "top_p", "min_p"}
"""Rules that transformers has for a search with sampling only."""
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
        loaded, sampling = self._loaded, request.sampling
        room = min(request.max_tokens, loaded.context - len(request.prompt))
        drawn = sampling.temperature > 0
        # What is left open here, `generate` takes from the model's own settings.
        rules = set(Sampling.model_fields) - OURS - (set() if drawn else _OF_DRAWING)
        settings = GenerationConfig(
            num_beams=request.num_beams,
            max_new_tokens=room,
            min_new_tokens=min(request.min_tokens, room),
            suppress_tokens=self._vocabulary.suppressed.tolist() or None,
            eos_token_id=list(loaded.ends) or None,
            pad_token_id=loaded.eos_id or 0,
            do_sample=drawn,
            **sampling.model_dump(include=rules),
        )
        prompt = torch.tensor([request.prompt], device=loaded.device)
        model: Any = loaded.model  # transformers' mix-in hides `generate` from type checkers
        while not _TORCH_RNG.acquire(timeout=_LOOK_AGAIN):
            if cancelled():
                return [], "length"
        try:
            torch.manual_seed(request.seed)
            output = model.generate(
                prompt,
                generation_config=settings,
                logits_processor=processors(self._vocabulary, request),
                stopping_criteria=[_Cancelled(cancelled)],
            )
        finally:
            _TORCH_RNG.release()
        tokens: list[int] = output[0, len(request.prompt) :].tolist()
        for index, token in enumerate(tokens):
            if token in loaded.ends:
                return tokens[:index], "stop"
        return tokens, "length"


class _Cancelled(StoppingCriteria):
    """Ends `generate` between two steps."""

    def __init__(self, cancelled: Callable[[], bool]) -> None:
        self._cancelled = cancelled

    def __call__(self, input_ids: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        return input_ids.new_full((len(input_ids),), self._cancelled(), dtype=torch.bool)


def _lower_priority() -> None:
    """The system runs this thread when the engine leaves a core free; Linux knows niceness so."""
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
