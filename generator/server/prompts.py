"""A prompt as a client gives it, as the model reads it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from generator.models.tokens import is_panic
from generator.server.errors import wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Encoding

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
    if isinstance(prompt, str):
        text, tokens = prompt, _tokens(prompt, model)
    else:
        vocabulary = model.config.vocab_size
        if any(token >= vocabulary for token in prompt):
            raise wrong(f"prompt takes token ids below {vocabulary} here.", "prompt")
        text, tokens = model.tokens.backend.decode(prompt), prompt
    tokens = tokens or (_beginning(model),)
    if len(tokens) >= model.context:
        raise wrong(
            f"prompt takes fewer than {model.context} tokens, this model's context; "
            f"this one has {len(tokens)}.",
            "prompt",
            "context_length_exceeded",
        )
    return EncodedPrompt(text, tokens)


def _tokens(text: str, model: LoadedModel) -> tuple[int, ...]:
    """The text's own tokens, and those that its tokenizer puts around every text."""
    try:
        encoding = model.tokens.backend.encode(text)
    except BaseException as error:
        if is_panic(error):
            raise wrong(
                f"prompt takes only texts that the tokenizer of {model.name} can read: it broke "
                "down over this one.",
                "prompt",
            ) from error
        if not isinstance(error, Exception):  # tokenizers raises nothing narrower
            raise
        sentence = f"prompt takes only words that {model.name} knows: {error}."
        raise wrong(sentence, "prompt") from error
    controls = model.tokens.controls
    if not controls.keys().isdisjoint(encoding.ids):
        _refuse_controls(encoding, controls, model)
    return tuple(encoding.ids)


def _refuse_controls(encoding: Encoding, controls: dict[int, str], model: LoadedModel) -> None:
    """Some tokenizers have a control token among their words, and no letters to spell it with."""
    for token, around in zip(encoding.ids, encoding.special_tokens_mask, strict=True):
        spelt = controls.get(token, "")
        a_word = spelt.isalnum() or len(spelt) <= 1 or token == model.tokens.unk_id
        if not around and not a_word:
            raise wrong(
                f"prompt takes no {spelt}: to {model.name} it is a control token, not a text.",
                "prompt",
            )


def _beginning(model: LoadedModel) -> int:
    """The token that stands before a text: in GPT-2's manner the one that ends the text before."""
    begin = model.tokens.bos_id
    return begin if begin is not None else model.eos_id or 0
