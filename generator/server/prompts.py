"""A prompt as a client gives it, as the model reads it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from generator.server.errors import wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from generator.models.loading import LoadedModel
    from generator.server.protocol import Prompt

_AT_ONCE = 4000
"""Characters that are turned into tokens on the event loop itself: 2 ms or less."""


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """What the model reads before it tells."""

    text: str
    tokens: tuple[int, ...]
    """At least one."""


async def encode(
    prompts: Sequence[Prompt], model: LoadedModel, *, limit: int
) -> list[EncodedPrompt]:
    """Each prompt as text and tokens.

    Args:
        prompts: texts or token ids; an empty one begins a text from nothing.
        model: whose tokens.
        limit: characters of one text at most.

    Raises:
        ApiError: a prompt is too long, or has words or ids that the model does not know.
    """
    for prompt in prompts:
        if isinstance(prompt, str) and len(prompt) > limit:
            raise wrong(
                f"prompt takes at most {limit} characters; this one has {len(prompt)}.",
                "prompt",
                "context_length_exceeded",
            )
    if sum(map(len, prompts)) <= _AT_ONCE:
        return [_encode(prompt, model) for prompt in prompts]
    # The tokenizer, which is no Python, lets the event loop run meanwhile.
    return await asyncio.to_thread(lambda: [_encode(prompt, model) for prompt in prompts])


def _encode(prompt: Prompt, model: LoadedModel) -> EncodedPrompt:
    tokenizer = model.tokenizer.backend_tokenizer
    if isinstance(prompt, str):
        try:
            text, tokens = prompt, tuple(tokenizer.encode(prompt).ids)
        except Exception as error:  # tokenizers raises nothing narrower
            sentence = f"prompt takes only words that {model.name} knows: {error}."
            raise wrong(sentence, "prompt") from error
    else:
        vocabulary = model.config.vocab_size
        if any(token >= vocabulary for token in prompt):
            raise wrong(f"prompt takes token ids below {vocabulary} here.", "prompt")
        text, tokens = tokenizer.decode(prompt), prompt
    tokens = tokens or (_beginning(model),)
    if len(tokens) >= model.context:
        raise wrong(
            f"prompt takes fewer than {model.context} tokens, this model's context; "
            f"this one has {len(tokens)}.",
            "prompt",
            "context_length_exceeded",
        )
    return EncodedPrompt(text, tokens)


def _beginning(model: LoadedModel) -> int:
    """The token that stands before a text: in GPT-2's manner the one that ends the text before."""
    begin = model.tokenizer.bos_token_id
    return begin if isinstance(begin, int) else model.eos_id or 0
