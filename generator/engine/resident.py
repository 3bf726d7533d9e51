"""A model in memory, with its engine and those who have borrowed it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

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
        """Start its engine."""
        await self.engine.__aenter__()

    async def close(self) -> None:
        """Stop its engine; stories still being told end with `EngineError`. Once is enough."""
        if not self._closed:
            self._closed = True
            await self.engine.__aexit__(None, None, None)

    def lend(self) -> None:
        """One more has it."""
        self._borrowers += 1
        self.idle.clear()

    def give_back(self) -> None:
        """One less has it."""
        self._borrowers -= 1
        if not self._borrowers:
            self.idle.set()
