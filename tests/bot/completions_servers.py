"""Completions servers that a test makes as it needs them, and the client that asks them."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.config import Stories as StorySettings
from bot.database.tables import Story
from bot.worker.completions import Completions, GeneratorError, Piece

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STORY = Story(id=1, model="gpt2-starter", seed=2**62)


def event(data: object) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def text(piece: str, finish: str | None = None) -> bytes:
    return event({"choices": [{"index": 0, "text": piece, "finish_reason": finish}]})


USAGE = event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 12}})
DONE = b"data: [DONE]\n\n"
WHOLE = [text(" a 狐"), text(" found the moon"), text(".", "stop"), USAGE, DONE]


@asynccontextmanager
async def server(
    completions: Handler | None = None, models: Handler | None = None
) -> AsyncIterator[str]:
    """A server that tells, lists its models, or both."""
    app = web.Application()
    if completions:
        app.router.add_post("/v1/completions", completions)
    if models:
        app.router.add_get("/v1/models", models)
    async with TestServer(app, host="127.0.0.1") as running:
        yield str(running.make_url(""))


@asynccontextmanager
async def client(url: str | None, **options: Any) -> AsyncIterator[Completions]:
    options.setdefault("request_timeout", 10)
    settings = options.pop("settings", StorySettings())
    async with Completions(url, settings, **options) as completions:
        yield completions


def streaming(*chunks: bytes, kind: str = "text/event-stream") -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": kind})
        await answer.prepare(request)
        for chunk in chunks:
            await answer.write(chunk)
        return answer

    return handler


def answering(status: int, body: str = "", **headers: str) -> Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=status, text=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    return handler


def hearing(heard: list[dict[str, Any]], then: Handler) -> Handler:
    """Keep the body of each wish, then answer it."""

    async def handler(request: web.Request) -> web.StreamResponse:
        heard.append(await request.json())
        return await then(request)

    return handler


def listing(*names: str, owner: str | None = None) -> Handler:
    """A list of models, as OpenAI's or as that of whoever owns them."""
    return answering(200, json.dumps({"data": [{"id": n, "owned_by": owner} for n in names]}))


async def tell(handler: Handler, **options: Any) -> list[Piece]:
    async with server(handler) as url, client(url, **options) as completions:
        return [piece async for piece in completions.tell(STORY, "In the year")]


async def failure(handler: Handler, kind: type[GeneratorError], **options: Any) -> str:
    with pytest.raises(kind) as raised:
        await tell(handler, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)
