"""What a request leaves open: the model's own defaults, else OpenAI's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.sampling.settings import StorySettings
from generator.server.errors import wrong

if TYPE_CHECKING:
    from generator.server.protocol import CompletionRequest

_IN_TRANSFORMERS = {"max_tokens": "max_new_tokens", "min_tokens": "min_new_tokens"}


def settings_of(request: CompletionRequest, own: StorySettings) -> StorySettings:
    """The request's settings, completed from the model's own.

    Raises:
        ApiError: `min_tokens` is above `max_tokens`.
    """
    asked = {
        _IN_TRANSFORMERS.get(name, name): getattr(request, name)
        for name in request.model_fields_set
    }
    update = {name: asked[name] for name in asked.keys() & StorySettings.model_fields.keys()}
    settings = own.model_copy(update=update)
    longest = settings.max_new_tokens
    if "min_tokens" in request.model_fields_set and settings.min_new_tokens > longest:
        raise wrong(f"min_tokens takes at most max_tokens, which is {longest}.", "min_tokens")
    return settings
