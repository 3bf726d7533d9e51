"""What the bot itself sends to Discord is what Discord describes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bot.bench.waiting import is_over, messages_of
from bot.playground import Playground
from bot.playground.visitor import visit
from tests.playground.discord_description import faults_of_events, faults_of_exchange
from tests.running import running_bot

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 120.0


async def test_everything_that_the_bot_sends_is_as_discord_describes_it(tmp_path: Path) -> None:
    async with Playground(port=0, deadline=30) as discord:
        settings = {
            "token": discord.token,
            "DISCORD__API_URL": discord.api_url,
            "DISCORD__GATEWAY_URL": discord.gateway_url,
            "STORIES__MIN_TOKENS": "10",
            "STORIES__MAX_TOKENS": "30",
        }
        prompt = "In the year"
        async with (
            asyncio.timeout(PATIENCE),
            running_bot(tmp_path, **settings) as bot,
            visit(discord.url, "haru") as haru,
            visit(discord.url, "aoi") as aoi,
        ):
            await haru.command("help", {})
            await haru.command("models", {})
            await aoi.command("model", {"model": "lstm-starter"}, "use")
            await haru.command("story", {"prompt": prompt})
            await haru.until(lambda: is_over(haru, prompt))
            (story,) = messages_of(haru, prompt)
            buttons = [part for row in story["components"] for part in row["components"]]
            for button in buttons:
                if not button["custom_id"].startswith("kataribe:more"):
                    await aoi.press(story["id"], button["custom_id"])
            await bot.stop()
    assert len(discord.rest.exchanges) > 10
    assert [fault for one in discord.rest.exchanges for fault in faults_of_exchange(one)] == []
    assert list(faults_of_events(discord.gateway.events)) == []
    refused = [one for one in discord.rest.exchanges if one.status >= 400]
    assert refused == []
