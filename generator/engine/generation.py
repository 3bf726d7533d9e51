"""One story on its way from the engine to whoever reads it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from generator.engine.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from generator.sampling.requests import FinishReason, Request


@dataclass(frozen=True, slots=True)
class Logprob:
    """How likely the model held a token at its place in a text."""

    token: int
    logprob: float
    """Natural logarithm of its probability."""
    likeliest: tuple[tuple[int, float], ...]
    """The likeliest tokens there, with theirs, likeliest first."""


class Generation:
    """Iterate over it for lists of new tokens; the end token is never among them.

    All of it is for the event loop that submitted the story. The iteration raises `EngineError`
    where the engine failed or closed before the story's end.
    """

    def __init__(self, request: Request, on_cancel: Callable[[Generation], None]) -> None:
        self.request = request
        self.finish_reason: FinishReason | None = None
        """Set when the story has ended by itself or by its length; not when cancelled."""
        self.logprobs: list[Logprob] = []
        """Where the request asks for them, of all that was delivered, and of the end token after
        it; those of the prompt come first. The engine's thread adds to them ahead of delivery."""
        self.begun = False
        """Some of it was delivered."""
        self.over = False
        """Nothing comes any more, whatever the reason."""
        self._on_cancel = on_cancel
        self._fresh: list[int] = []
        self._failure: str | None = None
        self._news = asyncio.Event()

    def __aiter__(self) -> AsyncIterator[list[int]]:
        return self

    async def __anext__(self) -> list[int]:
        await self._news.wait()
        if self._fresh:
            tokens, self._fresh = self._fresh, []
            if not self.over:
                self._news.clear()
            return tokens
        if self._failure is not None:
            raise EngineError(self._failure)
        raise StopAsyncIteration

    def cancel(self) -> None:
        """Stops telling: the slot is free at the next step. Harmless after the end."""
        if not self.over:
            self.end()
            self._on_cancel(self)

    def deliver(self, tokens: list[int], reason: FinishReason | None) -> None:
        """The engine's: what some steps brought, with the reason if it ended in them."""
        if not self.over:
            self.begun = True
            self._fresh += tokens
            self.finish_reason = reason
            self.over = reason is not None
            self._news.set()

    def end(self, failure: str | None = None) -> None:
        """The engine's: nothing comes any more, and why if that is a failure."""
        if not self.over:
            self._failure = failure
            self.over = True
            self._news.set()
