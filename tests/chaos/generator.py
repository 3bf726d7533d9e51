"""What stands between the bot and its generator, and how that line can fail."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from tests.chaos.discord import LOOPBACK

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.chaos.history import History

SLOW = 0.5
"""Seconds between two pieces of a generator that is slow."""
RUBBISH = b'data: {"choices": [{"text": \xff\xfe oh\n\n<html>\x00</html>\n\n'
ABORT = b'data: {"choices": [{"index": 0, "text": "", "finish_reason": "abort"}]}\n\n'
NO_SLOTS = '{"error": {"message": "all slots are taken", "type": "overloaded", "code": 429}}'
NO_MEMORY = '{"error": {"message": "out of memory", "type": "server_error", "code": 500}}'
ANSWERS: dict[str | None, Callable[[], web.Response]] = {
    "no-slots": lambda: web.Response(status=429, text=NO_SLOTS, headers={"Retry-After": "1"}),
    "no-memory": lambda: web.Response(status=500, text=NO_MEMORY, content_type="application/json"),
    "page": lambda: web.Response(text="<html>Welcome!</html>", content_type="text/html"),
}
"""What is said in the generator's place."""
KINDS = ("slow", "rubbish", "page", "abort", "cut", "stall", "no-slots", "no-memory", "refuse")


@dataclass
class Line:
    """Forwards every request to the generator; `trouble` happens to a share of the tellings."""

    rng: random.Random
    address: str | Callable[[], str]
    """Where the generator is, or is now; empty while it is away."""
    history: History
    trouble: str | None = None
    share: float = 0.5
    met: dict[str, int] = field(default_factory=dict)
    url: str = ""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    """Of tellings; lines of one run share them."""

    @asynccontextmanager
    async def open(self, host: str = LOOPBACK) -> AsyncIterator[None]:
        """Listen on a free port."""
        app = web.Application(client_max_size=1 << 21)
        app.router.add_route("*", "/{path:.*}", self._forward)
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, 0).start()
            self.url = f"http://{host}:{runner.addresses[0][1]}"
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
                self._session = session
                yield
        finally:
            await runner.cleanup()

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        trouble = None
        if request.path.endswith("/completions") and self.rng.random() < self.share:
            trouble = self.trouble
        if trouble is not None:
            self.met[trouble] = self.met.get(trouble, 0) + 1
        if trouble in ANSWERS:
            return ANSWERS[trouble]()
        address = self.address if isinstance(self.address, str) else self.address()
        if trouble == "refuse" or not address:
            return _cut(request)
        body = await request.read()
        if not request.path.endswith("/completions"):
            return await self._ask(request, address, body, None)
        wish = json.loads(body)
        story = [wish["model"], wish["prompt"], wish.get("seed")]
        number = next(self.numbers)
        self.history.add("telling", number=number, story=story)
        try:
            return await self._ask(request, address, body, trouble)
        finally:
            # Cancelled, too, when the bot hangs up.
            self.history.add("telling-over", number=number)

    async def _ask(
        self, request: web.Request, address: str, body: bytes, trouble: str | None
    ) -> web.StreamResponse:
        passed_on = ("Content-Type", "Authorization")
        headers = {name: request.headers[name] for name in passed_on if name in request.headers}
        try:
            async with self._session.request(
                request.method, address + request.path_qs, data=body or None, headers=headers
            ) as answer:
                return await self._pass_on(request, answer, trouble)
        except (aiohttp.ClientError, OSError):
            return _cut(request)

    async def _pass_on(
        self, request: web.Request, answer: aiohttp.ClientResponse, trouble: str | None
    ) -> web.StreamResponse:
        kept = {
            name: answer.headers[name]
            for name in ("Content-Type", "Retry-After")
            if name in answer.headers
        }
        response = web.StreamResponse(status=answer.status, headers=kept)
        await response.prepare(request)
        pieces = 0
        async for piece in answer.content.iter_any():
            pieces += 1
            await response.write(piece)
            if trouble == "slow":
                await asyncio.sleep(SLOW)
            if trouble in {None, "slow"} or pieces < self.rng.randint(1, 4):
                continue
            if trouble == "stall":
                await asyncio.sleep(60)
            elif trouble != "cut":
                await response.write(RUBBISH if trouble == "rubbish" else ABORT)
            if trouble == "abort":
                break
            if request.transport is not None:
                request.transport.abort()
            break
        return response


def _cut(request: web.Request) -> web.Response:
    """End the connection without a word."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
