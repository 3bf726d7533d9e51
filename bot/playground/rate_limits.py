"""Discord's rate limits: so many requests in a window, then 429 until the window ends."""

from __future__ import annotations

import math
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.playground.errors import RateLimitedError

if TYPE_CHECKING:
    from collections.abc import Callable

OLD_AFTER = 3600.0
"""Seconds after which edits of a message are limited more strictly."""


@dataclass(slots=True)
class _Window:
    ends: float
    used: int = 0


class _Buckets:
    """Windows of one length, each with the same number of requests."""

    def __init__(self, limit: int, seconds: float, clock: Callable[[], float]) -> None:
        self.limit = limit
        self._seconds = seconds
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    def take(self, key: str) -> tuple[bool, int, float]:
        """Count one request: whether it is allowed, how many are left, and for how long."""
        now = self._clock()
        window = self._windows.get(key)
        if window is None or now >= window.ends:
            over = [old for old, one in self._windows.items() if now >= one.ends]
            for old in over:
                del self._windows[old]
            window = self._windows[key] = _Window(now + self._seconds)
        allowed = window.used < self.limit
        window.used += allowed
        # Never early: a client that waits this long must find the window over.
        return allowed, self.limit - window.used, math.ceil((window.ends - now) * 1000) / 1000


class RateLimits:
    """Counts requests by bucket (a route with its channel or webhook token), and all together."""

    def __init__(
        self,
        limit: int = 5,
        window: float = 5.0,
        *,
        old_after: float = OLD_AFTER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Allow `limit` requests in `window` seconds for each bucket.

        Args:
            limit: requests to one bucket …
            window: … in so many seconds.
            old_after: seconds until a message is one whose edits are limited more strictly.
            clock: seconds that only grow.
        """
        self.old_after = old_after
        self._routes = _Buckets(limit, window, clock)
        self._together = _Buckets(50, 1.0, clock)
        self._old_edits = _Buckets(3, 6.0, clock)

    def take(self, route: str, major: str) -> dict[str, str]:
        """Count one request of a route for its major parameter (a channel, a token).

        Returns:
            The headers that tell the client how many more it may send.

        Raises:
            RateLimitedError: it is one too many.
        """
        allowed, remaining, left = self._routes.take(f"{route} {major}")
        headers = {
            "X-RateLimit-Limit": str(self._routes.limit),
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": f"{time.time() + left:.3f}",
            "X-RateLimit-Reset-After": f"{left:.3f}",
            "X-RateLimit-Bucket": f"{zlib.crc32(route.encode()):08x}",
        }
        if not allowed:
            raise RateLimitedError(left, headers={"X-RateLimit-Scope": "user", **headers})
        return headers

    def take_any(self) -> None:
        """Count one request of the bot, whatever it is; those with an interaction's token are free.

        Raises:
            RateLimitedError: it is the 51st in a second.
        """
        allowed, _, left = self._together.take("")
        if not allowed:
            headers = {"X-RateLimit-Global": "true", "X-RateLimit-Scope": "global"}
            raise RateLimitedError(left, everywhere=True, headers=headers)

    def take_old_edit(self, channel_id: int) -> None:
        """Count one edit of an old message.

        Raises:
            RateLimitedError: it is the fourth in six seconds in its channel.
        """
        allowed, _, left = self._old_edits.take(str(channel_id))
        if not allowed:
            message = (
                "Maximum number of edits to messages older than 1 hour reached. Try again later."
            )
            raise RateLimitedError(left, 30046, message)
