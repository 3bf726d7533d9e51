"""The whole way of one story, as a newcomer sees it: `python -m bot`, its page, a browser."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from itertools import pairwise
from signal import Signals
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import Page, expect

from bot.bench.waiting import is_over, messages_of, page_of
from bot.locales import say
from bot.playground import Playground
from bot.playground.visitor import visit
from tests.running import running_bot

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 120.0
"""Seconds after which what never comes fails its test; generous, since busy machines are slow."""
SHORT = {"STORIES__MIN_TOKENS": "60", "STORIES__MAX_TOKENS": "80"}
"""Stories of some fifty words: shown in a few seconds, and never in one piece."""


@pytest.fixture(autouse=True)
def patient_page(page: Page) -> None:
    """A story is told by a real model here, on a machine that may be busy."""
    del page
    expect.set_options(timeout=1000 * PATIENCE)


async def _ask(page: Page, line: str) -> None:
    await page.get_by_role("combobox", name="Message").fill(line)
    await page.get_by_role("button", name="Send", exact=True).click()


async def _become(page: Page, member: str) -> None:
    await page.locator(f"[data-member={member}]").click()


async def test_a_newcomer_hears_a_story_and_another_member_rates_it_over_a_restart(
    page: Page, tmp_path: Path
) -> None:
    # Slow enough that the page shows it in several steps, however short it is.
    slowly = {"STORIES__WORDS_PER_SECOND": "10", "STORIES__EDIT_INTERVAL": "0.5"}
    async with running_bot(tmp_path, **SHORT, **slowly) as bot:
        await page.goto(f"{bot.address}/?as=haru")
        await expect(page.locator(".welcome")).to_be_visible()
        await _watch(page)
        await _ask(page, "/story In the year")
        story = page.locator("li.message").last
        await expect(story.get_by_role("button", name="Continue")).to_be_visible()
        texts = [text.removesuffix(say("story.cursor")) for text in await _watched(page)]
        assert len(texts) > 3, "the story should grow while it is told"
        assert texts[0] == "In the year"
        for before, after in pairwise(texts):
            assert after.startswith(before), "what was told is never taken back"

        await story.get_by_role("button", name="5 ★").click()
        await expect(page.locator("[data-ephemeral]")).to_contain_text("your own story")
        await _become(page, "mika")
        await expect(page.locator("[data-ephemeral]")).to_have_count(0)
        await page.get_by_role("button", name="4 ★").click()
        await expect(page.locator("[data-ephemeral]")).to_contain_text("★★★★☆")
        await expect(page.locator("li.message").first).to_contain_text("★ 4.0 from 1 vote")
        text = await page.locator("li.message").first.inner_text()
        assert await bot.stop() == 0

    async with running_bot(tmp_path, **SHORT) as bot:
        await page.goto(f"{bot.address}/?as=mika")
        story = page.locator("li.message").first
        await expect(story).to_contain_text("★ 4.0 from 1 vote")
        assert await story.inner_text() == text
        await story.get_by_role("button", name="2 ★").click()
        await expect(story).to_contain_text("★ 2.0 from 1 vote")
        await story.get_by_role("button", name="Continue").click()
        await expect(page.get_by_role("button", name="Continue")).to_have_count(2)
        assert await bot.stop() == 0


async def _watch(page: Page) -> None:
    """Keep each text that the page shows as a story's."""
    await page.evaluate(
        """() => {
          window.texts = [];
          new MutationObserver(() => {
            const text = [...document.querySelectorAll(".embed-description")].at(-1)?.textContent;
            if (text && text !== window.texts.at(-1)) window.texts.push(text);
          }).observe(document.getElementById("messages"), { childList: true, subtree: true });
        }"""
    )


async def _watched(page: Page) -> list[str]:
    texts: list[str] = await page.evaluate("window.texts")
    return texts


async def test_a_moderator_and_nobody_else_chooses_the_model_of_the_server(
    page: Page, tmp_path: Path
) -> None:
    async with running_bot(tmp_path, **SHORT) as bot:
        await page.goto(f"{bot.address}/?as=haru")
        composer = page.get_by_role("combobox", name="Message")
        await composer.fill("/")
        await expect(page.locator("[data-command=story]")).to_be_visible()
        await composer.fill("/settings")
        await expect(page.locator("[data-command=settings]")).to_have_count(0)
        # Discord shows a command to all or to none: members may list models, and see this one too.
        await _ask(page, "/model use lstm-starter")
        await expect(page.locator("[data-ephemeral]")).to_contain_text(say("sorry.not_moderator"))
        # Told as soon as the generator has come up.
        await _ask(page, "/story On the last train home")
        await expect(page.locator("li.message").last).to_contain_text("gpt2-starter · seed")

        await _become(page, "aoi")
        await composer.fill("/settings")
        await expect(page.locator("[data-command=settings]")).to_be_visible()
        await _ask(page, "/model use lstm-starter")
        await expect(page.locator("li.message").last).to_contain_text("lstm-starter")
        await _become(page, "haru")
        await _ask(page, "/story A retired pirate")
        story = page.locator("li.message").last
        await expect(story).to_contain_text(re.compile(r"lstm-starter · seed \d+ · \d+ words"))


@pytest.mark.parametrize("signal_name", ["SIGKILL", "SIGTERM"])
async def test_every_story_is_told_once_though_the_bot_dies(
    tmp_path: Path, signal_name: str
) -> None:
    """A Discord that outlives the bot, which is stopped in the middle of its first story."""
    async with Playground(port=0, deadline=30) as discord:
        settings = SHORT | {
            "token": discord.token,
            "DISCORD__API_URL": discord.api_url,
            "DISCORD__GATEWAY_URL": discord.gateway_url,
            "QUEUE__TELLERS": "1",
        }
        prompts = [f"In the year {2100 + number}" for number in range(3)]
        async with (
            asyncio.timeout(PATIENCE),
            running_bot(tmp_path, **settings) as bot,
            visit(discord.url, "haru") as haru,
        ):
            for prompt in prompts:
                await haru.command("story", {"prompt": prompt})
            await haru.until(
                lambda: (
                    say("story.cursor") in page_of(haru, prompts[0]) or is_over(haru, prompts[0])
                )
            )
            await bot.stop(Signals[signal_name])
        left = _stories(tmp_path / "kataribe.db")
        assert len(left) == len(prompts)
        assert any(story["shown_at"] is None for story in left), "it should die in the middle"

        async with (
            asyncio.timeout(PATIENCE),
            running_bot(tmp_path, **settings),
            visit(discord.url, "haru") as haru,
        ):
            await haru.until(lambda: all(is_over(haru, prompt) for prompt in prompts))
            assert [len(messages_of(haru, prompt)) for prompt in prompts] == [1, 1, 1]
        stories = {story["prompt"]: story for story in _stories(tmp_path / "kataribe.db")}
        for prompt in prompts:
            assert stories[prompt]["state"] == "told"
            assert stories[prompt]["text"][:40].strip() in page_of(haru, prompt)


def _stories(database: Path) -> list[dict[str, Any]]:
    with sqlite3.connect(database) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute("SELECT * FROM stories ORDER BY id").fetchall()
    connection.close()
    return [dict(row) for row in rows]
