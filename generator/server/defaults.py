"""What a request leaves open: the model's own defaults, else OpenAI's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from generator.sampling.requests import Sampling
from generator.server.protocol import wrong

if TYPE_CHECKING:
    from transformers import GenerationConfig

    from generator.server.protocol import CompletionRequest

_GREEDY_BELOW = 1e-5
"""A temperature this low is taken for 0: dividing logits by it could overflow."""

_MOST = 2**31 - 1
"""A top_k above it is more than any vocabulary has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorySettings:
    """What a story is told by, besides its prompt and seed."""

    sampling: Sampling
    max_tokens: int
    min_tokens: int


def settings_of(request: CompletionRequest, model: GenerationConfig | None) -> StorySettings:
    """The request's settings, completed from `model`, its generation_config.json.

    Raises:
        ApiError: `min_tokens` is above `max_tokens`.
    """

    def number(asked: float | None, name: str, default: float) -> float:
        if asked is not None:
            return asked
        own: float | None = getattr(model, name, None)
        return default if own is None else own

    temperature = number(request.temperature, "temperature", 1.0)
    max_tokens = int(number(request.max_tokens, "max_new_tokens", 16))
    min_tokens = int(number(request.min_tokens, "min_new_tokens", 0))
    if request.min_tokens is not None and min_tokens > max_tokens:
        raise wrong(f"min_tokens takes at most max_tokens, which is {max_tokens}.", "min_tokens")
    return StorySettings(
        sampling=Sampling(
            temperature=temperature if temperature >= _GREEDY_BELOW else 0.0,
            top_k=min(int(number(request.top_k, "top_k", 0)), _MOST),
            top_p=number(request.top_p, "top_p", 1.0),
            min_p=number(request.min_p, "min_p", 0.0),
            repetition_penalty=number(request.repetition_penalty, "repetition_penalty", 1.0),
            no_repeat_ngram_size=int(
                number(request.no_repeat_ngram_size, "no_repeat_ngram_size", 0)
            ),
            memfree=bool(number(request.memfree, "memfree", 0)),
        ),
        max_tokens=max_tokens,
        min_tokens=min_tokens,
    )
