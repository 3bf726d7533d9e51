"""How the bot was over the last hours: looked at once a minute, kept in memory only."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from bot.worker.completions import GeneratorError

if TYPE_CHECKING:
    from bot.charts.course import Courses
    from bot.database.queue import Queue
    from bot.worker.completions import Completions

EVERY = 60.0
"""Seconds between two looks."""
KEPT = 6 * 60
"""Looks: six hours."""


class Look(NamedTuple):
    """How it was in a minute; None: nobody knows."""

    queue: float | None
    """Stories that wait or are being told."""
    memory: float | None
    """Megabytes of the models that are loaded, at most."""
    pace: float | None
    """Tokens a second since the look before."""
    latency: float | None
    """Milliseconds that Discord's gateway takes to answer."""


class Watching:
    """A ring of looks; the oldest goes when there is a new one."""

    def __init__(self, queue: Queue, completions: Completions) -> None:
        self._queue = queue
        self._completions = completions
        self._looks: deque[Look] = deque(maxlen=KEPT)
        self._written: tuple[float, int] | None = None
        """When the generator's tokens were last counted, by the event loop's time, and them."""

    @property
    def courses(self) -> Courses:
        """How each of them went, the newest look last."""
        return {
            name: tuple(look[place] for look in self._looks)
            for place, name in enumerate(Look._fields)
        }

    async def look(self, latency: float) -> None:
        """Look how this minute is.

        Args:
            latency: The gateway's, in seconds; NaN: not known yet.
        """
        self._looks.append(await self._seen(latency))

    async def look_again(self, latency: float) -> None:
        """Look once more in this minute, for somebody asks; what nobody knows now stays as it was.

        Args:
            latency: As above.
        """
        seen = await self._seen(latency)
        if self._looks:
            both = zip(self._looks.pop(), seen, strict=True)
            seen = Look(*(old if new is None else new for old, new in both))
        self._looks.append(seen)

    async def _seen(self, latency: float) -> Look:
        queue = sum((await self._queue.live()).values())
        memory, pace = await self._measured()
        return Look(queue, memory, pace, None if math.isnan(latency) else latency * 1000)

    async def _measured(self) -> tuple[float | None, float | None]:
        """The generator's megabytes, and its tokens a second since the look before."""
        before, self._written = self._written, None
        try:
            gauges = await self._completions.gauges()
        except GeneratorError:
            return None, None
        moment = asyncio.get_running_loop().time()
        self._written = moment, gauges.written
        memory = sum(gauges.memory.values()) / 1e6
        # Fewer than before: the generator was started anew meanwhile.
        if before is None or moment <= before[0] or gauges.written < before[1]:
            return memory, None
        return memory, (gauges.written - before[1]) / (moment - before[0])
