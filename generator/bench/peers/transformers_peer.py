"""transformers' own `generate`, in float32 or what the model was loaded in.

On a GPU also with a static cache, for which it compiles the model itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, LogitsProcessor

from generator.bench.work import MissingPeerError
from generator.models.shapes import LSTM_KIND

if TYPE_CHECKING:
    from pathlib import Path

    from generator.bench.work import Workload
    from generator.models.loading import LoadedModel


_OURS = {"memfree", "frequency_penalty", "presence_penalty"}
"""Rules that it has not."""
_HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class _FirstToken(LogitsProcessor):
    """Notes when the first logits were there."""

    def __init__(self) -> None:
        self.when: float | None = None

    def __call__(self, _: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.when = self.when or time.perf_counter()
        return scores


class Transformers:
    """One batch from start to end."""

    def __init__(self, folder: Path, loaded: LoadedModel, *, static: bool = False) -> None:
        self.name = "transformers-static" if static else "transformers"
        self._cache = {"cache_implementation": "static"} if static else {}
        dtype = _HALVES.get(loaded.precision, torch.float32)
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, trust_remote_code=False, use_safetensors=True
        )
        self._model = model.to(loaded.device).eval()
        self._device = loaded.device

    def tell(self, workload: Workload) -> float | None:
        """See `Contestant.tell`."""
        sampling, first = workload.sampling, _FirstToken()
        drawn: dict[str, Any] = {}
        if sampling.temperature > 0:
            drawn = {"do_sample": True, **sampling.model_dump(exclude=_OURS)}
        prompts = torch.tensor(workload.prompts, device=self._device)
        begin = time.perf_counter()
        told = self._model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            generation_config=GenerationConfig(
                max_new_tokens=workload.tokens,
                min_new_tokens=workload.tokens,
                eos_token_id=0,
                pad_token_id=0,
                **drawn,
                **self._cache,
            ),
            logits_processor=[first],
        )
        told.cpu()
        return None if first.when is None else first.when - begin

    def close(self) -> None:
        """See `Contestant.close`."""
        del self._model


def load(folder: Path, loaded: LoadedModel, _: Path) -> Transformers:
    """See `rounds._peer`."""
    if loaded.config.model_type == LSTM_KIND:
        raise MissingPeerError("transformers has no LSTM; use forward")
    return Transformers(folder, loaded)
