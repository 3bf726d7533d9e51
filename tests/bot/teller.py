"""A generator of our own for tests: OpenAI's completions over a real socket, told what to tell."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.test_utils import TestServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MODELS = ("gpt2-starter", "lstm-starter")
STORY = " a fox found the moon."
"""What a teller tells."""


@dataclass
class Teller:
    """Tells the same pieces to everybody; each piece waits while the tale is held."""

    url: str = ""
    models: tuple[str, ...] = MODELS
    cards: dict[str, dict[str, object]] = field(default_factory=dict)
    """What is said of a model beside its name."""
    metrics: str = ""
    """What it measures, as Prometheus reads it."""
    commanded: list[tuple[str, str]] = field(default_factory=list)
    """Models that it was told to load or unload, and which."""
    full: bool = False
    """It takes no further model into memory."""
    languages: dict[str, list[str]] = field(default_factory=dict)
    """What they know, where it is said."""
    pieces: list[str] = field(default_factory=lambda: [" a fox", " found the moon", "."])
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The body of every wish, in order."""
    references: list[str | None] = field(default_factory=list)
    """What each wish was called."""
    told: int = 0
    """Pieces that went out, of all stories together."""
    allowed: int | None = None
    """Pieces that may go out; None: as many as there are."""
    each: int = 0
    """Pieces of every story that go out though the tale is held."""
    away: bool = False
    """Every further wish is answered with 503."""
    ended: str = "stop"
    """The reason that is given for a story's end."""
    unknown: set[str] = field(default_factory=set)
    """Models that a wish is refused for, as OpenAI does."""
    _open: list[web.Request] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def hold(self, after: int = 0) -> None:
        """Let only this many further pieces out."""
        self.allowed = self.told + after

    async def release(self, pieces: int | None = None) -> None:
        """Let further pieces out: some, or all there will ever be."""
        async with self._changed:
            self.allowed = None if pieces is None else (self.allowed or 0) + pieces
            self._changed.notify_all()

    async def wished(self, times: int) -> None:
        """Wait until so many stories were asked for."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.asked) >= times)

    def go_away(self) -> None:
        """Break off every story, as when the machine is switched off."""
        self.away = True
        for request in self._open:
            if request.transport is not None:
                request.transport.abort()

    async def _turn(self, nth: int) -> None:
        async with self._changed:
            await self._changed.wait_for(
                lambda: self.allowed is None or self.told < self.allowed or nth < self.each
            )
            self.told += 1

    async def list(self, request: web.Request) -> web.Response:
        """GET /v1/models."""
        del request
        cards = [
            {
                "id": model,
                "owned_by": "kataribe",
                "languages": self.languages.get(model, []),
                **self.cards.get(model, {}),
            }
            for model in self.models
        ]
        return web.json_response({"object": "list", "data": cards})

    async def measure(self, request: web.Request) -> web.Response:
        """GET /metrics."""
        del request
        return web.Response(text=self.metrics)

    async def command(self, request: web.Request) -> web.Response:
        """POST /v1/models/NAME/load, or unload."""
        if self.full:
            error = {"message": "There is no room for the model."}
            return web.json_response({"error": error}, status=400)
        self.commanded.append((request.match_info["name"], request.match_info["what"]))
        return web.json_response({"id": request.match_info["name"]})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/completions, streamed."""
        if self.away:
            return web.json_response({"error": {"message": "away"}}, status=503)
        body = await request.json()
        if body["model"] in self.unknown:
            error = {"message": f"No model {body['model']}.", "code": "model_not_found"}
            return web.json_response({"error": error}, status=404)
        async with self._changed:
            self.asked.append(body)
            self.references.append(request.headers.get("X-Request-Id"))
            self._changed.notify_all()
        self._open.append(request)
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for nth, piece in enumerate(self.pieces):
            await self._turn(nth)
            await _send(answer, {"choices": [{"index": 0, "text": piece, "finish_reason": None}]})
        await _send(answer, {"choices": [{"index": 0, "text": "", "finish_reason": self.ended}]})
        await _send(answer, {"choices": [], "usage": {"completion_tokens": len(self.pieces)}})
        await answer.write(b"data: [DONE]\n\n")
        return answer


async def _send(answer: web.StreamResponse, event: dict[str, Any]) -> None:
    await answer.write(b"data: " + json.dumps(event).encode() + b"\n\n")


@asynccontextmanager
async def teller() -> AsyncIterator[Teller]:
    """A teller that listens on a loopback port."""
    told = Teller()
    app = web.Application()
    app.router.add_get("/v1/models", told.list)
    app.router.add_get("/metrics", told.measure)
    app.router.add_post("/v1/models/{name}/{what:load|unload}", told.command)
    app.router.add_post("/v1/completions", told.complete)
    async with TestServer(app, host="127.0.0.1") as server:
        told.url = str(server.make_url(""))
        yield told


@asynccontextmanager
async def answers(*handlers: Any) -> AsyncIterator[str]:
    """A generator that answers with one handler after the other, then always with the last."""
    left = list(handlers)

    async def handler(request: web.Request) -> web.StreamResponse:
        answer: web.StreamResponse = await (left.pop(0) if len(left) > 1 else left[0])(request)
        return answer

    app = web.Application()
    app.router.add_post("/v1/completions", handler)
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url(""))


async def well(request: web.Request) -> web.StreamResponse:
    return await Teller().complete(request)


async def full(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=429, headers={"Retry-After": "0.1"})


async def away(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=504)


async def broken(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=500)


async def aborting(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    for piece, reason in ((" a fox", None), ("", "abort")):
        await _send(answer, {"choices": [{"index": 0, "text": piece, "finish_reason": reason}]})
    await answer.write(b"data: [DONE]\n\n")
    return answer


async def closed(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"message": "Incorrect API key."}}, status=401)


async def refusing(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"message": "No such model."}}, status=404)
