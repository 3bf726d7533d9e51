"""One choice of a completion on its way from the model's tokens to the client's text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from generator.engine.generation import Generation
    from generator.sampling.requests import FinishReason
    from generator.server.logbook import Logbook
    from generator.server.metrics import Stopwatch
    from generator.server.protocol import Logprobs
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
        logbook: Logbook | None = None,
    ) -> None:
        """Prepare.

        Args:
            index: among the answer's choices.
            generation: the story.
            transcript: where its tokens become text.
            stopwatch: for its times.
            opening: text to say before the story's own, the prompt for an echo.
            logbook: for log probabilities, where they are asked for.
        """
        self.index = index
        self.finish_reason: FinishReason | None = None
        """Set after the last piece."""
        self._generation = generation
        self._transcript = transcript
        self._stopwatch = stopwatch
        self._opening = opening
        self._logbook = logbook

    @property
    def tokens(self) -> int:
        """Tokens told so far."""
        return self._transcript.tokens

    @property
    def mean_logprob(self) -> float:
        """Of the tokens told and of the story's end; 0 where the request asked for none."""
        request = self._generation.request
        first = len(request.prompt) - 1 if request.prompt_logprobs else 0
        ended = self._generation.finish_reason == "stop" and not self._transcript.stopped
        drawn = self._generation.logprobs[first : first + self.tokens + ended]
        return sum(one.logprob for one in drawn) / max(1, len(drawn))

    def logprobs(self, text: str) -> Logprobs | None:
        """Those of a piece of the text, or of several at once; None where nobody asks for any."""
        return None if self._logbook is None else self._logbook.take(text, told=self.tokens)

    async def pieces(self) -> AsyncIterator[str]:
        """The text as it becomes known, never empty.

        Raises:
            EngineError: the story cannot be told to its end.
        """
        opening = self._opening  # comes with the first of the story's own
        async for tokens in self._generation:
            self._stopwatch.arrived(len(tokens))
            if text := opening + self._transcript.push(tokens):
                yield text
                opening = ""
            if self._transcript.stopped:
                self._generation.cancel()
                break
        reason = self._generation.finish_reason or "stop"
        if text := opening + self._transcript.finish(cut_off=reason == "length"):
            yield text
        self.finish_reason = "stop" if self._transcript.stopped else reason

    def leave(self) -> None:
        """Nobody reads on: the slot is free at the next step. Harmless after the end."""
        self._generation.cancel()
