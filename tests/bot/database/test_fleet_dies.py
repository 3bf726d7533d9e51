"""Two bots of one token, as a host runs them: one dies in the middle of a story."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from bot.playground import Playground
from bot.playground.visitor import visit
from bot.playground.world import GUILD_ID, Channel
from tests.running import START_WITHIN, running_bot

if TYPE_CHECKING:
    from pathlib import Path

    from bot.playground.visitor import Visitor
    from tests.bot.teller import Teller

pytestmark = pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)


def stands(visitor: Visitor, text: str) -> bool:
    return any(text in str(message["embeds"]) for message in visitor.messages.values())


async def test_a_story_of_a_process_that_was_killed_is_told_by_the_other_in_its_message(
    tmp_path: Path, database_url: str, tells: Teller
) -> None:
    async with Playground(port=0, deadline=30) as discord:
        here = next(iter(discord.world.channels.values()))
        served = (GUILD_ID >> 22) % 2
        beside = Channel(here.id + 1, "beside", "", 0, guild_id=GUILD_ID + (1 << 22))
        discord.world.channels[beside.id] = beside
        given = {
            "token": discord.token,
            "DISCORD__API_URL": discord.api_url,
            "DISCORD__GATEWAY_URL": discord.gateway_url,
            "DATABASE__URL": database_url,
            "GENERATOR__URL": tells.url,
            "QUEUE__LEASE": "1",
        }
        async with (
            running_bot(tmp_path, DISCORD__SHARDS=f"{served}/2", **given) as lives,
            running_bot(tmp_path, DISCORD__SHARDS=f"{1 - served}/2", **given) as dies,
            visit(discord.url, "haru", "beside") as haru,
            asyncio.timeout(START_WITHIN),
        ):
            tells.hold(after=2)
            await haru.command("story", {"prompt": "In the year"})
            await tells.wished(1)
            await haru.until(lambda: stands(haru, "In the year** ") or None)
            assert await dies.stop(signal.SIGKILL) == -signal.SIGKILL
            await tells.release()
            await haru.until(lambda: stands(haru, "a fox found the moon.") or None)
            assert len(haru.messages) == 1
            assert len(tells.asked) == 2
            assert await lives.stop() == 0
