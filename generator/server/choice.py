"""One choice of a completion on its way from the model's tokens to the client's text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from generator.engine.generation import Generation
    from generator.sampling.requests import FinishReason
    from generator.server.metrics import Stopwatch
    from generator.text.transcript import Transcript


class Choice:
    """One story of a completion: its tokens, read as text."""

    def __init__(
        self,
        index: int,
        generation: Generation,
        transcript: Transcript,
        stopwatch: Stopwatch,
        *,
        opening: str = "",
    ) -> None:
        """Prepare; `opening` is text to say before the story's own, the prompt for an echo."""
        self.index = index
        self.finish_reason: FinishReason | None = None
        """Set after the last piece."""
        self._generation = generation
        self._transcript = transcript
        self._stopwatch = stopwatch
        self._opening = opening

    @property
    def tokens(self) -> int:
        """Tokens told so far."""
        return self._transcript.tokens

    async def pieces(self) -> AsyncIterator[str]:
        """The text as it becomes known, never empty.

        Raises:
            EngineError: the story cannot be told to its end.
        """
        if self._opening:
            yield self._opening
        async for tokens in self._generation:
            self._stopwatch.arrived(len(tokens))
            if text := self._transcript.push(tokens):
                yield text
            if self._transcript.stopped:
                self._generation.cancel()
                break
        reason = self._generation.finish_reason or "stop"
        if text := self._transcript.finish(cut_off=reason == "length"):
            yield text
        self.finish_reason = "stop" if self._transcript.stopped else reason

    def leave(self) -> None:
        """Nobody reads on: the slot is free at the next step. Harmless after the end."""
        self._generation.cancel()
