"""What the bot itself sends to Discord is what Discord describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.bench.waiting import is_over, messages_of
from bot.playground.visitor import visit
from tests.described import described_bot

if TYPE_CHECKING:
    from pathlib import Path


async def test_everything_that_the_bot_sends_is_as_discord_describes_it(tmp_path: Path) -> None:
    prompt = "In the year"
    short = {"STORIES__MIN_TOKENS": "10", "STORIES__MAX_TOKENS": "30"}
    async with (
        described_bot(tmp_path, **short) as discord,
        visit(discord.url, "haru") as haru,
        visit(discord.url, "aoi") as aoi,
    ):
        await haru.command("help", {})
        await haru.command("model", {}, "list")
        await aoi.command("model", {"model": "lstm-starter"}, "use")
        await haru.command("story", {"prompt": prompt})
        await haru.until(lambda: is_over(haru, prompt))
        (story,) = messages_of(haru, prompt)
        for button in [part for row in story["components"] for part in row["components"]]:
            await aoi.press(story["id"], button["custom_id"])


async def test_what_moderators_see_is_as_discord_describes_it(tmp_path: Path) -> None:
    async with described_bot(tmp_path) as discord, visit(discord.url, "aoi") as aoi:
        await aoi.command("settings", {})
        page = await aoi.message("created", lambda one: bool(one["components"]))
        for name in ("stories", "limits", "words", "daily", "places"):
            await aoi.press(page["id"], f"kataribe:settings:page:{name}")
            if name == "words":
                await aoi.press(page["id"], "kataribe:settings:learning:on")
                form = await aoi.press(page["id"], "kataribe:settings:filter_words")
                (label,) = form["modal"]["components"]
                values = {label["component"]["custom_id"]: "moon"}
                await aoi.ask(do="submit", modal=form["opened"], values=values)
            if name == "daily":
                await aoi.press(page["id"], "kataribe:settings:daily_hour", "7")
        await aoi.command("model", {}, "info")
        for name in ("audit", "asked", "reports"):
            await aoi.command(name, {})
