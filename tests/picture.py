"""`python -m tests.picture docs/story.gif`: the README's picture, taken of the real thing.

Starts the bot on a database that is thrown away, types `/story` on its page, and keeps what the
page shows until the story is told. Which stories it tells is chosen, by their seeds: of some two
hundred of the starter's, these read well. All else is as it comes.
"""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from PIL import Image
from playwright.async_api import Page, async_playwright

import bot.__main__
from tests.conftest import CHROMIUM
from tests.running import running_bot

WIDTH, HEIGHT = 860, 520
BEFORE, BEFORE_SEED = "/story On the last train home", 4
LINE, SEED = "/story Every spring, the shrine", 4
KEY = 70
"""Milliseconds between two keys."""
FRAME = 200
"""Milliseconds between two pictures of a story being told."""
LAST_FRAME = 6000
TOLD = "[data-custom-id^='kataribe:continue:']"


async def film(address: str) -> list[tuple[Image.Image, int]]:
    """Pictures of one story from the first key on, each with how long it is shown."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        page = await browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        await page.goto(f"{address}/?as=haru")
        box = page.get_by_role("combobox", name="Message")
        # One story before, so that the generator is there and has told when the film begins.
        await box.fill(BEFORE)
        await box.press("Enter")
        await page.wait_for_selector(TOLD, timeout=120_000)
        frames = []
        for end in range(1, len(LINE) + 1):
            await box.fill(LINE[:end])
            frames.append((await _picture(page), KEY))
        await box.press("Enter")
        while await page.locator(TOLD).count() < 2:  # the one before, and this one
            frames.append((await _picture(page), FRAME))
            await page.wait_for_timeout(FRAME)
        frames.append((await _picture(page), LAST_FRAME))
        await browser.close()
        return frames


async def _picture(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(await page.screenshot()))


async def story() -> list[tuple[Image.Image, int]]:
    """Film one story of a bot started for it."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_bot(Path(folder), "-m", "tests.picture") as running:
            frames = await film(running.address)
            await running.stop()
            return frames


def tell() -> int:
    """Run the bot as `python -m bot` does, with the seeds of the film instead of any."""
    seeds = iter((BEFORE_SEED, SEED))
    with patch("bot.asking.random", SimpleNamespace(randrange=lambda _: next(seeds))):
        return bot.__main__.main([])


def save(frames: list[tuple[Image.Image, int]], path: Path) -> None:
    """Write the pictures as one GIF; Pillow shows one longer where the next are the same."""
    first, *others = (picture.convert("P", palette=Image.Palette.ADAPTIVE) for picture, _ in frames)
    durations = [duration for _, duration in frames]
    path.parent.mkdir(parents=True, exist_ok=True)
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0)
    print(f"{path}: {len(frames)} pictures, {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(tell())
    save(asyncio.run(story()), Path(sys.argv[1]))
