"""A playground and its bot in the event loop of the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from bot.playground import Playground
from tests.playground.echo_bot import EchoBot, connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture(loop_scope="session")
async def playground() -> AsyncIterator[Playground]:
    async with Playground(port=0, deadline=30) as playground:
        yield playground


@pytest_asyncio.fixture(loop_scope="session")
async def echo_bot(playground: Playground) -> AsyncIterator[EchoBot]:
    async with connected(playground) as bot:
        yield bot
