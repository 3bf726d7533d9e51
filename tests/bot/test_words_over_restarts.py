"""What stands in a message while the real bot is killed, started again, and called off."""

from __future__ import annotations

import asyncio
import signal
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from bot.bench.waiting import is_over, messages_of, page_of
from bot.locales import say
from bot.playground import Playground
from bot.playground.visitor import Visitor, visit
from tests.running import running_bot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bot.teller import Teller

PATIENCE = 120.0
WORDS = [f" word{n}" for n in range(40)]


def button(visitor: Visitor, prompt: str) -> tuple[str, str]:
    """The story's message and the custom id of its first button."""
    (message,) = messages_of(visitor, prompt)
    return message["id"], message["components"][0]["components"][0]["custom_id"]


async def watch(visitor: Visitor, prompt: str, pages: list[str]) -> None:
    """Keep every page that the story's message shows."""

    def look() -> bool:
        page = page_of(visitor, prompt).removesuffix(say("story.cursor"))
        if page and page != pages[-1]:
            pages.append(page)
        return is_over(visitor, prompt)

    await visitor.until(look)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_no_word_is_taken_back_though_the_bot_dies_and_two_call_the_story_off(
    tmp_path: Path, tells: Teller, number: signal.Signals
) -> None:
    tells.pieces = WORDS
    tells.hold(after=30)
    prompt = "In the year"
    async with Playground(port=0, deadline=30) as discord, asyncio.timeout(PATIENCE):
        settings = {
            "token": discord.token,
            "DISCORD__API_URL": discord.api_url,
            "DISCORD__GATEWAY_URL": discord.gateway_url,
            "GENERATOR__URL": tells.url,
            "STORIES__WORDS_PER_SECOND": "0",
            "STORIES__EDIT_INTERVAL": "0.1",
        }
        async with visit(discord.url, "haru") as haru, visit(discord.url, "aoi") as aoi:
            pages = [""]
            watching = asyncio.create_task(watch(haru, prompt, pages))
            async with running_bot(tmp_path, **settings) as bot:
                await haru.command("story", {"prompt": prompt})
                await haru.until(lambda: WORDS[29] in page_of(haru, prompt))
                await bot.stop(number)
            tells.hold(after=3)
            async with running_bot(tmp_path, **settings) as bot:
                await tells.wished(2)
                # Its first words are told again.
                await haru.until(
                    lambda: (
                        say("story.telling", model="gpt2-starter") in str(messages_of(haru, prompt))
                    )
                )
                pressed = button(haru, prompt)
                await asyncio.gather(haru.press(*pressed), aoi.press(*pressed))
                await watching
                assert await bot.stop() == 0
            (message,) = messages_of(haru, prompt)
    assert say("story.cancelled") in str(message["embeds"])
    for before, after in pairwise(pages):
        assert after.startswith(before)
