"""What travels between the server and the engine: a request one way, tokens the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from generator.sampling.settings import Sampling

FinishReason = Literal["stop", "length"]
"""`stop`: the model ended the story itself; `length`: `max_tokens` or the context ran out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One story to tell: validated before it gets here, so the engine does not check again."""

    prompt: tuple[int, ...]
    """Token ids, at least one."""
    sampling: Sampling
    seed: int
    """0 ≤ seed < 2**63. With the model, prompt and settings it fixes the story."""
    max_tokens: int
    """New tokens at most; prompt and story together never exceed the model's context. 0 where
    nothing but the prompt's log probabilities is of interest."""
    min_tokens: int = 0
    """The end-of-text token is not drawn before this many new tokens."""
    begin_word: bool = False
    """The first token does not go on with the prompt's last word."""
    num_beams: int = 1
    """Above one: the likeliest of so many stories searched together, each in a slot, given whole at
    its end. At most as many as there are slots."""
    logprobs: int | None = None
    """The log probability of every token drawn, and of so many likeliest at its place; not with
    beams."""
    prompt_logprobs: bool = False
    """The same of the prompt's tokens from the second on, before those drawn."""
