"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Stands still until it is moved; callbacks come in the order of their moments."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, Callable[[], object], asyncio.TimerHandle]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(self.now + delay, callback, (), asyncio.get_running_loop())
        self._due.append((self.now + delay, callback, handle))
        return handle

    async def advance(self, seconds: float) -> None:
        """Let time pass, with everything that happens in it."""
        end = self.now + seconds
        await settle()
        while ready := [due for due in self._due if due[0] <= end]:
            first = min(ready, key=lambda due: due[0])
            self._due.remove(first)
            if not first[2].cancelled():
                self.now = max(self.now, first[0])
                first[1]()
                await settle()
        self.now = end


async def settle() -> None:
    """Let tasks that wait for nothing but their turn run."""
    for _ in range(20):
        await asyncio.sleep(0)
