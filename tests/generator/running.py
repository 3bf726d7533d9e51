"""A generator in this process, listening on a loopback port of its own."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from openai import AsyncOpenAI
from yarl import URL

from generator.config import EngineSettings
from generator.server.app import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import aiohttp

ENDLESS = {"model": "lstm-endless", "max_tokens": 900_000, "min_tokens": 900_000}
"""A story that is still being told when the test's patience ends."""


@asynccontextmanager
async def running(models: Path, **settings: Any) -> AsyncIterator[str]:
    """Its address, while it runs."""
    server = Server(EngineSettings(models=models, port=0, **({"grace": 0} | settings)))
    try:
        yield await server.open()
    finally:
        await server.close()


@asynccontextmanager
async def client(address: str, key: str = "none") -> AsyncIterator[AsyncOpenAI]:
    """The official client, which does not try again by itself."""
    async with AsyncOpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0) as openai:
        yield openai


async def ask_and_leave(address: str, wish: dict[str, Any]) -> None:
    """A completion that nobody waits for."""
    body = json.dumps(wish).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(address).port)
    writer.write(
        b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    writer.write_eof()
    await reader.read()
    writer.close()


async def occupancy(http: aiohttp.ClientSession) -> tuple[int, int]:
    """Stories that are told and that wait, of all models together."""
    async with http.get("/health") as response:
        models = (await response.json())["models"].values()
    return sum(model["slots_in_use"] for model in models), sum(model["waiting"] for model in models)


async def until(http: aiohttp.ClientSession, *, told: int, waiting: int) -> None:
    async with asyncio.timeout(20):
        while await occupancy(http) != (told, waiting):
            pass
