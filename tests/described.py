"""`python -m bot` on a playground, held to Discord's description in all that is said."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bot.playground import Playground
from tests.playground.discord_description import faults_of_events, faults_of_exchange
from tests.running import running_bot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATIENCE = 240.0


@asynccontextmanager
async def described_bot(folder: Path, **settings: str) -> AsyncIterator[Playground]:
    """Gives the playground; when the bot has stopped, nothing that either said was amiss."""
    async with Playground(port=0, deadline=30) as discord:
        where = {
            "token": discord.token,
            "DISCORD__API_URL": discord.api_url,
            "DISCORD__GATEWAY_URL": discord.gateway_url,
        }
        async with asyncio.timeout(PATIENCE), running_bot(folder, **where, **settings) as bot:
            yield discord
            await bot.stop()
    assert len(discord.rest.exchanges) > 10
    assert [fault for one in discord.rest.exchanges for fault in faults_of_exchange(one)] == []
    assert list(faults_of_events(discord.gateway.events)) == []
    assert [one for one in discord.rest.exchanges if one.status >= 400] == []
