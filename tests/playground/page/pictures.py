"""`python -m tests.playground.page.pictures docs/pictures`: the documents' pictures of the page.

Starts the bot on a database that is thrown away and clicks through its page, at a desktop's and a
phone's width, with the storytellers that ship with it. All stories have one seed, with which these
beginnings read well; all else is as it comes.
"""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest.mock import patch

from PIL import Image
from playwright.async_api import async_playwright, expect

import bot.__main__
from tests.conftest import CHROMIUM
from tests.playground.page.box import write
from tests.playground.page.clicks import answer, button, enter, hear, message, submit
from tests.running import running_bot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page, ViewportSize

SEED = 4
STORY, DUEL = "On the last train home", "A witch opened a bakery"
DESKTOP: ViewportSize = {"width": 1100, "height": 860}
PHONE: ViewportSize = {"width": 390, "height": 844}
SHARP = 2
"""Pixels of a phone's picture for each of the page's."""
COLOURS = 128
LARGEST = 80_000
"""Bytes."""
PATIENCE_MS = 120_000


class Album:
    """Takes pictures of the page at one width."""

    def __init__(self, page: Page, address: str, folder: Path, *, width: str) -> None:
        self.page = page
        self.address = address
        self._folder = folder
        self._width = width

    async def enter(self, member: str, channel: str = "stories") -> None:
        """Come as a member."""
        await enter(self.page, self.address, member, channel)

    async def take(self, name: str) -> None:
        """Keep what the page shows now, in few colours.

        Raises:
            ValueError: The picture would be too large for a document.
        """
        await self.page.mouse.move(0, 0)
        await self.page.evaluate("document.activeElement?.blur()")
        shown = Image.open(io.BytesIO(await self.page.screenshot())).convert("RGB")
        path = self._folder / f"{name}-{self._width}.png"
        shown.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
        size = path.stat().st_size
        print(f"{path}: {size // 1000} kB", flush=True)
        if size > LARGEST:
            message_ = f"{path} is larger than {LARGEST} bytes"
            raise ValueError(message_)


async def of_members(desktop: Album, phone: Album) -> None:
    """A story with what hangs on it, a duel, and the charts."""
    await desktop.enter("haru")
    story = await hear(desktop.page, STORY)
    await phone.enter("mika")
    await button(await message(phone.page, STORY), "5 ★").click()
    await expect(story).to_contain_text("★ 5.0 from 1 vote")
    await phone.enter("aoi")
    await button(await message(phone.page, STORY), "4 ★").click()
    await expect(story).to_contain_text("★ 4.5 from 2 votes")
    await phone.enter("mika")
    await phone.take("story")
    await button(story, "Continue").click()
    await expect(button(await message(desktop.page, "Part 2 of"), "Continue")).to_be_visible()
    await desktop.take("story")

    await write(desktop.page, f"/duel {DUEL}")
    duel = await message(desktop.page, "which is better?")
    await expect(button(duel, "Tie")).to_be_visible()
    await desktop.take("duel")
    await button(duel, "A").click()
    await button(duel, "Close").click()
    await expect(duel).to_contain_text("tie: 0")

    await phone.enter("haru")
    await write(phone.page, "/ranking")
    ranking = (await message(phone.page, "Who tells best")).get_by_role("img").last
    await expect(ranking).to_have_js_property("naturalWidth", 1000)
    await phone.take("ranking")


async def of_moderators(desktop: Album, phone: Album) -> None:
    """The settings, and a story that somebody reported."""
    await phone.enter("mika")
    await button(await message(phone.page, "from 2 votes"), "⋯").click()
    await button(answer(phone.page), "Report").click()
    await submit(phone.page, "My little brother had bad dreams of it.")
    await expect(answer(phone.page)).to_contain_text("The moderators of this server will see it.")
    for album in (desktop, phone):
        await album.enter("aoi", "lounge")
        await write(album.page, "/settings")
        settings = answer(album.page)
        await button(settings, "Limits").click()
        await expect(settings).to_contain_text("A quota of their own for roles")
        await album.take("settings")
    await desktop.enter("aoi", "lounge")
    await write(desktop.page, "/reports")
    await expect(button(answer(desktop.page), "Keep")).to_be_visible()
    await desktop.take("report")


@asynccontextmanager
async def opened(browser: Browser, viewport: ViewportSize, scale: int) -> AsyncIterator[Page]:
    """A tab of some size."""
    context = await browser.new_context(
        viewport=viewport,
        device_scale_factor=scale,
        color_scheme="dark" if viewport == PHONE else "light",
    )
    context.set_default_timeout(PATIENCE_MS)
    yield await context.new_page()
    await context.close()


async def pictures(folder: Path) -> None:
    """Take all of them."""
    expect.set_options(timeout=PATIENCE_MS)
    arguments = ("-m", "tests.playground.page.pictures")
    with tempfile.TemporaryDirectory() as thrown_away:
        async with (
            running_bot(Path(thrown_away), *arguments) as bot,
            async_playwright() as playwright,
        ):
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--headless", "--no-sandbox", "--disable-gpu"]
            )
            async with (
                opened(browser, DESKTOP, 1) as large,
                opened(browser, PHONE, SHARP) as small,
            ):
                desktop = Album(large, bot.address, folder, width="desktop")
                phone = Album(small, bot.address, folder, width="phone")
                await of_members(desktop, phone)
                await of_moderators(desktop, phone)
            await browser.close()
            await bot.stop()


def tell() -> int:
    """Run the bot as `python -m bot` does, with the pictures' seed instead of any."""
    with patch("bot.asking.random", SimpleNamespace(randrange=lambda _: SEED)):
        return bot.__main__.main([])


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(tell())
    into = Path(sys.argv[1])
    into.mkdir(parents=True, exist_ok=True)
    asyncio.run(pictures(into))
