"""A playground, and a bot that is at home in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.playground import Playground
from tests.playground.echo_bot import EchoBot, connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def playground() -> AsyncIterator[Playground]:
    async with Playground(port=0, deadline=30) as playground:
        yield playground


@pytest.fixture
async def echo_bot(playground: Playground) -> AsyncIterator[EchoBot]:
    async with connected(playground) as bot:
        yield bot
