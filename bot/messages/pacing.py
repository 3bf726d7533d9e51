"""How often messages may be edited: learnt from Discord's own headers where it says so."""

from __future__ import annotations

import asyncio
import math
import re
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

_EDIT = re.compile(r"/channels/(?P<channel>\d+)/messages/\d+$")
_TOKEN_EDIT = re.compile(r"/webhooks/\d+/(?P<token>[^/]+)/messages/(?:\d+|@original)$")
RESERVE = 1
"""Edits left unused in each window: discord.py sleeps through the rest of it after the last."""
PER_SECOND = 40
"""Edits a second over all channels: Discord allows a bot fifty requests of any kind."""
AMBIENT_PER_SECOND = 10.0
"""Of these, edits that nobody waits for."""
OLD_SPACING = 2.2
"""Seconds between two edits of a channel's messages older than an hour: Discord takes three in six
(error 30046), and says so in no header."""
BUDGETS_KEPT = 1000
"""Channels and tokens whose budget is remembered."""


@dataclass(slots=True)
class EditBudget:
    """The edits of a channel, or of one token, in Discord's current window.

    Times are the event loop's, in seconds. Until Discord has named its limit, its habit of five
    edits in five seconds is assumed.
    """

    limit: int = 5
    window: float = 5.0
    left: int = 0
    resets_at: float = -math.inf
    edited_at: float = -math.inf

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
        self.edited_at = now

    def learn(self, *, limit: int, left: int, reset_after: float, now: float) -> None:
        """Take over what Discord said with its last answer."""
        self.limit = max(limit, RESERVE + 1)
        # Further edits may be in flight, which the answer to an earlier one does not count.
        same_window = abs(now + reset_after - self.resets_at) < self.window / 2
        self.left = min(left, self.left) if same_window else left
        self.resets_at = now + reset_after


@dataclass(slots=True)
class OldMessages:
    """A channel's messages older than an hour, which take few edits together."""

    edited_at: float = -math.inf

    def wait(self, now: float) -> float:
        """Seconds until one more of them may be edited."""
        return max(0.0, self.edited_at + OLD_SPACING - now)

    def spend(self, now: float) -> None:
        """Count an edit that goes out."""
        self.edited_at = now


class Rate:
    """No more than so many edits in any second, over all channels."""

    def __init__(self, per_second: int = PER_SECOND) -> None:
        self._per_second = per_second
        self._kept = per_second // 5
        self._last: deque[float] = deque(maxlen=per_second)

    def wait(self, now: float, *, urgent: bool) -> float:
        """Seconds until one more edit may go out; some are kept for the `urgent` ones."""
        allowed = self._per_second if urgent else self._per_second - self._kept
        before = len(self._last) - allowed
        return 0.0 if before < 0 else max(0.0, self._last[before] + 1.0 - now)

    def spend(self, now: float) -> None:
        """Count an edit that goes out."""
        self._last.append(now)


class Turns:
    """Edits that nobody waits for, one after the other over all channels."""

    def __init__(self, rate: float = AMBIENT_PER_SECOND) -> None:
        """`rate`: turns a second."""
        self._between = 1 / rate
        self._next = -math.inf

    def wait(self, now: float) -> float:
        """Seconds until the next turn."""
        return max(0.0, self._next - now)

    def spend(self, now: float) -> None:
        """Take the turn."""
        self._next = max(now, self._next) + self._between


class Clock(Protocol):
    """What of an event loop is needed to wait; the loop itself is one."""

    def time(self) -> float:
        """Seconds from some moment on."""

    def call_later(self, delay: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Call back after `delay` seconds."""


class Pace:
    """Every budget, kept up to date from the headers of discord.py's own requests."""

    def __init__(
        self,
        limit: int = 5,
        window: float = 5.0,
        *,
        per_second: int = PER_SECOND,
        clock: Clock | None = None,
    ) -> None:
        """Keep what holds until Discord says otherwise: `limit` edits in `window` seconds.

        Without a clock, the event loop's is used.
        """
        self._limit = limit
        self._window = window
        self._clock = clock
        self.rate = Rate(per_second)
        self.ambient = Turns()
        self._budgets: dict[int | str, EditBudget] = {}
        self._old: dict[int, OldMessages] = {}
        self.trace = aiohttp.TraceConfig()
        """What discord.py needs to let us read along."""
        self.trace.on_request_end.append(self._read)

    @property
    def clock(self) -> Clock:
        """What all waiting goes by."""
        return self._clock or asyncio.get_running_loop()

    def budget(self, of: int | str) -> EditBudget:
        """The budget of a channel, by its id, or of an interaction, by its token."""
        if (budget := self._budgets.get(of)) is None:
            _make_room(self._budgets, self.clock.time())
            budget = self._budgets[of] = EditBudget(self._limit, self._window)
        return budget

    def old(self, channel_id: int) -> OldMessages:
        """What a channel's messages older than an hour share."""
        if (old := self._old.get(channel_id)) is None:
            _make_room(self._old, self.clock.time())
            old = self._old[channel_id] = OldMessages()
        return old

    async def _read(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestEndParams,
    ) -> None:
        del session, context
        if params.method != "PATCH" or params.response.status == HTTPStatus.TOO_MANY_REQUESTS:
            return  # The latter may speak of another limit; discord.py waits.
        path = params.url.path
        of: int | str
        if edited := _EDIT.search(path):
            of = int(edited["channel"])
        elif edited := _TOKEN_EDIT.search(path):
            of = edited["token"]
        else:
            return
        headers: Any = params.response.headers
        if (budget := self._budgets.get(of)) is None:
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


def _make_room(kept: dict[Any, Any], now: float) -> None:
    """Forget who was not edited for a while, once there are many."""
    if len(kept) >= BUDGETS_KEPT:
        for of in [of for of, lane in kept.items() if now - lane.edited_at > OLD_SPACING * 5]:
            del kept[of]
