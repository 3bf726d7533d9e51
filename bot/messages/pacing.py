"""How often the messages of a channel may be edited, learnt from Discord's own headers."""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

_EDIT = re.compile(r"/channels/(\d+)/messages/\d+$")
RESERVE = 1
"""Edits left unused in each window: discord.py sleeps through the rest of it after the last."""
AMBIENT = 10.0
"""Ambient edits a second over all channels: Discord allows a bot fifty requests of any kind."""


@dataclass(slots=True)
class EditBudget:
    """One channel's edits in Discord's current window; times are the event loop's, in seconds.

    Until Discord has named its limit, its habit of five edits in five seconds is assumed.
    """

    limit: int = 5
    window: float = 5.0
    left: int = 0
    resets_at: float = -math.inf

    @property
    def spacing(self) -> float:
        """Seconds between two edits that use the window up evenly."""
        return self.window / max(1, self.limit - RESERVE)

    def wait(self, now: float) -> float:
        """Seconds until one more edit may go out."""
        if now >= self.resets_at or self.left > RESERVE:
            return 0.0
        return self.resets_at - now

    def spend(self, now: float) -> None:
        """Count an edit that goes out."""
        if now >= self.resets_at:
            self.left = self.limit
            self.resets_at = now + self.window
        self.left -= 1

    def learn(self, *, limit: int, left: int, reset_after: float, now: float) -> None:
        """Take over what Discord said with its last answer."""
        self.limit = max(limit, RESERVE + 1)
        self.left = left
        self.resets_at = now + reset_after


class Turns:
    """The turns of all channels together for edits that nobody waits for, one after the other."""

    def __init__(self, rate: float = AMBIENT) -> None:
        """`rate`: turns a second."""
        self._between = 1 / rate
        self._next = -math.inf

    def take(self, now: float) -> float:
        """Take the next turn; gives its moment, which may be now."""
        turn = max(now, self._next)
        self._next = turn + self._between
        return turn


class Clock(Protocol):
    """What of an event loop is needed to wait; the loop itself is one."""

    def time(self) -> float:
        """Seconds from some moment on."""

    def call_later(self, delay: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Call back after `delay` seconds."""


class Pace:
    """Every channel's budget, kept up to date from the headers of discord.py's own requests."""

    def __init__(self, limit: int = 5, window: float = 5.0, clock: Clock | None = None) -> None:
        """Keep what holds until Discord says otherwise: `limit` edits in `window` seconds.

        Without a clock, the event loop's is used.
        """
        self._limit = limit
        self._window = window
        self._clock = clock
        self.ambient = Turns()
        """Whose turn it is, of all channels, for an edit that nobody waits for."""
        self._budgets: dict[int, EditBudget] = {}

    @property
    def clock(self) -> Clock:
        """What all waiting goes by."""
        return self._clock or asyncio.get_running_loop()

    def of(self, channel_id: int) -> EditBudget:
        """The channel's budget."""
        return self._budgets.setdefault(channel_id, EditBudget(self._limit, self._window))

    def forget(self, channel_id: int) -> None:
        """Drop a channel in which nothing is written any more."""
        self._budgets.pop(channel_id, None)

    def trace(self) -> aiohttp.TraceConfig:
        """What discord.py needs to let us read along."""
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(self._read)
        return trace

    async def _read(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestEndParams,
    ) -> None:
        del session, context
        headers: Any = params.response.headers
        edited = _EDIT.search(params.url.path)
        if params.method != "PATCH" or edited is None:
            return
        if params.response.status == HTTPStatus.TOO_MANY_REQUESTS:
            return  # It may speak of another limit, as that of old messages; discord.py waits.
        budget = self._budgets.get(int(edited[1]))
        if budget is None:
            return
        try:
            budget.learn(
                limit=int(headers["X-RateLimit-Limit"]),
                left=int(headers["X-RateLimit-Remaining"]),
                reset_after=float(headers["X-RateLimit-Reset-After"]),
                now=self.clock.time(),
            )
        except (KeyError, ValueError):
            return  # Another Discord may not say; the habit is kept.
