"""What can go wrong with a REST request, between the bot and a Discord that is well."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bot.playground.rest import ROOT

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SLOW = 25.0
STALL = 10.0
"""Seconds."""


def _refusal(status: int, code: int, message: str, **headers: str) -> web.Response:
    body: dict[str, Any] = {"message": message, "code": code}
    if status == 429:
        body |= {"retry_after": 1.0, "global": "x_ratelimit_global" in headers}
        headers |= {"retry_after": "1"}
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    sent["Content-Type"] = "application/json"
    return web.Response(status=status, body=json.dumps(body).encode(), headers=sent)


REFUSALS: dict[str, Callable[[], web.Response]] = {
    "429": lambda: _refusal(429, 0, "You are being rate limited.", via="1.1 chaos"),
    "429-global": lambda: _refusal(
        429, 0, "You are being rate limited.", via="1.1 chaos", x_ratelimit_global="true"
    ),
    "429-of-the-edge": lambda: _refusal(429, 0, "You are being blocked."),
    "401": lambda: _refusal(401, 50027, "Invalid Webhook Token"),
    "403-of-the-edge": lambda: _refusal(403, 40333, "internal network error"),
    "403": lambda: _refusal(403, 50001, "Missing Access"),
    "403-permissions": lambda: _refusal(403, 50013, "Missing Permissions"),
    "400-archived": lambda: _refusal(400, 50083, "Thread is archived"),
    "404": lambda: _refusal(404, 0, "404: Not Found"),
    "500": lambda: _refusal(500, 0, "Internal Server Error"),
    "502": lambda: web.Response(status=502, text="<html>Bad Gateway</html>"),
}


@dataclass
class Trouble:
    """Something that happens to a share of the requests that it is about."""

    kind: str
    share: float = 1.0
    where: Callable[[web.Request], bool] = lambda _: True


@dataclass
class Weather:
    """The troubles of the moment."""

    rng: random.Random
    troubles: list[Trouble] = field(default_factory=list)
    met: dict[str, int] = field(default_factory=dict)
    """How many requests each kind has met."""

    def middleware(self) -> Any:
        """What stands before every route of the API."""

        @web.middleware
        async def weather(request: web.Request, handler: Handler) -> web.StreamResponse:
            trouble = self._of(request) if request.path.startswith(ROOT) else None
            if trouble is None:
                return await handler(request)
            self.met[trouble.kind] = self.met.get(trouble.kind, 0) + 1
            return await _meet(trouble.kind, request, handler)

        return weather

    def _of(self, request: web.Request) -> Trouble | None:
        for trouble in self.troubles:
            if trouble.where(request) and self.rng.random() < trouble.share:
                return trouble
        return None


async def _meet(kind: str, request: web.Request, handler: Handler) -> web.StreamResponse:
    match kind:
        case "reset-before":
            return _cut(request)
        case "reset-after":
            await handler(request)
            return _cut(request)
        case "stall":
            await asyncio.sleep(STALL)
            # Who has gone meanwhile wants nothing done any more.
            return await handler(request) if request.transport else _refusal(500, 0, "gone")
        case "500-slow":
            await asyncio.sleep(SLOW)
            return REFUSALS["500"]()
        case _:
            return REFUSALS[kind]()


def _cut(request: web.Request) -> web.Response:
    """End the connection; what is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
