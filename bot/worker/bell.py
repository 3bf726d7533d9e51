"""A bell that wakes whoever waits for work: rung when a story is asked for or called off."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.database.processes import Process


class Others(Protocol):
    """Further bots on the database, which pause together."""

    async def pause(self) -> None:
        """Let none of them begin anything."""

    async def resume(self) -> None:
        """Let all of them go on."""

    async def processes(self) -> Sequence[Process]:
        """Who there is, and for which shards there is nobody."""


class Bell:
    """Rung by commands and buttons, listened to by the dispatcher; a ring is never lost."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self.paused = False
        """The host wants nothing to be begun; wishes wait. It is forgotten when the bot stops."""
        self.others: Others | None = None
        self.sure_at: float | None = None
        """Of several bots: when this one was last seen to have its shards, by the loop's time."""

    async def pause(self) -> None:
        """Let nothing be begun, here and by other bots on the database."""
        self.paused = True
        self.ring()  # who waits already is told so
        if self.others is not None:
            await self.others.pause()

    async def resume(self) -> None:
        """Go on, whoever paused."""
        if self.others is not None:
            await self.others.resume()
        self.paused = False
        self.ring()

    def ring(self) -> None:
        """There is something to do now."""
        self._rung.set()

    def quiet(self) -> None:
        """Forget the rings so far: the listener is about to look."""
        self._rung.clear()

    async def wait(self, until: float) -> None:
        """Wait for a ring, or until the event loop's time is `until`, in seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._rung.wait()
