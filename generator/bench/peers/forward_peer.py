"""An LSTM's own forward in a plain loop, with transformers' processors: what one writes first."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    AutoModelForCausalLM,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from generator.bench.work import MissingPeerError
from generator.models.shapes import LSTM_KIND

if TYPE_CHECKING:
    from pathlib import Path

    from generator.bench.work import Workload
    from generator.models.loading import LoadedModel


class Forward:
    """One batch from start to end, in float32."""

    name = "forward"

    def __init__(self, folder: Path, loaded: LoadedModel) -> None:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, trust_remote_code=False, use_safetensors=True
        )
        self._model = model.to(loaded.device).eval()
        self._device = loaded.device

    @torch.inference_mode()
    def tell(self, workload: Workload) -> float | None:
        """See `Contestant.tell`."""
        sampling, rules = workload.sampling, LogitsProcessorList()
        if sampling.temperature > 0:
            rules.append(TemperatureLogitsWarper(sampling.temperature))
            rules.append(TopKLogitsWarper(sampling.top_k))
            rules.append(TopPLogitsWarper(sampling.top_p))
        begin = time.perf_counter()
        first: float | None = None
        tokens: Any = torch.tensor(workload.prompts, device=self._device)
        state = None
        for _ in range(workload.tokens):
            output = self._model(tokens, state)
            state = output.state
            logits: Any = output.logits[:, -1]
            if sampling.temperature > 0:
                tokens = torch.multinomial(rules(tokens, logits).softmax(1), 1)
            else:
                tokens = logits.argmax(1, keepdim=True)
            tokens.tolist()
            first = first or time.perf_counter() - begin
        return first

    def close(self) -> None:
        """See `Contestant.close`."""
        del self._model


def load(folder: Path, loaded: LoadedModel, _: Path) -> Forward:
    """See `rounds._peer`."""
    if loaded.config.model_type != LSTM_KIND:
        raise MissingPeerError("it is for an LSTM; others have transformers")
    return Forward(folder, loaded)
