"""A bell that wakes whoever waits for work: rung when a story is asked for or called off."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Bell:
    """Rung by commands and buttons, listened to by the dispatcher; a ring is never lost."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self.paused = False
        """The host wants nothing to be begun; wishes wait. It is forgotten when the bot stops."""

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
