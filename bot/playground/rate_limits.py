"""Discord's rate limits: so many requests in a window, then 429 until the window ends."""

from __future__ import annotations

import math
import time
import zlib
from dataclasses import dataclass


@dataclass(slots=True)
class _Window:
    ends: float
    used: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the limiter says of one request, and the headers that tell the client."""

    allowed: bool
    retry_after: float
    headers: dict[str, str]


class RateLimits:
    """Counts requests by bucket; a bucket is a route with its channel or webhook token."""

    def __init__(self, limit: int = 5, window: float = 5.0) -> None:
        """Allow `limit` requests in `window` seconds for each bucket."""
        self._limit = limit
        self._window = window
        self._windows: dict[tuple[str, str], _Window] = {}

    def take(self, route: str, major: str) -> Verdict:
        """Count one request of a route for its major parameter (a channel, a token)."""
        now = time.monotonic()
        window = self._windows.get((route, major))
        if window is None or now >= window.ends:
            self._forget(now)
            window = self._windows[route, major] = _Window(now + self._window)
        allowed = window.used < self._limit
        window.used += allowed
        left = window.ends - now
        headers = {
            "X-RateLimit-Limit": str(self._limit),
            "X-RateLimit-Remaining": str(self._limit - window.used),
            "X-RateLimit-Reset": f"{time.time() + left:.3f}",
            # Never early: a client that waits this long must find the window over.
            "X-RateLimit-Reset-After": f"{math.ceil(left * 1000) / 1000:.3f}",
            "X-RateLimit-Bucket": f"{zlib.crc32(route.encode()):08x}",
        }
        if not allowed:
            headers |= {
                "X-RateLimit-Scope": "user",
                "Retry-After": str(math.ceil(left)),
                "Via": "1.1 playground",  # without it discord.py takes a 429 for a ban
            }
        return Verdict(allowed, math.ceil(left * 1000) / 1000, headers)

    def _forget(self, now: float) -> None:
        over = [key for key, window in self._windows.items() if now >= window.ends]
        for key in over:
            del self._windows[key]
