"""A model in memory, with its engine and those who have borrowed it."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from generator.engine.errors import EngineError
from generator.models.errors import ModelFolderError
from generator.sampling.requests import Request
from generator.sampling.settings import StorySettings

if TYPE_CHECKING:
    from generator.engine.loop import Engine
    from generator.models.loading import LoadedModel


class Resident:
    """A loaded model with its running engine."""

    def __init__(self, name: str, loaded: LoadedModel, engine: Engine) -> None:
        self.name = name
        self.loaded = loaded
        self.engine = engine
        self.idle = asyncio.Event()
        """Nobody has it borrowed."""
        self.idle.set()
        self._borrowers = 0
        self._closed = False

    async def open(self) -> None:
        """Start its engine, and have it draw a token.

        Raises:
            ModelFolderError: it cannot, or what comes out are no numbers.
        """
        await self.engine.__aenter__()
        try:
            await self._draw()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop its engine; stories still being told end with `EngineError`. Once is enough."""
        if not self._closed:
            self._closed = True
            await self.engine.__aexit__(None, None, None)

    async def _draw(self) -> None:
        """A training that went wrong leaves such weights: any token would be told of them."""
        greedy = StorySettings(temperature=0)
        prompt = (self.loaded.eos_id or 0,)
        first = Request(prompt=prompt, sampling=greedy, seed=0, max_tokens=1, logprobs=0)
        try:
            story = self.engine.submit(first)
            async for _ in story:
                pass
        except (EngineError, ValueError) as error:
            raise ModelFolderError(f"it cannot tell a token ({error})") from error
        if not all(math.isfinite(drawn.logprob) for drawn in story.logprobs):
            raise ModelFolderError(
                "what it makes of its weights and its config.json are no numbers (NaN): one of "
                "them is damaged"
            )

    def lend(self) -> None:
        """One more has it."""
        self._borrowers += 1
        self.idle.clear()

    def give_back(self) -> None:
        """One less has it."""
        self._borrowers -= 1
        if not self._borrowers:
            self.idle.set()
