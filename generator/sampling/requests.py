"""What travels between the server and the engine: a request one way, tokens the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length"]
"""`stop`: the model ended the story itself; `length`: `max_tokens` or the context ran out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is drawn from the logits; every default means "off".

    The rules apply in transformers' order: repetition penalty, no-repeat n-grams, minimum
    length, temperature, top-k, top-p, min-p. Names and meanings are transformers' own.
    """

    temperature: float = 1.0
    """Divides the logits; 0 is greedy."""
    top_k: int = 0
    """Only the k likeliest tokens; 0 keeps all."""
    top_p: float = 1.0
    """Only the smallest set of likeliest tokens whose probabilities reach p."""
    min_p: float = 0.0
    """Only tokens at least min_p times as likely as the likeliest."""
    repetition_penalty: float = 1.0
    """Divides positive and multiplies negative logits of tokens already in prompt or story."""
    no_repeat_ngram_size: int = 0
    """No n-gram of this many tokens appears twice in prompt and story; 0 allows all."""
    memfree: bool = False
    """No passage of the training texts: see `generator.sampling.memfree`. This rule is the
    last, and our own name for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One story to tell: validated before it gets here, so the engine does not check again."""

    prompt: tuple[int, ...]
    """Token ids, at least one."""
    sampling: Sampling
    seed: int
    """0 ≤ seed < 2**63. With the model, prompt and settings it fixes the story."""
    max_tokens: int
    """New tokens at most; prompt and story together never exceed the model's context."""
    min_tokens: int = 0
    """The end-of-text token is not drawn before this many new tokens."""
    begin_word: bool = False
    """The first token does not go on with the prompt's last word; not with beams."""
    num_beams: int = 1
    """Above one: the likeliest of so many stories searched together, given whole at its end."""
