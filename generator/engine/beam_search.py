"""One search by transformers' own `generate`; importing it takes seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import GenerationConfig, StoppingCriteria

from generator.sampling.processors import OURS, processors
from generator.sampling.settings import Sampling

if TYPE_CHECKING:
    from collections.abc import Callable

    from generator.models.loading import LoadedModel
    from generator.sampling.requests import Request
    from generator.sampling.vocabulary import Vocabulary

_OF_DRAWING = {"temperature", "top_k", "top_p", "min_p"}
"""Rules that transformers has for a search with sampling only."""


def search(
    loaded: LoadedModel, vocabulary: Vocabulary, request: Request, cancelled: Callable[[], bool]
) -> list[int]:
    """The tokens of the likeliest story found; its draws come from torch's generator.

    Args:
        loaded: the model.
        vocabulary: its own.
        request: with its `num_beams`.
        cancelled: asked at each step; once true, the search stops where it is.
    """
    sampling = request.sampling
    room = min(request.max_tokens, loaded.context - len(request.prompt))
    drawn = sampling.temperature > 0
    # What is left open here, `generate` takes from the model's own settings.
    rules = set(Sampling.model_fields) - OURS - (set() if drawn else _OF_DRAWING)
    settings = GenerationConfig(
        num_beams=request.num_beams,
        max_new_tokens=room,
        min_new_tokens=min(request.min_tokens, room),
        suppress_tokens=vocabulary.suppressed.tolist() or None,
        eos_token_id=list(loaded.ends) or None,
        pad_token_id=loaded.eos_id or 0,
        do_sample=drawn,
        **sampling.model_dump(include=rules),
    )
    prompt = torch.tensor([request.prompt], device=loaded.device)
    model: Any = loaded.model  # transformers' mix-in hides `generate` from type checkers
    torch.manual_seed(request.seed)
    output = model.generate(
        prompt,
        generation_config=settings,
        logits_processor=processors(vocabulary, request),
        stopping_criteria=[_Cancelled(cancelled)],
    )
    tokens: list[int] = output[0, len(request.prompt) :].tolist()
    return tokens


class _Cancelled(StoppingCriteria):
    """Ends `generate` between two steps."""

    def __init__(self, cancelled: Callable[[], bool]) -> None:
        self._cancelled = cancelled

    def __call__(self, input_ids: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        return input_ids.new_full((len(input_ids),), self._cancelled(), dtype=torch.bool)
