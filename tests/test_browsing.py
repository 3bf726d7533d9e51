"""Stories found again, read and shown, over real sockets: what the bot sends is as described."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bot.bench.waiting import is_over, messages_of
from bot.playground.visitor import visit
from tests.described import described_bot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bot.playground.errors import Json
    from bot.playground.visitor import Visitor


async def browse(visitor: Visitor) -> None:
    """Find the story again, read it, and have its picture; then the charts."""

    async def press(custom_id: str, *values: str) -> Json:
        """Press what a message has; gives the message that then has come, or has changed."""
        kind = custom_id.removeprefix("kataribe:").partition(":")[0]
        with_it = [m for m in visitor.messages.values() if custom_id in json.dumps(m["components"])]
        assert with_it, kind
        await visitor.press(with_it[-1]["id"], custom_id, *values)
        return with_it[-1]

    def holds(*signs: str) -> Callable[[], bool]:
        return lambda: any(
            all(sign in json.dumps(message) for sign in signs)
            for message in visitor.messages.values()
        )

    await visitor.until(holds("kataribe:read:1"))  # the menu of ⋯, which was pressed
    await press("kataribe:read:1")
    await visitor.until(holds("story-1.txt"))
    await press("kataribe:details:1")
    await press("kataribe:picture:1")
    await visitor.until(holds("story-1.png", "kataribe:post:1"))
    await press("kataribe:post:1")
    await visitor.until(holds("shares a story"))
    for path, values in (
        ("top", {"span": "all"}),
        ("new", {}),
        ("mine", {}),
        ("search", {"words": "year"}),
        ("random", {}),
        ("show", {"number": "1"}),
    ):
        await visitor.command("stories", values, path)
    await visitor.until(holds("kataribe:open"))
    await press("kataribe:open", "1")
    await visitor.command("ranking", {})
    await visitor.until(holds("Who tells best", "ranking.png"))
    await visitor.command("stats", {})
    await visitor.until(holds("The village", "stats.png"))


async def test_what_is_found_again_is_sent_as_discord_describes_it(tmp_path: Path) -> None:
    prompt = "In the year"
    short = {"STORIES__MIN_TOKENS": "10", "STORIES__MAX_TOKENS": "30", "VOTES__ACCOUNT_AGE": "0"}
    async with (
        described_bot(tmp_path, **short) as discord,
        visit(discord.url, "haru") as haru,
        visit(discord.url, "aoi") as aoi,
    ):
        await haru.command("story", {"prompt": prompt})
        await haru.until(lambda: is_over(haru, prompt))
        (story,) = messages_of(haru, prompt)
        for button in ("kataribe:rate:1:5", "kataribe:more:1"):
            await aoi.press(story["id"], button)
        await browse(aoi)
